//! What CloudWatch counted of late: requests, failures and times of the API, calls of its functions.

use super::Aws;
use crate::env::ALIAS;
use anyhow::Result;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_smithy_types::DateTime;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far back, and how much of it is one measure: seconds.
const HOUR: i64 = 3600;
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
    /// By function.
    pub functions: BTreeMap<String, Calls>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calls {
    pub invocations: Option<f64>,
    pub errors: Option<f64>,
    pub throttles: Option<f64>,
}

/// Asks for all of it at once.
///
/// # Errors
/// When CloudWatch can't be asked.
pub async fn pulse(cx: &Aws, functions: &[&str]) -> Result<Pulse> {
    let (api, stage, now) = (cx.env.name(), cx.env.stage.as_str(), cx.clock.now());
    let by = [("ApiName", api.as_str()), ("Stage", stage)];
    let of_api = |id, metric, stat| query(id, ("AWS/ApiGateway", metric), stat, &by);
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
            queries.push(query(&id, ("AWS/Lambda", metric), "Sum", &by));
        }
    }
    let values = values(cx, queries, now).await?;
    let sum = |id: &str| values.get(id).map(|values| values.iter().sum());
    let sorted = |id: &str| {
        let mut values = values.get(id).cloned().unwrap_or_default();
        values.sort_by(f64::total_cmp);
        values
    };
    let middle = sorted("p50");
    let calls = functions.iter().enumerate().map(|(at, short)| {
        let [invocations, errors, throttles] =
            ["invocations", "errors", "throttles"].map(|metric| sum(&format!("{metric}{at}")));
        ((*short).to_owned(), Calls { invocations, errors, throttles })
    });
    Ok(Pulse {
        requests: sum("requests"),
        client_errors: sum("client"),
        server_errors: sum("server"),
        p50: middle.get(middle.len() / 2).copied(),
        p99: sorted("p99").last().copied(),
        functions: calls.collect(),
    })
}

fn query(
    id: &str,
    (space, name): (&str, &str),
    stat: &str,
    by: &[(&str, &str)],
) -> MetricDataQuery {
    let dimension =
        |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
    let metric = Metric::builder().namespace(space).metric_name(name);
    let metric = metric.set_dimensions(Some(by.iter().map(dimension).collect())).build();
    let stat = MetricStat::builder().metric(metric).period(PERIOD).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// By id, those of which there are any.
async fn values(
    cx: &Aws,
    queries: Vec<MetricDataQuery>,
    now: i64,
) -> Result<BTreeMap<String, Vec<f64>>> {
    let (mut values, mut token): (BTreeMap<String, Vec<f64>>, _) = (BTreeMap::new(), None);
    // Up to the end of what is under way.
    let (from, to) = (now - HOUR, now + i64::from(PERIOD));
    loop {
        let request = || {
            let request = cx.cloudwatch.get_metric_data();
            let request = request.set_metric_data_queries(Some(queries.clone()));
            let request = request.start_time(DateTime::from_secs(from));
            request.end_time(DateTime::from_secs(to)).set_next_token(token.clone()).send()
        };
        let page = cx.call("cloudwatch:GetMetricData", request).await?;
        for result in page.metric_data_results.unwrap_or_default() {
            let found = result.values.unwrap_or_default();
            if !found.is_empty() {
                values.entry(result.id.unwrap_or_default()).or_default().extend(found);
            }
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(values);
        }
    }
}
