//! Events as API Gateway sends them, and as it should not.

use serde_json::{Value, json};

use super::*;

const EVENT: &str = include_str!("../../tests/event.json");

/// The event with some of its fields replaced; `path` is like `/requestContext/stage`.
fn event(changes: &[(&str, Value)]) -> String {
    let mut event: Value = serde_json::from_str(EVENT).unwrap();
    for (path, value) in changes {
        *event.pointer_mut(path).unwrap() = value.clone();
    }
    event.to_string()
}

async fn hello(_: Request) -> Result<Response<Body>, Error> {
    crate::json(200, &json!("hello"))
}

/// Asserts that the caller is told nothing, and returns what the log is told.
fn hidden(answer: Answer) -> String {
    assert_eq!((answer.response.status_code, answer.entry.status), (500, 500));
    assert_eq!(answer.response.multi_value_headers["content-type"], "application/json");
    assert_eq!(answer.response.body, Some(Body::from(r#"{"message":"Internal server error"}"#)));
    answer.entry.error.unwrap()
}

#[tokio::test]
async fn a_request_is_answered_and_logged() {
    let Answer { response, entry } = answer(hello, EVENT.as_bytes(), "request-1").await;

    let response = serde_json::to_value(response).unwrap();
    let headers = json!({
        "content-type": ["application/json"],
        "cache-control": ["no-store"],
        "x-content-type-options": ["nosniff"],
        "strict-transport-security": ["max-age=63072000"],
        "content-security-policy": ["default-src 'none'; frame-ancestors 'none'"],
        "x-frame-options": ["DENY"],
        "referrer-policy": ["no-referrer"],
    });
    assert_eq!(
        response,
        json!({
            "statusCode": 200, "headers": {}, "multiValueHeaders": headers, "body": "\"hello\"", "isBase64Encoded": false,
        })
    );

    let mut line = serde_json::to_value(entry).unwrap();
    let milliseconds =
        line.as_object_mut().unwrap().remove("milliseconds").unwrap().as_f64().unwrap();
    assert!((0.0..5000.0).contains(&milliseconds), "{milliseconds}");
    assert_eq!(
        line,
        json!({ "requestId": "request-1", "method": "GET", "path": "/", "status": 200 })
    );
}

#[tokio::test]
async fn odd_events_are_answered() {
    let odd = [
        (
            "HEAD",
            vec![("/httpMethod", json!("HEAD")), ("/requestContext/httpMethod", json!("HEAD"))],
        ),
        (
            "null headers, as from the console's test button",
            vec![("/headers", Value::Null), ("/multiValueHeaders", Value::Null)],
        ),
        ("no stage", vec![("/requestContext/stage", Value::Null)]),
        ("test stage", vec![("/requestContext/stage", json!("test-invoke-stage"))]),
        ("huge header", vec![("/headers/Accept", json!("a".repeat(10_240)))]),
        ("header that is not ASCII", vec![("/headers/User-Agent", json!("cürl"))]),
        (
            "repeated query",
            vec![("/multiValueQueryStringParameters", json!({ "a b": ["1", "&=%"] }))],
        ),
        (
            "body that is not base64",
            vec![("/body", json!("%%%")), ("/isBase64Encoded", json!(false))],
        ),
    ];
    for (name, changes) in odd {
        let answer = answer(hello, event(&changes).as_bytes(), "id").await;
        assert_eq!(answer.entry.error, None, "{name}");
        assert_eq!(answer.response.status_code, 200, "{name}");
    }
}

#[tokio::test]
async fn the_log_has_the_path_as_the_client_sent_it() {
    for path in ["/", "/health", "/dev/dev", "/a%2Fb%20c", "/caf%C3%A9", "/%0A\"injected\""] {
        let answer = answer(hello, event(&[("/path", json!(path))]).as_bytes(), "id").await;
        assert_eq!(answer.entry.path.as_deref(), Some(path));
        assert!(!serde_json::to_string(&answer.entry).unwrap().contains('\n'));
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_not_repeated() {
    let named = |count: usize, bytes: usize| -> Value {
        (0..count)
            .map(|n| (format!("x-{n}"), json!(["h".repeat(bytes)])))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let none = || ("/headers", json!({}));
    let headers = |headers| vec![none(), ("/multiValueHeaders", headers)];
    let body = |bytes| vec![("/body", json!("b".repeat(bytes)))];
    for (status, changes) in [
        (200, body(8 * 1024)),
        (413, body(8 * 1024 + 1)),
        (200, [body(8 * 1024 + 1), vec![("/httpMethod", json!("POST"))]].concat()),
        (200, headers(named(100, 1))),
        (431, headers(named(101, 1))),
        (200, headers(named(1, 16 * 1024 - 3))),
        (431, headers(named(1, 16 * 1024 - 2))),
        (431, headers(json!({ "x": vec!["h"; 101] }))),
    ] {
        let Answer { response, entry } = answer(hello, event(&changes).as_bytes(), "id").await;
        assert_eq!((response.status_code, entry.status), (i64::from(status), status));
        let body = response.body.map(|body| body.to_vec()).unwrap_or_default();
        assert!(body.len() < 100 && entry.error.is_none(), "{entry:?}");
    }
}

#[tokio::test]
async fn a_handler_cannot_take_back_what_always_holds() {
    async fn lax(_: Request) -> Result<Response<Body>, Error> {
        let response = Response::builder()
            .header("x-frame-options", "ALLOWALL")
            .header("x-frame-options", "SAMEORIGIN")
            .header("strict-transport-security", "max-age=0");
        Ok(response.body(Body::Empty)?)
    }
    let response =
        serde_json::to_value(answer(lax, EVENT.as_bytes(), "id").await.response).unwrap();
    assert_eq!(response["multiValueHeaders"]["x-frame-options"], json!(["DENY"]));
    let transport = &response["multiValueHeaders"]["strict-transport-security"];
    assert_eq!(transport, &json!(["max-age=63072000"]));
}

#[tokio::test]
async fn a_long_path_is_logged_in_part() {
    let long = format!("/{}", "é".repeat(5_000));
    let entry = answer(hello, event(&[("/path", json!(long))]).as_bytes(), "id").await.entry;
    assert_eq!(entry.path.map(|path| path.chars().count()), Some(1024));
}

#[tokio::test]
async fn what_cannot_be_read_is_a_500() {
    let no_method = event(&[("/httpMethod", json!("G E T"))]);
    let bad_escape = EVENT.replace("curl", r"Beno\xeet");
    for unreadable in ["", " ", "{}", "null", "[]", "\"GET /\"", &no_method, &bad_escape] {
        let error = hidden(answer(hello, unreadable.as_bytes(), "id").await);
        assert!(error.starts_with("reading the event "), "{error}");
    }
}

/// Answers with the `Cookie` and `User-Agent` headers that the handler got.
async fn echo(request: Request) -> Result<Response<Body>, Error> {
    let values = |name| -> Vec<_> {
        let all = request.headers().get_all(name).iter();
        all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    crate::json(200, &json!([values("cookie"), values("user-agent")]))
}

#[tokio::test]
async fn a_header_that_is_not_utf8_reaches_the_handler() {
    let mut latin1 = EVENT.replace("curl/8.7.1", "Beno#t").into_bytes();
    latin1.iter_mut().filter(|byte| **byte == b'#').for_each(|byte| *byte = 0xee);
    let answer = answer(echo, &latin1, "id").await;
    assert_eq!(answer.entry.error, None);
    assert_eq!(answer.response.body, Some(Body::from("[[],[\"Beno\u{fffd}t\"]]")));
}

#[tokio::test]
async fn a_repeated_header_keeps_all_its_values() {
    let mut event: Value = serde_json::from_str(EVENT).unwrap();
    event["headers"]["Cookie"] = json!("b=2");
    event["multiValueHeaders"]["cookie"] = json!(["a=1", "b=2"]);
    event["multiValueHeaders"].as_object_mut().unwrap().remove("User-Agent");
    let answer = answer(echo, event.to_string().as_bytes(), "id").await;
    let expected = "[[\"a=1\",\"b=2\"],[\"curl/8.7.1\"]]";
    assert_eq!(answer.response.body, Some(Body::from(expected)), "a single value counts too");
}

#[tokio::test]
async fn events_of_other_services_are_named_as_such() {
    let load_balancer = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:…" } },
        "httpMethod": "GET", "path": "/health", "headers": { "host": "lb.example" }, "body": "",
    });
    let http_api = json!({
        "version": "2.0", "routeKey": "GET /health", "rawPath": "/health", "headers": {},
        "requestContext": { "http": { "method": "GET", "path": "/health" } },
    });
    for event in [load_balancer, http_api] {
        let error = hidden(answer(hello, event.to_string().as_bytes(), "id").await);
        let expected = "reading the event of an API Gateway REST API: missing field `httpMethod`";
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_host_in_another_script_is_a_host() {
    let host = "xn--bcher-kva.example";
    let event =
        event(&[("/headers/Host", json!(host)), ("/multiValueHeaders/Host", json!([host]))]);
    let answer = answer(hello, event.as_bytes(), "id").await;
    assert_eq!(answer.entry.error, None);
    assert_eq!(answer.entry.status, 200);
}

#[tokio::test]
async fn a_host_that_is_no_host_is_a_500() {
    let hostile =
        event(&[("/headers/Host", json!("[")), ("/multiValueHeaders/Host", json!(["["]))]);
    let error = hidden(answer(hello, hostile.as_bytes(), "id").await);
    assert!(error.starts_with("reading the event: panic: "), "{error}");
}

#[tokio::test]
async fn an_error_is_logged_with_its_causes_and_hidden_from_the_caller() {
    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("counting the sheep")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    async fn fails(_: Request) -> Result<Response<Body>, Error> {
        Err(Outer("many".parse::<u8>().unwrap_err()).into())
    }
    assert_eq!(
        hidden(answer(fails, EVENT.as_bytes(), "id").await),
        "counting the sheep: invalid digit found in string"
    );
}

#[tokio::test]
async fn a_panic_is_logged_and_hidden_from_the_caller() {
    async fn panics(_: Request) -> Result<Response<Body>, Error> {
        panic!("the {} is off", "wheel")
    }
    let before_its_future =
        |_| -> std::future::Ready<Result<Response<Body>, Error>> { panic!("at once") };

    assert_eq!(hidden(answer(panics, EVENT.as_bytes(), "id").await), "panic: the wheel is off");
    assert_eq!(hidden(answer(before_its_future, EVENT.as_bytes(), "id").await), "panic: at once");
    assert_eq!(
        answer(hello, EVENT.as_bytes(), "id").await.response.status_code,
        200,
        "the next request is served"
    );
}

#[tokio::test]
async fn what_the_handler_sets_stands() {
    async fn cached(_: Request) -> Result<Response<Body>, Error> {
        let response = Response::builder()
            .header("cache-control", "max-age=60")
            .header("content-type", "image/png");
        Ok(response.body(Body::Binary(vec![1, 2, 3]))?)
    }
    let response =
        serde_json::to_value(answer(cached, EVENT.as_bytes(), "id").await.response).unwrap();
    assert_eq!(response["multiValueHeaders"]["cache-control"], json!(["max-age=60"]));
    assert_eq!(response["multiValueHeaders"]["content-type"], json!(["image/png"]));
    assert_eq!((&response["body"], &response["isBase64Encoded"]), (&json!("AQID"), &json!(true)));
}
