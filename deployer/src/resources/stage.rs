//! The API's stage: which deployment of its routes is served, by which versions, and how fast. What
//! serves changes here, all at once, and only after it was proven.

use super::rest_api::busy_or_gone;
use super::{ApiId, Aws, Proof, Version, function, gone, outputs, owner};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Resource, Value};
use crate::env::Tags;
use crate::retry::{Made, look_then_make, make_or_adopt};
use anyhow::Result;
use aws_sdk_apigateway::types::{MethodSetting, Op, PatchOperation};
use futures_util::future::join_all;
use serde::Serialize;
use std::collections::BTreeMap;

outputs! { StageName }

/// A stage owns its deployments: snapshots of the routes, each named by the hash of what it holds.
#[derive(Debug, Serialize)]
pub struct Stage {
    #[serde(skip)]
    pub api: Value<ApiId>,
    #[serde(skip)]
    pub name: String,
    /// What is proven before it serves.
    #[serde(skip)]
    pub proof: Proof,
    /// The definition that is served, by its fingerprint.
    pub deployment: String,
    /// The version that serves, by the function's short name.
    pub functions: BTreeMap<String, Value<Version>>,
    /// By method, as method settings name it: [`EVERYTHING`], or `~1health/GET`.
    pub throttling: BTreeMap<String, Throttle>,
    /// Deployments, by id, that no stage serves any more. We want none.
    pub unserved: Vec<String>,
}

/// A limit over all callers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Throttle {
    /// Requests a second.
    pub rate: f64,
    /// Requests at once.
    pub burst: i32,
}

/// All methods of all paths. A setting for one method would count more.
const EVERYTHING: &str = "*/*";

struct Deployment {
    id: String,
    description: String,
}

async fn deployments(cx: &Aws, api: &str) -> Result<Vec<Deployment>> {
    let (mut found, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_deployments().rest_api_id(api).limit(500);
            request.set_position(position.clone()).send()
        };
        let Some(page) = cx.call("apigateway:GetDeployments", request).await.or_missing()? else {
            return Ok(vec![]);
        };
        found.extend(page.items.unwrap_or_default().into_iter().map(|deployment| Deployment {
            id: deployment.id.unwrap_or_default(),
            description: deployment.description.unwrap_or_default(),
        }));
        position = page.position;
        if position.is_none() {
            return Ok(found);
        }
    }
}

/// Which of these no stage serves, whosever it is.
async fn unserved(cx: &Aws, api: &str, deployments: &[Deployment]) -> Result<Vec<String>> {
    if deployments.len() < 2 {
        return Ok(vec![]); // it is the stage's own
    }
    let request = || cx.apigateway.get_stages().rest_api_id(api).send();
    let answer = cx.call("apigateway:GetStages", request).await.or_missing()?;
    let stages = answer.and_then(|answer| answer.item).unwrap_or_default();
    let served = |id: &str| stages.iter().any(|stage| stage.deployment_id() == Some(id));
    Ok(deployments.iter().map(|d| d.id.clone()).filter(|id| !served(id)).collect())
}

impl Stage {
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

    /// Has all these versions serve, at the same time as the stage moves.
    async fn flip(
        &self,
        cx: &Aws,
        candidates: &BTreeMap<String, String>,
        stage: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let flips = candidates.iter().map(|(function, version)| async move {
            function::serve(cx, &cx.env.function(function), version).await
        });
        let (flipped, moved) = tokio::join!(join_all(flips), stage);
        flipped.into_iter().collect::<Result<()>>().and(moved)
    }

    /// The versions that serve now.
    async fn serving(&self, cx: &Aws) -> Result<BTreeMap<String, Value<Version>>> {
        let serving = self.functions.keys().map(|function| async move {
            let version = function::served(cx, &cx.env.function(function)).await?;
            Ok(version.map(|version| (function.clone(), Version(version).into())))
        });
        let serving: Result<Vec<_>> = join_all(serving).await.into_iter().collect();
        Ok(serving?.into_iter().flatten().collect())
    }

    fn description(&self) -> String {
        format!("definition {}", self.deployment)
    }

    /// The deployment of these routes: the one that is there, or a new one.
    async fn deployment(&self, cx: &Aws, api: &str) -> Result<String> {
        let look = async || {
            let found = deployments(cx, api).await?.into_iter();
            Ok(found.filter(|d| d.description == self.description()).map(|d| d.id).next())
        };
        let make = async || {
            // Without a stage name: with one, AWS makes or moves the stage too, without tags.
            let request = || {
                let request = cx.apigateway.create_deployment().rest_api_id(api);
                request.description(self.description()).send()
            };
            let made = cx.call_new("apigateway:CreateDeployment", request).await?;
            Ok(made.id.unwrap_or_default())
        };
        look_then_make(look, make).await
    }

