//! The stages that a usage plan is bound to, and those among them that don't exist.

use crate::ids::Throttle;
use crate::resources::method_names::from_usage_plan;
use crate::run::Run;
use anyhow::Result;
use aws_sdk_apigateway::types::{ApiStage, ThrottleSettings};
use std::collections::{BTreeMap, BTreeSet};

/// The stages that a plan is bound to, `<api id>:<stage>`, and the limits of routes on each.
pub(in super::super) type Bound = BTreeMap<String, BTreeMap<String, Throttle>>;

pub(super) fn bound_of(stages: &[ApiStage]) -> Bound {
    let limit = |(method, limit): (&String, &ThrottleSettings)| {
        let (rate, burst) = (limit.rate_limit(), limit.burst_limit());
        (from_usage_plan(method), Throttle { rate, burst })
    };
    let limits = |stage: &ApiStage| stage.throttle().into_iter().flatten().map(limit).collect();
    let name = |stage: &ApiStage| {
        format!("{}:{}", stage.api_id().unwrap_or("?"), stage.stage().unwrap_or("?"))
    };
    stages.iter().map(|stage| (name(stage), limits(stage))).collect()
}

/// Whether a stage, `<api id>:<stage>`, exists. One that these credentials may not read does.
async fn exists(cx: &Run, stage: &str) -> Result<bool> {
    let (api, stage) = stage.split_once(':').unwrap_or((stage, ""));
    let get = || cx.apigateway.get_stage().rest_api_id(api).stage_name(stage).send();
    match cx.call("apigateway:GetStage", get).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.is_missing() => Ok(false),
        Err(failure) if failure.is_denied() => Ok(true),
        Err(failure) => Err(failure.into()),
    }
}

/// Takes stages out that don't exist, but for those that are wanted, and remembers them. A plan may go on listing a stage
/// whose API was deleted, and API Gateway refuses to unbind it.
pub(super) async fn take_gone(
    cx: &Run,
    id: &str,
    bound: &mut Bound,
    wanted: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut gone = vec![];
    for stage in bound.keys().filter(|stage| !wanted.contains(*stage)) {
        if !exists(cx, stage).await? {
            gone.push(stage.clone());
        }
    }
    bound.retain(|stage, _| !gone.contains(stage));
    let mut seen = cx.lists.seen();
    seen.bound.insert(id.to_owned(), bound.clone());
    seen.gone.retain(|(plan, _)| plan != id);
    seen.gone.extend(gone.iter().map(|stage| (id.to_owned(), stage.clone())));
    drop(seen);
    Ok(gone)
}

/// What a plan and a status say of stages that don't exist and that the usage plan lists all the same.
pub fn gone_stages(cx: &Run) -> Vec<String> {
    let gone = cx.lists.seen().gone.clone();
    let line = |(plan, stage)| {
        format!(
            "usage plan {plan} lists stage {stage}, which doesn't exist; that admits no calls, and API Gateway \
             refuses to remove it from the plan. To be rid of it: remove the plan's stages that do exist (aws \
             apigateway update-usage-plan --usage-plan-id {plan} --patch-operations \
             op=remove,path=/apiStages,value=API:STAGE), then aws apigateway delete-usage-plan --usage-plan-id {plan}, \
             then deploy, which creates the plan again (callers get 403 meanwhile)"
        )
    };
    gone.into_iter().map(line).collect()
}
