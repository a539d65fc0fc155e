//! The API's stage: which deployment of its routes is served, and how fast.

use super::rest_api::busy_or_gone;
use super::{ApiId, Aws, gone, outputs, owner};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Resource, Value};
use crate::env::Tags;
use crate::retry::{Made, look_then_make, make_or_adopt};
use anyhow::Result;
use aws_sdk_apigateway::types::{MethodSetting, Op, PatchOperation};
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
    /// The definition that is served, by its fingerprint.
    pub deployment: String,
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
    /// A stage with one limit for everything.
    pub fn limited(name: String, api: Value<ApiId>, deployment: String, limit: Throttle) -> Self {
        let throttling = BTreeMap::from([(EVERYTHING.to_owned(), limit)]);
        Self { api, name, deployment, throttling, unserved: vec![] }
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
        self.configure(cx, api, &deployment, &BTreeMap::new()).await?;
        Ok(StageName(self.name.clone()))
    }

    /// Sets what CreateStage can't, removes what isn't wanted, and moves the stage to a deployment.
    async fn configure(
        &self,
        cx: &Aws,
        api: &str,
        deployment: &str,
        live: &BTreeMap<String, Throttle>,
    ) -> Result<(), Failure> {
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
        cx.call_new("apigateway:UpdateStage", request).await.map(drop)
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
        let (stage, deployments) = tokio::join!(stage, deployments(cx, api.as_str()));
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
            let deployment = self.deployment(cx, api).await?;
            self.configure(cx, api, &deployment, &live.props.throttling).await?;
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
