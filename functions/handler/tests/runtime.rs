//! The built binaries, run as Lambda runs them: against a runtime API over HTTP, here on a local port.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod runtime_api;

use std::io::BufReader;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use runtime_api::{EVENT, environment, give, receive};

const FUNCTION: &str = env!("CARGO_BIN_EXE_handler-fixture");

/// Runs `binary` for one event; gives its response and its log.
fn invoke(binary: &str, event: &str, variables: &[(&str, &str)]) -> (Value, Vec<Value>) {
    invoke_with(binary, event, variables, "")
}

/// The same; the Runtime API sends `headers` with the event, each with its line end.
fn invoke_with(
    binary: &str,
    event: &str,
    variables: &[(&str, &str)],
    headers: &str,
) -> (Value, Vec<Value>) {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut function = environment(&mut Command::new(binary), api.local_addr().unwrap())
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let response = loop {
        let (stream, _) = api.accept().unwrap();
        let (request, body) = receive(&mut BufReader::new(&stream));
        if request.starts_with("post /2018-06-01/runtime/invocation/request-1/response ") {
            break serde_json::from_slice(&body).unwrap();
        }
        assert!(request.starts_with("get /2018-06-01/runtime/invocation/next "), "{request}");
        give(&stream, "request-1", event, &format!("{headers}connection: close\r\n"));
    };
    function.kill().unwrap();
    let log = function.wait_with_output().unwrap().stdout;
    let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (response, lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

#[test]
fn an_event_is_answered_and_logged() {
    let (response, log) = invoke(FUNCTION, EVENT, &[]);
    let body = json!(r#"["Hello, World!",null]"#);
    assert_eq!((&response["statusCode"], &response["body"]), (&json!(200), &body));

    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0]["requestId"], "request-1");
    assert_eq!(
        (&log[0]["method"], &log[0]["path"], &log[0]["status"]),
        (&json!("GET"), &json!("/"), &json!(200))
    );
    assert!(log[0]["milliseconds"].is_number());
}

#[test]
fn the_release_is_read_from_the_environment() {
    let release = [("VERSION", "1.2.3"), ("GIT_SHA", "abc57858585")];
    let (response, _) = invoke(FUNCTION, EVENT, &release);
    assert_eq!(response["body"], r#"["Hello, World!",["1.2.3","abc57858585"]]"#);
    let (response, _) = invoke(FUNCTION, EVENT, &release[..1]);
    assert_eq!(response["body"], r#"["Hello, World!",null]"#);
}

#[test]
fn a_panic_is_a_500_and_the_log_says_where() {
    let hostile = EVENT.replace("a1b2c3d4e5.execute-api.ap-southeast-2.amazonaws.com\"", "[\"");
    let (response, log) = invoke(FUNCTION, &hostile, &[]);
    assert_eq!(response["statusCode"], 500);
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0]["panic"].as_str().unwrap().contains(".rs:"), "{log:?}");
    assert_eq!(log[1]["status"], 500);
}

#[test]
fn what_is_no_event_is_a_500_too() {
    let (response, log) = invoke(FUNCTION, r#"{"source":"aws.events"}"#, &[]);
    assert_eq!(response["statusCode"], 500);
    assert!(log[0]["error"].as_str().unwrap().starts_with("reading the event "), "{log:?}");

    let (response, log) = invoke(FUNCTION, "", &[]);
    assert_eq!((&response["statusCode"], log.len()), (&json!(500), 1), "{log:?}");
}

#[test]
fn the_invocation_s_headers_may_have_any_shape() {
    for context in [
        r#"{"custom":{"a":{"b":1}}}"#,
        r#"{"custom":{"a":"b"},"env":{"x":"y"},"client":{"installation_id":"1"}}"#,
        "null",
        "{",
        "",
    ] {
        let headers = format!(
            "lambda-runtime-client-context: {context}\r\nlambda-runtime-cognito-identity: {context}\r\n"
        );
        let (response, log) = invoke_with(FUNCTION, EVENT, &[], &headers);
        assert_eq!((&response["statusCode"], log.len()), (&json!(200), 1), "{context}: {log:?}");
    }
}
