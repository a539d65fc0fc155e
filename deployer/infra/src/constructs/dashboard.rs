//! What is to be seen of a stage on one page: alarms, requests and failures of the API, and how each
//! function does.

use super::alarms;
use crate::env::{ALIAS, Env};
use crate::resources::Dashboard;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The page is 24 columns wide; a graph is a third of it.
const WIDE: u32 = 24;
const GRAPH: (u32, u32) = (8, 6);

pub fn of<'a>(env: &Env, functions: impl IntoIterator<Item = &'a str>) -> Dashboard {
    let functions: BTreeSet<&str> = functions.into_iter().collect();
    let of_api = |metric: &str, stat: &str| {
        let by = ["ApiName", &env.name(), "Stage", &env.stage].map(|text| json!(text));
        line(("AWS/ApiGateway", metric), by, stat, &format!("{metric} {stat}"))
    };
    let of_each = |metric: &str, stat: &str| {
        let one = |short: &&str| {
            let name = env.function(short);
            // As the API calls it: by its alias.
            let alias = format!("{name}:{ALIAS}");
            let by = ["FunctionName", &name, "Resource", &alias].map(|text| json!(text));
            line(("AWS/Lambda", metric), by, stat, short)
        };
        functions.iter().map(one).collect::<Vec<_>>()
    };
    let graphs = [
        ("requests", vec![of_api("Count", "Sum")]),
        ("4xx and 5xx", vec![of_api("4XXError", "Sum"), of_api("5XXError", "Sum")]),
        ("latency, ms", vec![of_api("Latency", "p50"), of_api("Latency", "p99")]),
        ("errors of functions", of_each("Errors", "Sum")),
        ("throttles of functions", of_each("Throttles", "Sum")),
        ("duration of functions, p99, ms", of_each("Duration", "p99")),
    ];
    let mut widgets = vec![
        widget("text", (0, 0), (WIDE, 2), json!({ "markdown": head(env) })),
        widget("alarm", (0, 2), (WIDE, 3), alarms_of(env, &functions)),
    ];
    for (at, (title, lines)) in (0..).zip(graphs) {
        let place = (at % 3 * GRAPH.0, 5 + at / 3 * GRAPH.1);
        let graph = json!({
            "title": title, "region": env.region, "view": "timeSeries", "period": 300,
            "metrics": lines, "yAxis": { "left": { "min": 0 } },
        });
        widgets.push(widget("metric", place, GRAPH, graph));
    }
    Dashboard { name: env.dashboard(), body: json!({ "widgets": widgets }) }
}

fn head(env: &Env) -> String {
    format!(
        "# {}\nMade by the deployer (`deployer/src/stack/dashboard.rs`), which undoes changes made here. \
         What to do when an alarm goes off: `docs/OPERATIONS.md`.",
        env.name()
    )
}

fn alarms_of(env: &Env, functions: &BTreeSet<&str>) -> Value {
    let of_functions = functions.iter().flat_map(|short| alarms::of_function(env, short, None));
    let all = alarms::of_api(env, None).into_iter().chain(of_functions);
    let arns: Vec<String> = all.map(|alarm| env.alarm_arn(&alarm.name)).collect();
    json!({ "title": "alarms", "alarms": arns })
}

/// A metric with just these dimensions, and how it is called in the graph.
fn line((space, metric): (&str, &str), by: [Value; 4], stat: &str, label: &str) -> Value {
    let mut line = vec![json!(space), json!(metric)];
    line.extend(by);
    line.push(json!({ "stat": stat, "label": label }));
    line.into()
}

fn widget(kind: &str, (x, y): (u32, u32), (width, height): (u32, u32), properties: Value) -> Value {
    let mut widget = json!({ "type": kind, "x": x, "y": y, "width": width, "height": height });
    widget["properties"] = properties;
    widget
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_a_stage_on_one_page() {
        let (app, stage, region) = ("ops-api".into(), "dev".into(), "r".into());
        let env = Env { app, stage, region, account: "1".into(), partition: "aws".into() };
        insta::assert_json_snapshot!(of(&env, ["root", "health", "root"]).body);
    }
}
