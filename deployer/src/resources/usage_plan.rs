//! What a caller with a key may use: rate, burst and quota, on one stage.

use super::api_key::still_works;
use super::{
    ApiId, ApiKeyId, Aws, StageName, Throttle, gateway_gone, gone, is_ours, make_unlisted, outputs,
    owner,
};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Owned, Resource, Value};
use crate::env::Tags;
use crate::retry::make_once;
use anyhow::{Result, bail};
use aws_sdk_apigateway::types::{
    ApiStage, Op, PatchOperation, QuotaPeriodType, QuotaSettings, ThrottleSettings,
};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

outputs! { UsagePlanId }

/// The plan, the stages it is bound to and the keys that it is for.
#[derive(Debug, Serialize)]
pub struct UsagePlan {
    #[serde(skip)]
    pub name: String,
    #[serde(flatten)]
    pub limits: Limits,
    /// `<api id>:<stage>`, as patches name them.
    pub stages: Vec<Value<String>>,
    /// What one key may call of a route, by method and path: `GET /health`.
    pub routes: BTreeMap<String, Throttle>,
    /// Ids of API keys.
    pub keys: Vec<Value<ApiKeyId>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Requests a second.
    pub rate: f64,
    /// Requests at once.
    pub burst: i32,
    /// Requests a [`period`](Limits::period).
    pub quota: i32,
    /// `DAY`, `WEEK` or `MONTH`.
    pub period: String,
}

/// How a plan names a stage of an API.
pub fn stage_of(api: Value<ApiId>, stage: Value<StageName>) -> Value<String> {
    match (api, stage) {
        (Value::Known(api), Value::Known(stage)) => format!("{}:{}", api.0, stage.0).into(),
        (Value::From(origin), _) | (_, Value::From(origin)) => Value::From(origin),
    }
}

/// `/health/GET`, as plans name a method of a path; `//GET` at the root.
fn method_of(route: &str) -> String {
    route
        .split_once(' ')
        .map_or_else(|| route.to_owned(), |(method, path)| format!("{path}/{method}"))
}

fn route_of(method: &str) -> String {
    method
        .rsplit_once('/')
        .map_or_else(|| method.to_owned(), |(path, verb)| format!("{verb} {path}"))
}

/// The shares of routes, on each of a plan's stages.
fn routes_of(stages: &[ApiStage]) -> BTreeMap<String, Throttle> {
    let share = |(method, limit): (&String, &ThrottleSettings)| {
        let (rate, burst) = (limit.rate_limit(), limit.burst_limit());
        (route_of(method), Throttle { rate, burst })
    };
    stages.iter().filter_map(ApiStage::throttle).flatten().map(share).collect()
}

fn known<T: Clone + Ord>(values: &[Value<T>]) -> BTreeSet<T> {
    values.iter().filter_map(Value::known).cloned().collect()
}

/// A plan as lists tell of it, with its keys.
#[derive(Clone)]
pub(super) struct Plan {
    id: String,
    name: String,
    limits: Limits,
    stages: Vec<String>,
    routes: BTreeMap<String, Throttle>,
    tags: Tags,
    keys: Vec<String>,
}

impl Plan {
    fn of(plan: &aws_sdk_apigateway::types::UsagePlan, tags: Tags, keys: Vec<String>) -> Self {
        let period = plan.quota().and_then(|quota| quota.period());
        Self {
            id: plan.id().unwrap_or_default().to_owned(),
            name: plan.name().unwrap_or_default().to_owned(),
            limits: Limits {
                rate: plan.throttle().map_or(0.0, |throttle| throttle.rate_limit()),
                burst: plan.throttle().map_or(0, |throttle| throttle.burst_limit()),
                quota: plan.quota().map_or(0, |quota| quota.limit()),
                period: period.map_or("", |period| period.as_str()).to_owned(),
            },
            stages: plan.api_stages().iter().map(bound_stage).collect(),
            routes: routes_of(plan.api_stages()),
            tags,
            keys,
        }
    }
}

/// As patches name it.
fn bound_stage(stage: &ApiStage) -> String {
    format!("{}:{}", stage.api_id().unwrap_or("?"), stage.stage().unwrap_or("?"))
}

