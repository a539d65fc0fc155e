//! How much room the account has left for a stage: AWS's quotas for what a stage is made of.

use super::rest_api;
use crate::run::Run;
use anyhow::Result;

/// Regional APIs in a region (API Gateway: "Quotas for configuring and running a REST API"). It can't be
/// raised, and no operation tells it.
const APIS: i64 = 600;

/// API keys in a region (the same page).
const KEYS: i64 = 10_000;

/// Usage plans in a region, unless it was raised (the same page).
const PLANS: i64 = 300;

/// How many there are, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub used: i64,
    pub limit: i64,
}

/// What Lambda allows the account in this region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LambdaRoom {
    /// Calls at once that no function has reserved for itself, of so many. `None` where Lambda doesn't say.
    pub unreserved: Option<i64>,
    pub concurrency: i64,
    /// Bytes of all versions of all functions.
    pub code: Room,
}

/// # Errors
/// When Lambda doesn't tell.
pub async fn lambda_room(cx: &Run) -> Result<LambdaRoom> {
    let request = || cx.lambda.get_account_settings().send();
    let answer = cx.call("lambda:GetAccountSettings", request).await?;
    let limit = answer.account_limit();
    Ok(LambdaRoom {
        unreserved: limit.and_then(|l| l.unreserved_concurrent_executions()).map(i64::from),
        concurrency: limit.map_or(0, |limit| limit.concurrent_executions()).into(),
        code: Room {
            used: answer.account_usage().map_or(0, |usage| usage.total_code_size()),
            limit: limit.map_or(0, |limit| limit.total_code_size()),
        },
    })
}

/// Of roles, in the account; `None` where IAM doesn't say.
///
/// # Errors
/// When IAM can't be asked.
pub async fn role_room(cx: &Run) -> Result<Option<Room>> {
    let request = || cx.iam.get_account_summary().send();
    let answer = cx.call("iam:GetAccountSummary", request).await?;
    let map = answer.summary_map.unwrap_or_default();
    let value = |name: &str| {
        map.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| i64::from(*value))
    };
    Ok(value("Roles").zip(value("RolesQuota")).map(|(used, limit)| Room { used, limit }))
}

/// Of regional REST APIs.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn api_room(cx: &Run) -> Result<Room> {
    Ok(Room { used: number(rest_api::count_regional(cx).await?), limit: APIS })
}

/// Of API keys.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn key_room(cx: &Run) -> Result<Room> {
    let (mut used, mut position) = (0, None);
    loop {
        let request =
            || cx.apigateway.get_api_keys().limit(500).set_position(position.clone()).send();
        let page = cx.call("apigateway:GetApiKeys", request).await?;
        used += number(page.items().len());
        position = page.position;
        if position.is_none() {
            return Ok(Room { used, limit: KEYS });
        }
    }
}

/// Of usage plans.
///
/// # Errors
/// When API Gateway can't be asked.
pub async fn plan_room(cx: &Run) -> Result<Room> {
    let (mut used, mut position) = (0, None);
    loop {
        let request =
            || cx.apigateway.get_usage_plans().limit(500).set_position(position.clone()).send();
        let page = cx.call("apigateway:GetUsagePlans", request).await?;
        used += number(page.items().len());
        position = page.position;
        if position.is_none() {
            return Ok(Room { used, limit: PLANS });
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
