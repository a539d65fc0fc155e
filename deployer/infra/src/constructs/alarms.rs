//! Which alarms there are, and from when on they go off. What to do then: `docs/OPERATIONS.md`.

use crate::env::{ALIAS, Env};
use crate::resources::{Alarm, Measure};

/// So many of a hundred answers may be 5xx, of at least so many requests in five minutes: one failure of
/// three calls at night wakes nobody.
const SERVER_ERRORS_PERCENT: f64 = 5.0;
const OF_AT_LEAST: u32 = 20;
/// The slowest request of a hundred, for three times five minutes.
const SLOW_MILLISECONDS: f64 = 2_000.0;

pub fn of_api(env: &Env, topic: Option<&str>) -> [Alarm; 2] {
    let api = env.name();
    let by = [("ApiName", api.as_str()), ("Stage", env.stage.as_str())];
    let ratio = format!("IF(requests >= {OF_AT_LEAST}, 100 * errors / requests, 0)");
    let errors = [
        Measure::of("errors", "Sum", ("ApiGateway", "5XXError"), &by),
        Measure::of("requests", "Sum", ("ApiGateway", "Count"), &by),
        Measure::expression("percent", &ratio),
    ];
    let latency = [Measure::of("slowest", "p99", ("ApiGateway", "Latency"), &by)];
    [
        alarm(
            (env, topic),
            "5xx",
            (SERVER_ERRORS_PERCENT, 1),
            errors,
            "more than 5% of the answers are 5xx",
        ),
        alarm(
            (env, topic),
            "latency",
            (SLOW_MILLISECONDS, 3),
            latency,
            "one request of a hundred takes 2 s",
        ),
    ]
}

pub fn of_function(env: &Env, short: &str, topic: Option<&str>) -> [Alarm; 2] {
    let function = env.function(short);
    // As the API calls it: by its alias.
    let alias = format!("{function}:{ALIAS}");
    let by = [("FunctionName", function.as_str()), ("Resource", alias.as_str())];
    let sum = |id: &str, metric: &str| [Measure::of(id, "Sum", ("Lambda", metric), &by)];
    let (errors, throttles) = (sum("errors", "Errors"), sum("throttles", "Throttles"));
    [
        alarm(
            (env, topic),
            &format!("{short}-errors"),
            (0.0, 1),
            errors,
            "the function crashed or timed out",
        ),
        alarm(
            (env, topic),
            &format!("{short}-throttles"),
            (0.0, 1),
            throttles,
            "Lambda refused calls: too many at once",
        ),
    ]
}

/// The end of an alarm's name is also its chapter in the runbook.
fn alarm(
    (env, topic): (&Env, Option<&str>),
    name: &str,
    limit: (f64, i32),
    measures: impl IntoIterator<Item = Measure>,
    what: &str,
) -> Alarm {
    let chapter = name.rsplit('-').next().unwrap_or_default();
    let description = format!("{what}; see docs/OPERATIONS.md#{chapter}");
    let topics = topic.map(|topic| env.topic_arn(topic)).into_iter().collect();
    Alarm::above(format!("{}-{name}", env.name()), limit, measures, description, topics)
}