/// The plans whose name begins so, in an order that stays.
async fn list(cx: &Aws, prefix: &str) -> Result<Vec<Plan>> {
    match prefix == cx.env.name() {
        true => cx.lists.get(&cx.lists.plans, read_list(cx, prefix)).await,
        false => read_list(cx, prefix).await,
    }
}

async fn read_list(cx: &Aws, prefix: &str) -> Result<Vec<Plan>> {
    let (mut plans, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_usage_plans().limit(500);
            request.set_position(position.clone()).send()
        };
        let page = cx.call("apigateway:GetUsagePlans", request).await?;
        let named = page.items.unwrap_or_default().into_iter();
        let named = named.filter(|plan| plan.name().is_some_and(|name| name.starts_with(prefix)));
        let found = named.map(async |plan| {
            let id = plan.id().unwrap_or_default();
            let path = format!("/usageplans/{id}");
            let (tags, keys) = tokio::try_join!(super::gateway_tags(cx, &path), keys(cx, id))?;
            Ok::<_, anyhow::Error>(tags.map(|tags| Plan::of(&plan, tags, keys)))
        });
        plans.extend(try_join_all(found).await?.into_iter().flatten());
        position = page.position;
        if position.is_none() {
            plans.sort_by(|a, b| a.id.cmp(&b.id));
            cx.lists.seen().bound =
                plans.iter().map(|plan| (plan.id.clone(), plan.stages.clone())).collect();
            return Ok(plans);
        }
    }
}

async fn keys(cx: &Aws, plan: &str) -> Result<Vec<String>> {
    let (mut keys, mut position) = (vec![], None);
    loop {
        let request = || {
            let request = cx.apigateway.get_usage_plan_keys().usage_plan_id(plan).limit(500);
            request.set_position(position.clone()).send()
        };
        // Lists tell for a while of a plan that is gone.
        let page = cx.call("apigateway:GetUsagePlanKeys", request).await.or_missing()?;
        let Some(page) = page else { return Ok(keys) };
        keys.extend(page.items.unwrap_or_default().into_iter().filter_map(|key| key.id));
        position = page.position;
        if position.is_none() {
            return Ok(keys);
        }
    }
}

fn patch(op: Op, path: &str, value: impl Into<String>) -> PatchOperation {
    PatchOperation::builder().op(op).path(path).value(value).build()
}

/// UpdateUsagePlan is allowed once in 20 s: everything goes in one call, and none without need.
async fn apply(cx: &Aws, id: &str, patches: Vec<PatchOperation>) -> Result<()> {
    if patches.is_empty() {
        return Ok(());
    }
    let request = || {
        let request = cx.apigateway.update_usage_plan().usage_plan_id(id);
        request.set_patch_operations(Some(patches.clone())).send()
    };
    cx.call("apigateway:UpdateUsagePlan", request).await?;
    Ok(())
}

async fn attach(cx: &Aws, plan: &str, key: &str) -> Result<()> {
    let request = || {
        let request = cx.apigateway.create_usage_plan_key().usage_plan_id(plan);
        request.key_id(key).key_type("API_KEY").send()
    };
    match cx.call_new("apigateway:CreateUsagePlanKey", request).await {
        // Its answer was lost before.
        Err(failure) if keys(cx, plan).await?.iter().any(|attached| attached == key) => {
            drop(failure);
            Ok(())
        }
        result => Ok(result.map(drop)?),
    }
}

/// The stages of a plan; none when it is gone.
async fn bound_to(cx: &Aws, id: &str) -> Result<Vec<String>> {
    let get = || cx.apigateway.get_usage_plan().usage_plan_id(id).send();
    let plan = cx.call("apigateway:GetUsagePlan", get).await.or_missing()?;
    Ok(plan.iter().flat_map(|plan| plan.api_stages()).map(bound_stage).collect())
}

/// The stage's plan admits one more key.
pub(super) async fn admit(cx: &Aws, key: &ApiKeyId) -> Result<()> {
    let name = cx.env.name();
    let ours = |plan: &Plan| plan.name == name && is_ours(&cx.env, &plan.tags);
    let Some(plan) = list(cx, &name).await?.into_iter().find(ours) else {
        bail!("usage plan {name} is not there");
    };
    match plan.keys.contains(&key.0) {
        true => Ok(()),
        false => attach(cx, &plan.id, &key.0).await,
    }
}

