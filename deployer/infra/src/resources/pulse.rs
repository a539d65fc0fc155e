//! What CloudWatch counted of late: requests, failures and times of the API, calls of its functions.

use super::metrics::{measure, measured};
use crate::aws::Aws;
use crate::env::ALIAS;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far back, and how much of it is one measure: seconds.
pub(super) const HOUR: i64 = 3600;
const PERIOD: i32 = 300;

/// The last hour. What wasn't measured is none, and not zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pulse {
    pub requests: Option<f64>,
    pub client_errors: Option<f64>,
    pub server_errors: Option<f64>,
    /// Milliseconds, in the middle one of the hour's five minutes.
    pub p50: Option<f64>,
    /// In the worst of them.
    pub p99: Option<f64>,
    /// By function, and so by route where each has its own: API Gateway measures single routes only for money
    /// ("detailed metrics", billed as custom metrics).
    pub functions: BTreeMap<String, Calls>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calls {
    pub invocations: Option<f64>,
    pub errors: Option<f64>,
    pub throttles: Option<f64>,
    /// Milliseconds in the function: without its start, API Gateway and the network.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// Asks for all of it at once.
///
/// # Errors
/// When CloudWatch can't be asked.
pub async fn pulse(cx: &Aws, functions: &[&str]) -> Result<Pulse> {
    let (api, stage, now) = (cx.env.name(), cx.env.stage.as_str(), cx.clock.now());
    let by = [("ApiName", api.as_str()), ("Stage", stage)];
    let of_api = |id, metric, stat| measure(id, stat, ("AWS/ApiGateway", metric), &by, PERIOD);
    let mut queries = vec![
        of_api("requests", "Count", "Sum"),
        of_api("client", "4XXError", "Sum"),
        of_api("server", "5XXError", "Sum"),
        of_api("p50", "Latency", "p50"),
        of_api("p99", "Latency", "p99"),
    ];
    for (at, short) in functions.iter().enumerate() {
        let name = cx.env.function(short);
        let alias = format!("{name}:{ALIAS}");
        let by = [("FunctionName", name.as_str()), ("Resource", alias.as_str())];
        for metric in ["Invocations", "Errors", "Throttles"] {
            // An id is of letters and digits, which names needn't be.
            let id = format!("{}{at}", metric.to_lowercase());
            queries.push(measure(&id, "Sum", ("AWS/Lambda", metric), &by, PERIOD));
        }
        for stat in ["p50", "p99"] {
            let id = format!("{stat}of{at}");
            queries.push(measure(&id, stat, ("AWS/Lambda", "Duration"), &by, PERIOD));
        }
    }
    // Up to the end of what is under way.
    let values = measured(cx, queries, (now - HOUR, now + i64::from(PERIOD))).await?;
    let sum = |id: &str| values.get(id).map(|values| values.iter().sum());
    let sorted = |id: &str| {
        let mut values = values.get(id).cloned().unwrap_or_default();
        values.sort_by(f64::total_cmp);
        values
    };
    let middle = |id: &str| {
        let values = sorted(id);
        values.get(values.len() / 2).copied()
    };
    let worst = |id: &str| sorted(id).last().copied();
    let calls = functions.iter().enumerate().map(|(at, short)| {
        let [invocations, errors, throttles] =
            ["invocations", "errors", "throttles"].map(|metric| sum(&format!("{metric}{at}")));
        let (p50, p99) = (middle(&format!("p50of{at}")), worst(&format!("p99of{at}")));
        ((*short).to_owned(), Calls { invocations, errors, throttles, p50, p99 })
    });
    Ok(Pulse {
        requests: sum("requests"),
        client_errors: sum("client"),
        server_errors: sum("server"),
        p50: middle("p50"),
        p99: worst("p99"),
        functions: calls.collect(),
    })
}
