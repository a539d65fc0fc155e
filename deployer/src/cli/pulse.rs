//! How the stage is doing: alarms, the last hour's traffic, and who is at work on it. What can't be
//! asked is said to be unknown: the rest of `status` is worth reading all the same.

use super::Common;
use super::screen::{BAD, CHANGED, DIM, GOOD, paint, result};
use crate::aws::{Aws, Failure};
use crate::lease;
use crate::resources::{Calls, Pulse, pulse, ringing};
use anyhow::{Error, Result};
use serde_json::{Value, json};

/// Each of them by itself: a caller who may not read metrics may still read the lease.
struct Health {
    alarms: Result<Vec<(String, String)>>,
    pulse: Result<Pulse>,
    holder: Result<Option<String>>,
}

async fn look(common: &Common, aws: &Aws) -> Health {
    let functions: Vec<_> = common.functions().into_iter().collect();
    let holder = async { Ok(lease::look(aws).await?.holder(aws)) };
    let (alarms, pulse, holder) = tokio::join!(ringing(aws), pulse(aws, &functions), holder);
    Health { alarms, pulse, holder }
}

pub async fn print(common: &Common, aws: &Aws) {
    let Health { alarms, pulse, holder } = look(common, aws).await;
    match alarms {
        Ok(alarms) if alarms.is_empty() => result(format!("alarms   {}", paint(GOOD, "none"))),
        Ok(alarms) => alarms.iter().for_each(|(name, reason)| {
            result(format!("alarms   {}: {reason}", paint(BAD, name)));
        }),
        Err(error) => result(format!("alarms   {}", unknown(&error))),
    }
    match pulse {
        Ok(pulse) => traffic(&pulse),
        Err(error) => result(format!("hour     {}", unknown(&error))),
    }
    match holder {
        Ok(None) => result("at work  nobody"),
        Ok(Some(holder)) => result(format!("at work  {}", paint(CHANGED, holder))),
        Err(error) => result(format!("at work  {}", unknown(&error))),
    }
}

fn traffic(pulse: &Pulse) {
    let Pulse { requests: Some(requests), .. } = pulse else {
        result("hour     no requests");
        return;
    };
    let number = |number: Option<f64>| number.unwrap_or_default();
    let bad = |text: String, is_bad: bool| if is_bad { paint(BAD, text) } else { text };
    let server = number(pulse.server_errors);
    result(format!(
        "hour     {requests} requests, {} 4xx, {}; p50 {} ms, p99 {} ms",
        number(pulse.client_errors),
        bad(format!("{server} 5xx"), server > 0.0),
        number(pulse.p50).round(),
        number(pulse.p99).round(),
    ));
    for (name, Calls { invocations, errors, throttles }) in &pulse.functions {
        let (errors, throttles) = (number(*errors), number(*throttles));
        let text = format!("{errors} errors, {throttles} throttled");
        result(format!(
            "         {}  {} calls, {}",
            paint(DIM, name),
            number(*invocations),
            bad(text, errors + throttles > 0.0)
        ));
    }
}

/// Why it isn't known, in a line.
fn unknown(error: &Error) -> String {
    let failure = error.chain().find_map(<dyn std::error::Error>::downcast_ref::<Failure>);
    let why = failure.map_or_else(|| error.to_string(), ToString::to_string);
    paint(CHANGED, format!("unknown: {}", why.lines().next().unwrap_or_default()))
}

/// The same for programs. What isn't known is null.
pub async fn json(common: &Common, aws: &Aws) -> Value {
    let Health { alarms, pulse, holder } = look(common, aws).await;
    let alarms = alarms.ok().map(|alarms| {
        let one = |(name, reason)| json!({ "name": name, "reason": reason });
        alarms.into_iter().map(one).collect::<Vec<_>>()
    });
    json!({ "alarms": alarms, "last_hour": pulse.ok(), "at_work": holder.ok().flatten() })
}
