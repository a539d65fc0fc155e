//! The API's stage: which deployment of its routes is served, by which versions, and how fast. What
//! serves changes here, all at once, and only after it was proven: the stage's state is the release.

mod settings;
mod snapshot;

use super::deployments::{definition, deployments};
use super::history::{self, Record, Served};
use super::observation::Observation;
use super::ownership::owner;
use super::proof::Proof;
use super::rest_api::{api_id, busy_or_gone};
use super::serving::Serving;
use super::versions;
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Resource, Stopped, Value, turn};
use crate::env::{ALIAS, ALIAS_VARIABLE, Tags};
use crate::ids::{ApiId, StageName, Throttle, Version};
use crate::resources::ownership::adopt;
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::{Result, bail};
use aws_sdk_apigateway::types::PatchOperation;
use futures_util::future::join_all;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A stage owns its deployments: snapshots of the routes, each named by the hash of what it holds.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    #[serde(skip)]
    pub api: Value<ApiId>,
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    pub entry: Entry,
    /// The definition that is served, by its fingerprint.
    pub deployment: String,
    /// The version that serves, by the function's short name.
    pub functions: BTreeMap<String, Value<Version>>,
    /// [`EVERYTHING`], or by route: `GET /health`.
    pub throttling: BTreeMap<String, Throttle>,
    /// What the definition leaves open: the alias that is called.
    pub variables: BTreeMap<String, String>,
    /// How it is watched. None: however it is, as a rollback leaves it.
    #[serde(flatten)]
    pub observation: Option<Observation>,
    /// The newest release on record that hasn't failed: version, commit, and how far it has come.
    pub release: BTreeMap<&'static str, String>,
}

/// How what is wanted comes to serve.
#[derive(Clone, Debug)]
pub enum Entry {
    /// As a release: proven, put on record, moved in.
    Release {
        proof: Proof,
        /// The earlier release that it is.
        again: Option<u64>,
    },
    /// It served a moment ago, and what came after it disappointed.
    Return,
}

/// What is to be on record of a release.
pub fn standing(version: &str, commit: &str, state: &str) -> BTreeMap<&'static str, String> {
    [("version", version), ("commit", commit), ("state", state)]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
}

/// All methods of all paths. A setting for one method would count more.
const EVERYTHING: &str = "*/*";

impl Stage {
    /// The alias that routes call.
    pub fn calls_live() -> BTreeMap<String, String> {
        BTreeMap::from([(ALIAS_VARIABLE.to_owned(), ALIAS.to_owned())])
    }

    /// One limit for everything.
    pub fn limit(limit: Throttle) -> BTreeMap<String, Throttle> {
        BTreeMap::from([(EVERYTHING.to_owned(), limit)])
    }

    /// The versions that are wanted and don't serve yet.
    fn candidates(
        &self,
        live: &BTreeMap<String, Value<Version>>,
    ) -> Result<BTreeMap<String, String>> {
        let mut candidates = BTreeMap::new();
        for (function, version) in &self.functions {
            let version = version.get()?;
            if live.get(function).and_then(Value::known) != Some(version) {
                candidates.insert(function.clone(), version.0.clone());
            }
        }
        Ok(candidates)
    }

    /// What this is, for the record.
    fn draft(&self, cx: &Run, proof: &Proof, again: Option<u64>) -> Result<Record> {
        let mut functions = BTreeMap::new();
        for (function, version) in &self.functions {
            let version = version.get()?.0.clone();
            let code_sha256 = proof.release.package(function).code_sha256;
            functions.insert(function.clone(), Served { version, code_sha256 });
        }
        Ok(Record {
            again,
            deployment: self.deployment.clone(),
            throttling: self.throttling.clone(),
            functions,
            ..Record::new(cx, &proof.endpoints, &proof.release)
        })
    }

    /// Calls these versions, if they are to be proven, and waits for all that the stage needs, while the
    /// release is `begun`. If they don't keep their promise, or something is missing, it is taken back.
    async fn proven<T>(
        &self,
        cx: &Run,
        versions: &BTreeMap<String, String>,
        begun: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let on_record = history::known(cx);
        let proven = async {
            match &self.entry {
                Entry::Release { proof, .. } => proof.check(cx, versions).await,
                Entry::Return => Ok(()),
            }
        };
        // A version that Lambda couldn't prepare is known by its function sooner than by calling it.
        let proven = async { tokio::try_join!(proven, turn()) };
        let (proven, begun) = tokio::join!(proven, begun);
        if let Err(error) = proven {
            history::take_back(cx, &on_record).await;
            return Err(error);
        }
        begun
    }