impl UsagePlan {
    /// Whether limits and stages are as wanted.
    async fn is_applied(&self, cx: &Aws, id: &str) -> Result<bool> {
        let plans = list(cx, &self.name).await?;
        let plan = plans.into_iter().find(|plan| plan.id == id);
        Ok(plan.is_some_and(|plan| {
            let stages: BTreeSet<String> = plan.stages.into_iter().collect();
            plan.limits == self.limits
                && stages == known(&self.stages)
                && plan.routes == self.routes
        }))
    }

    fn shares(&self) -> HashMap<String, ThrottleSettings> {
        let share = |(route, Throttle { rate, burst }): (&String, &Throttle)| {
            let limit = ThrottleSettings::builder().rate_limit(*rate).burst_limit(*burst).build();
            (method_of(route), limit)
        };
        self.routes.iter().map(share).collect()
    }

    /// Gives a stage these shares and no others.
    fn share_patch(&self, stage: &str) -> PatchOperation {
        let share = |(route, Throttle { rate, burst }): (&String, &Throttle)| {
            (method_of(route), json!({ "rateLimit": rate, "burstLimit": burst }))
        };
        // As one value: parts of it would name paths, slashes and all, in a path (API Gateway, "Patch
        // operations").
        let shares: serde_json::Map<String, _> = self.routes.iter().map(share).collect();
        let path = format!("/apiStages/{stage}/throttle");
        patch(Op::Replace, &path, serde_json::Value::from(shares).to_string())
    }

    async fn make(&self, cx: &Aws) -> Result<String> {
        let Limits { rate, burst, quota, period } = &self.limits;
        let throttle = ThrottleSettings::builder().rate_limit(*rate).burst_limit(*burst).build();
        let period = QuotaPeriodType::from(period.as_str());
        let quota = QuotaSettings::builder().limit(*quota).period(period).build();
        let stage = |stage: &String| {
            let (api, stage) = stage.split_once(':').unwrap_or((stage, ""));
            let stage = ApiStage::builder().api_id(api).stage(stage);
            stage.set_throttle(Some(self.shares())).build()
        };
        let stages: Vec<ApiStage> = known(&self.stages).iter().map(stage).collect();
        let look = async || {
            let mut ours = list(cx, &self.name).await?;
            ours.retain(|plan| plan.name == self.name && is_ours(&cx.env, &plan.tags));
            Ok(ours.into_iter().next().map(|plan| plan.id))
        };
        let make = async || {
            let request = || {
                let request = cx.apigateway.create_usage_plan().name(&self.name);
                let request = request.throttle(throttle.clone()).quota(quota.clone());
                // Bound to its stage from the start: that saves an UpdateUsagePlan.
                let request = request.set_api_stages(Some(stages.clone()));
                request.set_tags(Some(cx.env.tags().into_iter().collect())).send()
            };
            make_unlisted(cx, async {
                Ok(cx.call_new("apigateway:CreateUsagePlan", request).await?.id)
            })
            .await
        };
        // Whoever asks for it has just seen that it isn't there.
        make_once(look, make).await
    }
}

