//! How many calls of a function may run at once: a part of what the account may, reserved for it.

use super::room::lambda_room;
use crate::engine::{Change, Plan, Step};
use crate::run::Run;
use anyhow::{Result, bail};
use std::fmt;

/// So many executions must stay for functions without a reservation (PutFunctionConcurrency). In an account with
/// a smaller quota, all of it must.
const UNRESERVED: i64 = 100;

/// The change of a step that reserves executions for a function.
fn reservation(step: &Step) -> Option<&Change> {
    let is_function = step.kind == "function";
    step.changes.iter().find(|change| is_function && change.path == "reserved_concurrency")
}

/// Whether a step turns its function off.
pub fn turns_off(step: &Step) -> bool {
    let to = reservation(step).and_then(|change| change.to.as_ref());
    to.and_then(serde_json::Value::as_i64) == Some(0)
}

/// Checks that the account has what a plan reserves. Where Lambda doesn't return how much that is, it is left to
/// refuse the request.
///
/// # Errors
/// [`TooMuchReserved`].
pub async fn check_reservations(cx: &Run, plan: &Plan) -> Result<()> {
    let number = |value: &Option<serde_json::Value>| value.as_ref().and_then(|v| v.as_i64());
    let more =
        |change: &Change| number(&change.to).unwrap_or(0) - number(&change.from).unwrap_or(0);
    let wanted: i64 = plan.steps.iter().filter_map(reservation).map(more).sum();
    if wanted <= 0 {
        return Ok(());
    }
    let Ok(room) = lambda_room(cx).await else { return Ok(()) };
    let Some(now_unreserved) = room.unreserved else { return Ok(()) };
    let unreserved = UNRESERVED.min(room.concurrency);
    let left = now_unreserved - unreserved;
    if wanted > left {
        bail!(TooMuchReserved { wanted, left: left.max(0), quota: room.concurrency, unreserved });
    }
    Ok(())
}

/// A plan that reserves more than the account has.
#[derive(Debug)]
pub struct TooMuchReserved {
    wanted: i64,
    left: i64,
    quota: i64,
    unreserved: i64,
}

impl fmt::Display for TooMuchReserved {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { wanted, left, quota, unreserved } = self;
        write!(
            f,
            "the plan reserves {wanted} concurrent executions more, and {left} can be reserved: the \
             account has {quota} in this region, of which {unreserved} must stay unreserved"
        )
    }
}

impl std::error::Error for TooMuchReserved {}

/// Reserves so many for a function, or none. Counts at once, for every version: it is no part of a release.
/// May be repeated.
///
/// # Errors
/// When Lambda refuses: at least a hundred of an account's must stay unreserved (PutFunctionConcurrency).
pub async fn reserve(cx: &Run, name: &str, calls: Option<i32>) -> Result<()> {
    let Some(calls) = calls else {
        let request = || cx.lambda.delete_function_concurrency().function_name(name).send();
        cx.call("lambda:DeleteFunctionConcurrency", request).await?;
        return Ok(());
    };
    let request = || {
        let request = cx.lambda.put_function_concurrency().function_name(name);
        request.reserved_concurrent_executions(calls).send()
    };
    cx.call_new("lambda:PutFunctionConcurrency", request).await?;
    Ok(())
}