    /// Has all these versions serve, at the same time as the stage moves.
    async fn flip(
        &self,
        cx: &Run,
        candidates: &BTreeMap<String, String>,
        stage: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        // Nobody can stop what follows; so not when another run is at it by now.
        if cx.lease.get().is_some_and(|lease| lease.lost_to().is_some()) {
            bail!(Stopped);
        }
        let flips = candidates.iter().map(|(function, version)| async move {
            versions::serve(cx, &cx.env.function(function), version, None).await
        });
        let (flipped, moved) = tokio::join!(join_all(flips), stage);
        flipped.into_iter().collect::<Result<()>>().and(moved)
    }

    /// The version that each function serves now; none without its alias.
    async fn serving(&self, cx: &Run) -> Result<BTreeMap<String, Option<String>>> {
        let serving = self.functions.keys().map(|function| async move {
            let version = versions::served(cx, &cx.env.function(function)).await?;
            Ok((function.clone(), version))
        });
        join_all(serving).await.into_iter().collect()
    }

    async fn make(&self, cx: &Run, api: &str) -> Result<StageName> {
        let all = self.candidates(&BTreeMap::new())?;
        // Its routes are tried by the smoke test: nobody has a key to them yet.
        let begun = async {
            let deployment = self.snapshot(cx, api).await?;
            if let Entry::Release { proof, again, .. } = &self.entry {
                history::begin(cx, self.draft(cx, proof, *again)?, true).await?;
            }
            Ok(deployment)
        };
        let deployment = match self.proven(cx, &all, begun).await {
            Ok(deployment) => deployment,
            Err(error) => {
                self.discard(cx, api).await;
                return Err(error);
            }
        };
        let variables: HashMap<String, String> = self.variables.clone().into_iter().collect();
        let request = || {
            let request = cx.apigateway.create_stage().rest_api_id(api).stage_name(&self.name);
            let request = request.deployment_id(&deployment).set_variables(Some(variables.clone()));
            request.set_tags(Some(cx.env.tags().into_iter().collect())).send()
        };
        let make = || cx.call_new("apigateway:CreateStage", request);
        let exists = |failure: &Failure| failure.is("ConflictException");
        match make_or_adopt(make, exists, || adopt(self, cx)).await? {
            Made::Adopted(name) => Ok(name),
            Made::New(_) => Ok(StageName(self.name.clone())),
        }
    }

    /// Sets what CreateStage can't, removes what isn't wanted, and moves the stage to a deployment.
    async fn configure(
        &self,
        cx: &Run,
        api: &str,
        deployment: Option<&str>,
        live: &Self,
    ) -> Result<()> {
        let wanted = self.settings(&cx.env, deployment);
        let patch = settings::between(&wanted, &live.settings(&cx.env, None));
        let Err(failure) = self.send(cx, api, &patch).await else { return Ok(()) };
        // API Gateway removes a thing once: a repeat, after an answer was lost, is refused. What the stage is like
        // now says whether that is so.
        if !failure.is("BadRequestException") && !failure.is_missing() {
            bail!(failure);
        }
        let get = || cx.apigateway.get_stage().rest_api_id(api).stage_name(&self.name).send();
        let now = cx.call_last("apigateway:GetStage", false, get).await.or_missing()?;
        let Some(now) = now else { bail!(failure) };
        let is = self.with_settings_of(&now, &cx.env).settings(&cx.env, now.deployment_id());
        let rest = settings::between(&wanted, &is);
        if rest == patch {
            bail!(failure);
        }
        Ok(self.send(cx, api, &rest).await?)
    }

    /// In as many requests as it takes.
    async fn send(&self, cx: &Run, api: &str, patch: &[PatchOperation]) -> Result<(), Failure> {
        for piece in patch.chunks(settings::PIECE) {
            let request = || {
                let request = cx.apigateway.update_stage().rest_api_id(api).stage_name(&self.name);
                request.set_patch_operations(Some(piece.to_vec())).send()
            };
            // Not to be stopped: what serves must not be left half moved.
            cx.call_last("apigateway:UpdateStage", true, request).await?;
        }
        Ok(())
    }
}

fn is_denied(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failure>().is_some_and(Failure::is_denied)
}

