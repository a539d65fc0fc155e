//! CloudWatch's side of the wire, which speaks CBOR (RFC 8949): alarms, the dashboard, and their tags.

use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::{Decoder, Encoder};
use serde_json::{Map, Value, json};

/// Status and answer to a read; none if it isn't one.
pub fn answer(world: &Value, operation: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let asked = decode(&mut Decoder::new(body));
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
    let mut encoder = Encoder::new(vec![]);
    encode(&mut encoder, &answer);
    Some((status, encoder.into_writer()))
}

fn encode(to: &mut Encoder, value: &Value) {
    match value {
        Value::Object(fields) => {
            to.map(fields.len());
            for (key, value) in fields {
                to.str(key);
                encode(to, value);
            }
        }
        Value::Array(items) => {
            to.array(items.len());
            items.iter().for_each(|item| encode(to, item));
        }
        Value::String(text) => drop(to.str(text)),
        Value::Bool(is) => drop(to.boolean(*is)),
        Value::Number(number) if number.is_i64() => drop(to.long(number.as_i64().unwrap())),
        Value::Number(number) => drop(to.double(number.as_f64().unwrap())),
        Value::Null => drop(to.null()),
    }
}

/// As much as requests have of it: objects, lists, texts and numbers.
fn decode(from: &mut Decoder) -> Value {
    let at_end = |from: &Decoder, left: Option<u64>, done: u64| match left {
        Some(left) => done == left,
        None => from.datatype().unwrap() == Type::Break,
    };
    match from.datatype().unwrap() {
        Type::Map | Type::MapIndef => {
            let (length, mut fields) = (from.map().unwrap(), Map::new());
            while !at_end(from, length, fields.len() as u64) {
                let key = from.str().unwrap().into_owned();
                fields.insert(key, decode(from));
            }
            end(from, length);
            Value::Object(fields)
        }
        Type::Array | Type::ArrayIndef => {
            let (length, mut items) = (from.list().unwrap(), vec![]);
            while !at_end(from, length, items.len() as u64) {
                items.push(decode(from));
            }
            end(from, length);
            Value::Array(items)
        }
        Type::String | Type::StringIndef => json!(from.str().unwrap()),
        _ => json!(from.long().unwrap()),
    }
}

fn end(from: &mut Decoder, length: Option<u64>) {
    if length.is_none() {
        from.skip().unwrap();
    }
}
