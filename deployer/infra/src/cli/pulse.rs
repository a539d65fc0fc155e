//! How the stage is doing: alarms, the last hour's traffic, and which run holds its lease. What can't be
//! asked is said to be unknown: the rest of `status` is worth reading all the same.

use super::Common;
use super::explain::failure;
use super::screen::{BAD, CHANGED, DIM, GOOD, count, paint, result};
use crate::contract::Endpoint;
use crate::lease;
use crate::resources::{Calls, ColdStarts, Pulse, cold_starts, pulse, ringing};
use crate::run::Run;
use anyhow::{Error, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Each of them by itself: a caller who may not read metrics may still read the lease.
struct Health {
    alarms: Result<Vec<(String, String)>>,
    pulse: Result<Pulse>,
    cold: Result<BTreeMap<String, ColdStarts>>,
    holder: Result<Option<String>>,
}

async fn look(common: &Common, aws: &Run) -> Health {
    let functions: Vec<_> = common.app.functions().into_iter().collect();
    let holder = async { Ok(lease::look(aws).await?.holder(aws)) };
    let (alarms, pulse, cold, holder) =
        tokio::join!(ringing(aws), pulse(aws, &functions), cold_starts(aws, &functions), holder);
    Health { alarms, pulse, cold, holder }
}

pub async fn print(common: &Common, aws: &Run) {
    let Health { alarms, pulse, cold, holder } = look(common, aws).await;
    match alarms {
        Ok(alarms) if alarms.is_empty() => {
            result(format!("alarms   {}", paint(GOOD, "none in alarm")))
        }
        Ok(alarms) => alarms.iter().for_each(|(name, reason)| {
            result(format!("alarms   {}: {reason}", paint(BAD, name)));
        }),
        Err(error) => result(format!("alarms   {}", unknown(&error))),
    }
    match pulse {
        Ok(pulse) => traffic(common, &pulse, cold),
        Err(error) => result(format!("hour     {}", unknown(&error))),
    }
    match holder {
        Ok(None) => result("lease    free"),
        Ok(Some(holder)) => result(format!("lease    held: {}", paint(CHANGED, holder))),
        Err(error) => result(format!("lease    {}", unknown(&error))),
    }
}

fn traffic(common: &Common, pulse: &Pulse, cold: Result<BTreeMap<String, ColdStarts>>) {
    let Pulse { requests: Some(requests), .. } = pulse else {
        result("hour     no requests");
        return;
    };
    let server = number(pulse.server_errors);
    result(format!(
        "hour     {requests} requests, {} 4xx, {}; {}",
        number(pulse.client_errors),
        bad(format!("{server} 5xx"), server > 0.0),
        times(pulse.p50, pulse.p99),
    ));
    let (cold, why) = match cold {
        Ok(cold) => (cold, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    for (name, calls) in &pulse.functions {
        result(format!("         {}", of_function(common, name, calls, cold.get(name))));
    }
    if let Some(error) = why {
        result(format!("cold     {}", unknown(&error)));
    }
}

/// `GET /health  12 calls, 0 errors, 0 throttled, 1 cold start; p50 3 ms, p99 9 ms`.
fn of_function(common: &Common, name: &str, calls: &Calls, cold: Option<&ColdStarts>) -> String {
    let Calls { invocations, errors, throttles, p50, p99 } = calls;
    let (errors, throttles) = (number(*errors), number(*throttles));
    let cold = match cold {
        None => "- cold starts".to_owned(),
        Some(ColdStarts { found, all: true }) => count(*found, "cold start"),
        Some(ColdStarts { found, all: false }) => {
            format!("at least {}", count(*found, "cold start"))
        }
    };
    format!(
        "{}  {} calls, {}, {cold}; {}",
        paint(DIM, routes(common, name).join(", ")),
        number(*invocations),
        bad(format!("{errors} errors, {throttles} throttled"), errors + throttles > 0.0),
        times(*p50, *p99),
    )
}

fn routes(common: &Common, function: &str) -> Vec<String> {
    let answered = common.app.endpoints.iter().filter(|endpoint| endpoint.function == function);
    answered.map(Endpoint::route).collect()
}

/// What CloudWatch has counted nothing of was nothing.
fn number(number: Option<f64>) -> f64 {
    number.unwrap_or_default()
}

fn times(p50: Option<f64>, p99: Option<f64>) -> String {
    let time =
        |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{} ms", time.round()));
    format!("p50 {}, p99 {}", time(p50), time(p99))
}

fn bad(text: String, is_bad: bool) -> String {
    if is_bad { paint(BAD, text) } else { text }
}

/// Why it isn't known, in a line.
fn unknown(error: &Error) -> String {
    let failure = failure(error);
    let why = failure.map_or_else(|| error.to_string(), ToString::to_string);
    paint(CHANGED, format!("unknown: {}", why.lines().next().unwrap_or_default()))
}

/// The same for programs. What isn't known is null.
pub async fn json(common: &Common, aws: &Run) -> Value {
    let Health { alarms, pulse, cold, holder } = look(common, aws).await;
    let alarms = alarms.ok().map(|alarms| {
        let one = |(name, reason)| json!({ "name": name, "reason": reason });
        alarms.into_iter().map(one).collect::<Vec<_>>()
    });
    let functions = common.app.functions().into_iter();
    let routes: BTreeMap<_, _> = functions.map(|name| (name, routes(common, name))).collect();
    json!({
        "alarms": alarms,
        "last_hour": pulse.ok(),
        "cold_starts": cold.ok(),
        "routes": routes,
        "at_work": holder.ok().flatten(),
    })
}