impl Resource<Run> for Stage {
    const KIND: &'static str = "stage";
    type Output = StageName;
    /// In whatever API bears the name: so it needn't wait for its routes to be read.
    const READS_ALONE: bool = true;
    /// The versions are proven as soon as they are there; what serves moves when all else is done.
    const EARLY: bool = true;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Run) -> Option<StageName> {
        Some(StageName(self.name.clone()))
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, StageName>>> {
        // Also without an API: numbers go on, and what kept releases need is spared.
        let records = async {
            match history::read(cx).await {
                // The bucket is another account's, which the bucket itself reports.
                Err(error) if is_denied(&error) => Ok(vec![]),
                records => records,
            }
        };
        let there = async {
            let Some(api) = api_id(cx).await? else {
                cx.lists.seen().deployments = Some(vec![]);
                return Ok(None);
            };
            let get = || {
                cx.apigateway.get_stage().rest_api_id(api.as_str()).stage_name(&self.name).send()
            };
            let stage = async { Ok(cx.call("apigateway:GetStage", get).await.or_missing()?) };
            let (stage, deployments) = tokio::try_join!(stage, deployments(cx, api.as_str()))?;
            cx.lists.seen().deployments = Some(deployments.clone());
            Ok::<_, anyhow::Error>(stage.map(|stage| (api, stage, deployments)))
        };
        let (there, functions, records) = tokio::join!(there, self.serving(cx), records);
        let (Some((api, stage, deployments)), records) = (there?, records?) else {
            return Ok(None);
        };
        let served = stage.deployment_id().unwrap_or_default();
        let hash = definition(&deployments, stage.deployment_id());
        let deployment = self.held(cx, api.as_str(), (served, hash)).await?;
        let functions = functions?;
        let serving = Serving { deployment: deployment.clone(), functions: functions.clone() };
        cx.lists.seen().serving = Some(serving);
        let version = |(short, version): (String, Option<String>)| {
            version.map(|version| (short, Version(version).into()))
        };
        let tags: Tags =
            stage.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let release = history::current(&records)
            .map(|record| standing(&record.version, &record.git_sha, record.state.word()));
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: StageName(self.name.clone()),
            id: format!("{}/{}", api.as_str(), self.name),
            props: Self {
                deployment,
                functions: functions.into_iter().filter_map(version).collect(),
                release: release.unwrap_or_default(),
                ..self.with_settings_of(&stage, &cx.env)
            },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<StageName> {
        let api = self.api.get()?.as_str();
        busy_or_gone(cx, api, self.make(cx, api).await).await
    }

    async fn update(&self, cx: &Run, live: &Live<Self, StageName>) -> Result<StageName> {
        let api = self.api.get()?.as_str();
        let change = async {
            let is = &live.props;
            let candidates = self.candidates(&is.functions)?;
            let new_routes = is.deployment != self.deployment;
            let serves_otherwise =
                new_routes || is.throttling != self.throttling || is.variables != self.variables;
            let watched = self.observation.as_ref().zip(is.observation.as_ref());
            let stage_moves =
                serves_otherwise || watched.is_some_and(|(wanted, is)| !wanted.is(is));
            // Other routes may call what serves already in another way.
            let calls = match new_routes {
                true => self.candidates(&BTreeMap::new())?,
                false => candidates.clone(),
            };
            let begun = async {
                // Before the snapshot, so that what it is of has been seen to be there.
                if let Entry::Release { proof, again: None, .. } = &self.entry
                    && new_routes
                {
                    proof.check_routes(cx, api, &calls).await?;
                }
                let deployment = match stage_moves {
                    true => self.snapshot(cx, api).await?,
                    false => String::new(),
                };
                if let Entry::Release { proof, again, .. } = &self.entry {
                    let moves = serves_otherwise || !candidates.is_empty();
                    history::begin(cx, self.draft(cx, proof, *again)?, moves).await?;
                }
                Ok(deployment)
            };
            let deployment = match self.proven(cx, &calls, begun).await {
                Ok(deployment) => deployment,
                Err(error) => {
                    if new_routes {
                        self.discard(cx, api).await;
                    }
                    return Err(error);
                }
            };
            if let (Entry::Release { proof, .. }, Some(canary)) = (&self.entry, &cx.canary) {
                canary.bake(cx, proof, &is.functions, &candidates).await?;
            }
            let stage = async {
                match stage_moves {
                    true => self.configure(cx, api, Some(&deployment), is).await,
                    false => Ok(()),
                }
            };
            self.flip(cx, &candidates, stage).await
        };
        busy_or_gone(cx, api, change.await).await?;
        Ok(live.output.clone())
    }

    /// What CreateStage can't set. Until then a new stage has no limits of its own; those of its plan, without
    /// which no key opens it, hold from the start.
    async fn settle(
        &self,
        cx: &Run,
        live: Option<&Live<Self, StageName>>,
        _: &StageName,
    ) -> Result<()> {
        if live.is_some() {
            return Ok(());
        }
        let api = self.api.get()?.as_str();
        let new = Self { throttling: BTreeMap::new(), observation: None, ..self.clone() };
        let all = self.candidates(&BTreeMap::new())?;
        let flipped = self.flip(cx, &all, self.configure(cx, api, None, &new)).await;
        busy_or_gone(cx, api, flipped).await
    }

    /// Goes with its API.
    async fn delete(_: &Run, _: &str) -> Result<()> {
        Ok(())
    }
}
