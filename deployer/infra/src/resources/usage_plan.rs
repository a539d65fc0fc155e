//! What a caller with a key may use: rate, burst and quota, on one stage.

mod bound;

use super::api_key::still_works;
use super::listed::make_unlisted;
use super::method_names::in_usage_plan;
use super::ownership::{gateway_gone, gone, is_ours, owner};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Owned, Resource, Value};
use crate::env::Tags;
use crate::ids::{ApiId, ApiKeyId, StageName, Throttle, UsagePlanId};
use crate::retry::make_once;
use crate::run::Run;
use anyhow::{Context, Result, bail};
use aws_sdk_apigateway::types::{
    ApiStage, Op, PatchOperation, QuotaPeriodType, QuotaSettings, ThrottleSettings,
};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) use bound::Bound;
pub use bound::gone_stages;
use bound::{bound_of, take_gone};

/// The plan, the stages it is bound to and the keys that it is for.
#[derive(Debug, Serialize)]
pub struct UsagePlan {
    #[serde(skip)]
    pub name: String,
    #[serde(flatten)]
    pub limits: Limits,
    /// `<api id>:<stage>`, as patches name them.
    pub stages: Vec<Value<String>>,
    /// What one key may call of a route that has a limit of its own, by method and path: `GET /health`.
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

fn known<T: Clone + Ord>(values: &[Value<T>]) -> BTreeSet<T> {
    values.iter().filter_map(Value::known).cloned().collect()
}

/// A plan as lists tell of it, with its keys.
#[derive(Clone)]
pub(super) struct Plan {
    id: String,
    name: String,
    limits: Limits,
    bound: Bound,
    tags: Tags,
    keys: Vec<String>,
}

fn limits_of(throttle: Option<&ThrottleSettings>, quota: Option<&QuotaSettings>) -> Limits {
    let period = quota.and_then(QuotaSettings::period);
    Limits {
        rate: throttle.map_or(0.0, ThrottleSettings::rate_limit),
        burst: throttle.map_or(0, ThrottleSettings::burst_limit),
        quota: quota.map_or(0, QuotaSettings::limit),
        period: period.map_or("", |period| period.as_str()).to_owned(),
    }
}

impl Plan {
    fn of(plan: &aws_sdk_apigateway::types::UsagePlan, tags: Tags, keys: Vec<String>) -> Self {
        Self {
            id: plan.id().unwrap_or_default().to_owned(),
            name: plan.name().unwrap_or_default().to_owned(),
            limits: limits_of(plan.throttle(), plan.quota()),
            bound: bound_of(plan.api_stages()),
            tags,
            keys,
        }
    }
}

/// The plans whose name begins so, in an order that stays.
async fn list(cx: &Run, prefix: &str) -> Result<Vec<Plan>> {
    match prefix == cx.env.name() {
        true => cx.lists.get(&cx.lists.plans, read_list(cx, prefix)).await,
        false => read_list(cx, prefix).await,
    }
}

async fn read_list(cx: &Run, prefix: &str) -> Result<Vec<Plan>> {
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
            let (tags, keys) =
                tokio::try_join!(super::ownership::gateway_tags(cx, &path), keys(cx, id))?;
            Ok::<_, anyhow::Error>(tags.map(|tags| Plan::of(&plan, tags, keys)))
        });
        plans.extend(try_join_all(found).await?.into_iter().flatten());
        position = page.position;
        if position.is_none() {
            plans.sort_by(|a, b| a.id.cmp(&b.id));
            cx.lists.seen().bound =
                plans.iter().map(|plan| (plan.id.clone(), plan.bound.clone())).collect();
            return Ok(plans);
        }
    }
}