impl Resource<Aws> for UsagePlan {
    const KIND: &'static str = "usage plan";
    type Output = UsagePlanId;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Aws) -> Result<Option<Live<Self, UsagePlanId>>> {
        let plans = list(cx, &self.name).await?.into_iter();
        let found = plans
            .filter(|plan| plan.name == self.name)
            .min_by_key(|plan| !is_ours(&cx.env, &plan.tags));
        let Some(plan) = found else { return Ok(None) };
        let declared = |id: &String| {
            self.keys.iter().filter_map(Value::known).any(|declared| declared.0 == *id)
        };
        let mut attached = vec![];
        for id in plan.keys {
            // One that was rotated stays until its time is over.
            if declared(&id) || !still_works(cx, &id).await? {
                attached.push(id);
            }
        }
        attached.sort();
        Ok(Some(Live {
            owner: owner(&cx.env, &plan.tags),
            output: UsagePlanId(plan.id.clone()),
            props: Self {
                name: plan.name,
                limits: plan.limits,
                stages: plan.stages.into_iter().map(Value::from).collect(),
                routes: plan.routes,
                keys: attached.into_iter().map(|id| ApiKeyId(id).into()).collect(),
            },
            id: plan.id,
        }))
    }

    async fn create(&self, cx: &Aws) -> Result<UsagePlanId> {
        let id = self.make(cx).await?;
        for key in &self.keys {
            attach(cx, &id, key.get()?.as_str()).await?;
        }
        Ok(UsagePlanId(id))
    }

    async fn update(&self, cx: &Aws, live: &Live<Self, UsagePlanId>) -> Result<UsagePlanId> {
        let (is, id) = (&live.props, &live.id);
        let mut patches = vec![];
        if is.limits != self.limits {
            let Limits { rate, burst, quota, period } = &self.limits;
            patches.push(patch(Op::Replace, "/throttle/rateLimit", rate.to_string()));
            patches.push(patch(Op::Replace, "/throttle/burstLimit", burst.to_string()));
            patches.push(patch(Op::Replace, "/quota/limit", quota.to_string()));
            patches.push(patch(Op::Replace, "/quota/period", period));
        }
        let (are, wanted) = (known(&is.stages), known(&self.stages));
        patches.extend(wanted.difference(&are).map(|stage| patch(Op::Add, "/apiStages", stage)));
        let unshared =
            wanted.iter().filter(|stage| is.routes != self.routes || !are.contains(*stage));
        patches.extend(unshared.map(|stage| self.share_patch(stage)));
        let stays = patches.clone();
        patches.extend(are.difference(&wanted).map(|stage| patch(Op::Remove, "/apiStages", stage)));
        match apply(cx, id, patches).await {
            // A stage that is gone can't be removed, and is none.
            Err(error) if error.downcast_ref().is_some_and(Failure::is_missing) => {
                apply(cx, id, stays).await?;
            }
            // An answer was lost, and a stage can't be added or removed twice.
            Err(_) if self.is_applied(cx, id).await? => {}
            result => result?,
        }

        let ids = |keys: &[Value<ApiKeyId>]| -> BTreeSet<String> {
            keys.iter().filter_map(Value::known).map(|key| key.0.clone()).collect()
        };
        let (are, wanted) = (ids(&is.keys), ids(&self.keys));
        for key in wanted.difference(&are) {
            attach(cx, id, key).await?;
        }
        for key in are.difference(&wanted) {
            let request =
                || cx.apigateway.delete_usage_plan_key().usage_plan_id(id).key_id(key).send();
            gone(cx.call("apigateway:DeleteUsagePlanKey", request).await)?;
        }
        Ok(live.output.clone())
    }

    /// A plan that is bound to a stage can't be deleted; one whose stage is gone can't be unbound.
    async fn delete(cx: &Aws, id: &str) -> Result<()> {
        let seen = cx.lists.seen().bound.get(id).cloned();
        let bound = match seen {
            Some(bound) => bound,
            None => bound_to(cx, id).await?,
        };
        let unbind = bound.into_iter().map(|stage| patch(Op::Remove, "/apiStages", stage));
        match apply(cx, id, unbind.collect()).await {
            Err(error) if !error.downcast_ref().is_some_and(Failure::is_missing) => {
                return Err(error);
            }
            _ => {}
        }
        let request = || cx.apigateway.delete_usage_plan().usage_plan_id(id).send();
        let deleted = cx.call("apigateway:DeleteUsagePlan", request).await;
        gateway_gone(cx, &format!("/usageplans/{id}"), deleted).await
    }

    async fn owned(cx: &Aws) -> Result<Vec<Owned>> {
        let plans = list(cx, &cx.env.name()).await?.into_iter();
        let ours = plans.filter(|plan| is_ours(&cx.env, &plan.tags));
        Ok(ours.map(|plan| Owned { name: plan.name, id: plan.id }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_again_by_the_name_that_plans_have_for_it() {
        for (route, method) in
            [("GET /", "//GET"), ("GET /health", "/health/GET"), ("PUT /a/{b}", "/a/{b}/PUT")]
        {
            assert_eq!((method_of(route).as_str(), route_of(method).as_str()), (method, route));
        }
    }
}
