//! CloudWatch's side of the wire, which speaks CBOR (RFC 8949): alarms, the dashboard, and their tags.

use infra::record::body::Body;
use serde_json::{Value, json};

/// Status and answer to a read; none if it isn't one.
pub fn answer(world: &Value, operation: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let Body::Cbor(asked) = Body::of("application/cbor", body) else {
        panic!("not CBOR: {body:?}");
    };
    let alarms = world["alarms"].as_object().cloned().unwrap_or_default();
    let answer = match operation {
        "DescribeAlarms" => {
            let (name, prefix) = (&asked["AlarmNames"][0], &asked["AlarmNamePrefix"]);
            let wanted = |alarm: &str| match (name.as_str(), prefix.as_str()) {
                (Some(name), None) => alarm == name,
                (None, Some(prefix)) => alarm.starts_with(prefix),
                _ => panic!("an alarm or all: {asked}"),
            };
            let list =
                alarms.into_iter().filter(|(name, _)| wanted(name)).map(|(name, mut alarm)| {
                    alarm.as_object_mut().unwrap().remove("tags");
                    alarm["AlarmArn"] = json!(format!("arn:aws:cloudwatch:r:1:alarm:{name}"));
                    alarm["AlarmName"] = json!(name);
                    alarm
                });
            json!({ "MetricAlarms": list.collect::<Vec<_>>() })
        }
        "ListTagsForResource" => {
            let name = asked["ResourceARN"].as_str().unwrap().rsplit(':').next().unwrap();
            // A dashboard's ends in `dashboard/NAME`.
            let tags = match name.strip_prefix("dashboard/") {
                Some(name) => &world["dashboards"][name]["tags"],
                None => &alarms.get(name).unwrap_or(&Value::Null)["tags"],
            };
            let tags = tags.as_object().cloned().unwrap_or_default();
            let tag = |(key, value)| json!({ "Key": key, "Value": value });
            json!({ "Tags": tags.into_iter().map(tag).collect::<Vec<_>>() })
        }
        "GetDashboard" => match &world["dashboards"][asked["DashboardName"].as_str().unwrap()] {
            Value::Null => json!({ "__type": "ResourceNotFound", "message": "it isn't there" }),
            found => json!({ "DashboardBody": found["body"].to_string() }),
        },
        _ => return None,
    };
    let status = if answer["__type"].is_null() { 200 } else { 404 };
    Some((status, Body::Cbor(answer).to_bytes()))
}
