//! Whatever comes as an event, there is an answer that API Gateway takes, and one line of log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use handler::{Body, Error, Request, Response};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const EVENT: &str = include_str!("event.json");

async fn hello(_: Request) -> Result<Response<Body>, Error> {
    handler::json(200, &json!("hello"))
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 32, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// The path of everything in an event, like `/requestContext/stage`.
fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
    all.push(path.to_owned());
    for (key, inner) in value.as_object().into_iter().flatten() {
        paths(inner, &format!("{path}/{key}"), all);
    }
}

fn places() -> Vec<String> {
    let mut all = vec![];
    paths(&serde_json::from_str(EVENT).unwrap(), "", &mut all);
    all
}

fn is_answered(event: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(handler::answer(hello, event, "id"));
    let response = serde_json::to_value(&answer.response).unwrap();
    let status = response["statusCode"].as_i64().unwrap();
    assert!([200, 413, 431, 500].contains(&status), "{response}");
    assert_eq!(i64::from(answer.entry.status), status);
    assert!(response["body"].is_string() && response["multiValueHeaders"].is_object());
    let line = serde_json::to_string(&answer.entry).unwrap();
    assert!(!line.contains(['\n', '\r']), "{line}");
    assert_eq!(answer.entry.error.is_some(), status == 500, "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_bytes_are_answered(event in any::<Vec<u8>>()) {
        is_answered(&event);
    }

    #[test]
    fn any_text_is_answered(event in any::<String>()) {
        is_answered(event.as_bytes());
    }

    #[test]
    fn an_event_with_any_byte_anywhere_is_answered(at in 0..EVENT.len(), byte in any::<u8>()) {
        let mut event = EVENT.as_bytes().to_vec();
        event[at] = byte;
        is_answered(&event);
    }

    #[test]
    fn any_json_is_answered(event in anything()) {
        is_answered(event.to_string().as_bytes());
    }

    #[test]
    fn an_event_with_anything_anywhere_is_answered(
        changes in prop::collection::vec((select(places()), anything()), 1..4),
    ) {
        let mut event: Value = serde_json::from_str(EVENT).unwrap();
        for (place, value) in changes {
            if let Some(at) = event.pointer_mut(&place) {
                *at = value;
            }
        }
        is_answered(event.to_string().as_bytes());
    }
}
