//! CloudWatch's metrics: how a measure is named, and what was measured.

use crate::aws::Aws;
use anyhow::Result;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_smithy_types::DateTime;
use std::collections::BTreeMap;

/// Queries a request (CloudWatch, GetMetricData).
const AT_ONCE: usize = 500;

/// A metric of a namespace, with just these dimensions: another set of them is another metric. `period`
/// is in seconds.
pub fn measure(
    id: &str,
    stat: &str,
    (space, name): (&str, &str),
    by: &[(&str, &str)],
    period: i32,
) -> MetricDataQuery {
    let dimension =
        |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
    let metric = Metric::builder().namespace(space).metric_name(name);
    let metric = metric.set_dimensions(Some(by.iter().map(dimension).collect())).build();
    let stat = MetricStat::builder().metric(metric).period(period).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// What was measured between two times (seconds since 1970), by id; those of which there is anything.
///
/// # Errors
/// When CloudWatch can't be asked.
pub async fn measured(
    cx: &Aws,
    queries: Vec<MetricDataQuery>,
    (from, to): (i64, i64),
) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for queries in queries.chunks(AT_ONCE) {
        let mut token = None;
        loop {
            let request = || {
                let request = cx.cloudwatch.get_metric_data();
                let request = request.set_metric_data_queries(Some(queries.to_vec()));
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
                break;
            }
        }
    }
    Ok(values)
}