    /// The settings come in a second call: until it is through, the stage has no limits. The key
    /// that opens it is bound later, so nobody can use that.
    async fn make(&self, cx: &Aws, api: &str) -> Result<StageName> {
        let deployment = self.deployment(cx, api).await?;
        let all = self.candidates(&BTreeMap::new())?;
        self.proof.check(cx, &all).await?;
        let request = || {
            let request = cx.apigateway.create_stage().rest_api_id(api).stage_name(&self.name);
            let request = request.deployment_id(&deployment);
            request.set_tags(Some(cx.env.tags().into_iter().collect())).send()
        };
        let make = || cx.call_new("apigateway:CreateStage", request);
        let exists = |failure: &Failure| failure.is("ConflictException");
        if let Made::Adopted(name) = make_or_adopt(make, exists, || super::adopt(self, cx)).await? {
            return Ok(name);
        }
        let unset = BTreeMap::new();
        self.flip(cx, &all, self.configure(cx, api, &deployment, &unset)).await?;
        Ok(StageName(self.name.clone()))
    }

    /// Sets what CreateStage can't, removes what isn't wanted, and moves the stage to a deployment.
    async fn configure(
        &self,
        cx: &Aws,
        api: &str,
        deployment: &str,
        live: &BTreeMap<String, Throttle>,
    ) -> Result<()> {
        let replace = |path: &str, value: String| {
            PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
        };
        let mut patch = vec![replace("/deploymentId", deployment.to_owned())];
        for method in live.keys().filter(|method| !self.throttling.contains_key(*method)) {
            // The whole key: AWS refuses to remove its parts (UpdateStage).
            let remove = PatchOperation::builder().op(Op::Remove).path(format!("/{method}"));
            patch.push(remove.build());
        }
        for (method, Throttle { rate, burst }) in &self.throttling {
            patch.push(replace(&format!("/{method}/throttling/rateLimit"), rate.to_string()));
            patch.push(replace(&format!("/{method}/throttling/burstLimit"), burst.to_string()));
        }
        let request = || {
            let request = cx.apigateway.update_stage().rest_api_id(api).stage_name(&self.name);
            request.set_patch_operations(Some(patch.clone())).send()
        };
        cx.call_new("apigateway:UpdateStage", request).await?;
        Ok(())
    }

    /// Deletes the deployments that no stage serves any more.
    async fn prune(&self, cx: &Aws, api: &str) -> Result<()> {
        for id in unserved(cx, api, &deployments(cx, api).await?).await? {
            let request =
                || cx.apigateway.delete_deployment().rest_api_id(api).deployment_id(&id).send();
            gone(cx.call("apigateway:DeleteDeployment", request).await)?;
        }
        Ok(())
    }
}

impl Resource<Aws> for Stage {
    const KIND: &'static str = "stage";
    type Output = StageName;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Aws) -> Result<Option<Live<Self, StageName>>> {
        let Some(api) = self.api.known() else { return Ok(None) };
        let get =
            || cx.apigateway.get_stage().rest_api_id(api.as_str()).stage_name(&self.name).send();
        let stage = async { cx.call("apigateway:GetStage", get).await.or_missing() };
        let (stage, deployments, functions) =
            tokio::join!(stage, deployments(cx, api.as_str()), self.serving(cx));
        let (Some(stage), deployments) = (stage?, deployments?) else { return Ok(None) };
        let served = stage.deployment_id().unwrap_or_default();
        let description = deployments.iter().find(|d| d.id == served).map(|d| &d.description);
        let hash = description.and_then(|description| description.strip_prefix("definition "));
        let tags: Tags =
            stage.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let throttle = |(method, settings): (&String, &MethodSetting)| {
            let (rate, burst) =
                (settings.throttling_rate_limit(), settings.throttling_burst_limit());
            (method.clone(), Throttle { rate, burst })
        };
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: StageName(self.name.clone()),
            id: format!("{}/{}", api.as_str(), self.name),
            props: Self {
                api: self.api.clone(),
                name: self.name.clone(),
                deployment: hash.map_or_else(|| format!("not ours ({served})"), ToOwned::to_owned),
                throttling: stage.method_settings().into_iter().flatten().map(throttle).collect(),
                functions: functions?,
                proof: self.proof.clone(),
                unserved: unserved(cx, api.as_str(), &deployments).await?,
            },
        }))
    }

    async fn create(&self, cx: &Aws) -> Result<StageName> {
        let api = self.api.get()?.as_str();
        busy_or_gone(cx, api, self.make(cx, api).await).await
    }

    async fn update(&self, cx: &Aws, live: &Live<Self, StageName>) -> Result<StageName> {
        let api = self.api.get()?.as_str();
        let change = async {
            let is = &live.props;
            let deployment = self.deployment(cx, api).await?;
            let candidates = self.candidates(&is.functions)?;
            // Other routes may call what serves already in another way.
            match is.deployment == self.deployment {
                true => self.proof.check(cx, &candidates).await?,
                false => self.proof.check(cx, &self.candidates(&BTreeMap::new())?).await?,
            }
            let stage = async {
                match is.deployment == self.deployment && is.throttling == self.throttling {
                    true => Ok(()),
                    false => self.configure(cx, api, &deployment, &is.throttling).await,
                }
            };
            self.flip(cx, &candidates, stage).await?;
            self.prune(cx, api).await
        };
        busy_or_gone(cx, api, change.await).await?;
        Ok(live.output.clone())
    }

    /// Goes with its API.
    async fn delete(_: &Aws, _: &str) -> Result<()> {
        Ok(())
    }
}