async fn keys(cx: &Run, plan: &str) -> Result<Vec<String>> {
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
async fn apply(cx: &Run, id: &str, patches: Vec<PatchOperation>) -> Result<()> {
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

async fn attach(cx: &Run, plan: &str, key: &str) -> Result<()> {
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

/// A plan as it is now; none when it is gone.
async fn look(cx: &Run, id: &str) -> Result<Option<(Limits, Bound)>> {
    let get = || cx.apigateway.get_usage_plan().usage_plan_id(id).send();
    let plan = cx.call("apigateway:GetUsagePlan", get).await.or_missing()?;
    Ok(plan.map(|plan| (limits_of(plan.throttle(), plan.quota()), bound_of(plan.api_stages()))))
}

/// The stages that the plan is bound to, as they were read last.
async fn bound(cx: &Run, id: &str) -> Result<Bound> {
    let seen = cx.lists.seen().bound.get(id).cloned();
    match seen {
        Some(bound) => Ok(bound),
        None => Ok(look(cx, id).await?.map(|(_, bound)| bound).unwrap_or_default()),
    }
}

/// The stage's plan admits one more key.
pub(super) async fn admit(cx: &Run, key: &ApiKeyId) -> Result<()> {
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
    fn limits_of_routes(&self) -> HashMap<String, ThrottleSettings> {
        let limit = |(route, Throttle { rate, burst }): (&String, &Throttle)| {
            let limit = ThrottleSettings::builder().rate_limit(*rate).burst_limit(*burst).build();
            (in_usage_plan(route), limit)
        };
        self.routes.iter().map(limit).collect()
    }

    /// What changes a plan with these limits and stages into this one.
    fn patches(&self, limits: &Limits, bound: &Bound) -> Vec<PatchOperation> {
        let mut patches = vec![];
        if *limits != self.limits {
            let Limits { rate, burst, quota, period } = &self.limits;
            patches.push(patch(Op::Replace, "/throttle/rateLimit", rate.to_string()));
            patches.push(patch(Op::Replace, "/throttle/burstLimit", burst.to_string()));
            patches.push(patch(Op::Replace, "/quota/limit", quota.to_string()));
            patches.push(patch(Op::Replace, "/quota/period", period));
        }
        let wanted = known(&self.stages);
        for stage in &wanted {
            let is = bound.get(stage);
            if is.is_none() {
                patches.push(patch(Op::Add, "/apiStages", stage));
            }
            if is.map_or(!self.routes.is_empty(), |is| *is != self.routes) {
                patches.push(self.patch_of_routes(stage));
            }
        }
        let unwanted = bound.keys().filter(|stage| !wanted.contains(*stage));
        patches.extend(unwanted.map(|stage| patch(Op::Remove, "/apiStages", stage)));
        patches
    }

    /// Gives routes of a stage these limits and no others.
    fn patch_of_routes(&self, stage: &str) -> PatchOperation {
        let path = format!("/apiStages/{stage}/throttle");
        if self.routes.is_empty() {
            return PatchOperation::builder().op(Op::Remove).path(path).build();
        }
        let limit = |(route, Throttle { rate, burst }): (&String, &Throttle)| {
            (in_usage_plan(route), json!({ "rateLimit": rate, "burstLimit": burst }))
        };
        // As one value: parts of it would name paths, slashes and all, in a path (API Gateway, "Patch
        // operations").
        let limits: serde_json::Map<String, _> = self.routes.iter().map(limit).collect();
        patch(Op::Replace, &path, serde_json::Value::from(limits).to_string())
    }

    async fn make(&self, cx: &Run) -> Result<String> {
        let Limits { rate, burst, quota, period } = &self.limits;
        let throttle = ThrottleSettings::builder().rate_limit(*rate).burst_limit(*burst).build();
        let period = QuotaPeriodType::from(period.as_str());
        let quota = QuotaSettings::builder().limit(*quota).period(period).build();
        let stage = |stage: &String| {
            let (api, stage) = stage.split_once(':').unwrap_or((stage, ""));
            let stage = ApiStage::builder().api_id(api).stage(stage);
            let limits = Some(self.limits_of_routes()).filter(|limits| !limits.is_empty());
            stage.set_throttle(limits).build()
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

impl Resource<Run> for UsagePlan {
    const KIND: &'static str = "usage plan";
    type Output = UsagePlanId;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, UsagePlanId>>> {
        let plans = list(cx, &self.name).await?.into_iter();
        let found = plans
            .filter(|plan| plan.name == self.name)
            .min_by_key(|plan| !is_ours(&cx.env, &plan.tags));
        let Some(mut plan) = found else { return Ok(None) };
        let wanted = known(&self.stages);
        // Else it is to be changed anyway, and the plan shows from what.
        if wanted.iter().all(|stage| plan.bound.contains_key(stage)) && !wanted.is_empty() {
            take_gone(cx, &plan.id, &mut plan.bound, &wanted).await?;
        }
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
                stages: plan.bound.keys().cloned().map(Value::from).collect(),
                routes: plan.bound.into_values().flatten().collect(),
                keys: attached.into_iter().map(|id| ApiKeyId(id).into()).collect(),
            },
            id: plan.id,
        }))
    }

    async fn create(&self, cx: &Run) -> Result<UsagePlanId> {
        let id = self.make(cx).await?;
        for key in &self.keys {
            attach(cx, &id, key.get()?.as_str()).await?;
        }
        Ok(UsagePlanId(id))
    }

    async fn update(&self, cx: &Run, live: &Live<Self, UsagePlanId>) -> Result<UsagePlanId> {
        let (is, id) = (&live.props, &live.id);
        let patches = self.patches(&is.limits, &bound(cx, id).await?);
        if let Err(error) = apply(cx, id, patches.clone()).await {
            // All or nothing was done. All, when an answer was lost: a stage can't be added or removed twice.
            // Nothing, when a stage is gone that was to be removed.
            let Ok(Some((limits, mut bound))) = look(cx, id).await else { return Err(error) };
            let wanted = known(&self.stages);
            let Ok(_) = take_gone(cx, id, &mut bound, &wanted).await else { return Err(error) };
            let rest = self.patches(&limits, &bound);
            if rest == patches {
                return Err(error);
            }
            apply(cx, id, rest).await?;
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
    async fn delete(cx: &Run, id: &str) -> Result<()> {
        let unbind = |bound: Bound| {
            bound.into_keys().map(|stage| patch(Op::Remove, "/apiStages", stage)).collect()
        };
        let mut gone = vec![];
        match apply(cx, id, unbind(bound(cx, id).await?)).await {
            Err(error) if error.downcast_ref().is_some_and(Failure::is_missing) => {
                let Some((_, mut bound)) = look(cx, id).await? else { return Ok(()) };
                gone = take_gone(cx, id, &mut bound, &BTreeSet::new()).await?;
                apply(cx, id, unbind(bound)).await?;
            }
            result => result?,
        }
        let request = || cx.apigateway.delete_usage_plan().usage_plan_id(id).send();
        let deleted = cx.call("apigateway:DeleteUsagePlan", request).await;
        let deleted = gateway_gone(cx, &format!("/usageplans/{id}"), deleted).await;
        if gone.is_empty() {
            return deleted;
        }
        deleted.with_context(|| {
            format!("it lists {}, which no longer exists and can't be unbound", gone.join(", "))
        })
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let plans = list(cx, &cx.env.name()).await?.into_iter();
        let ours = plans.filter(|plan| is_ours(&cx.env, &plan.tags));
        Ok(ours.map(|plan| Owned { name: plan.name, id: plan.id }).collect())
    }
}
