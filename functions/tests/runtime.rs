//! The built binaries, run as Lambda runs them: against a runtime API over HTTP, here on a local port.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const EVENT: &str = include_str!("event.json");

/// One request from the function: its first line and its body.
fn receive(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    let mut chunked = false;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        chunked |= line == "transfer-encoding: chunked";
        length =
            line.strip_prefix("content-length: ").map_or(length, |length| length.parse().unwrap());
        lines.push(line);
    }
    assert!(!chunked, "{lines:?}");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (lines.swap_remove(0), body)
}

/// Runs `binary` for one event; gives its response and its log.
fn invoke(binary: &str, event: &str, environment: &[(&str, &str)]) -> (Value, Vec<Value>) {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut function = Command::new(binary)
        .env_clear()
        .envs(environment.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", api.local_addr().unwrap().to_string())
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let response = loop {
        let (mut stream, _) = api.accept().unwrap();
        let (request, body) = receive(&stream);
        if request.starts_with("post /2018-06-01/runtime/invocation/request-1/response ") {
            break serde_json::from_slice(&body).unwrap();
        }
        assert!(request.starts_with("get /2018-06-01/runtime/invocation/next "), "{request}");
        let headers = "lambda-runtime-aws-request-id: request-1\r\nlambda-runtime-deadline-ms: 4102444800000\r\nconnection: close";
        write!(
            stream,
            "HTTP/1.1 200 OK\r\n{headers}\r\ncontent-length: {}\r\n\r\n{event}",
            event.len()
        )
        .unwrap();
    };
    function.kill().unwrap();
    let log = function.wait_with_output().unwrap().stdout;
    let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (response, lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

#[test]
fn root_greets_without_any_environment() {
    let (response, log) = invoke(env!("CARGO_BIN_EXE_root"), EVENT, &[]);
    assert_eq!(
        (&response["statusCode"], &response["body"]),
        (&json!(200), &json!(r#"{"message":"Hello, World!"}"#))
    );

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
    let (response, _) = invoke(env!("CARGO_BIN_EXE_metadata"), EVENT, &release);
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["myapplication"][0]["version"], "1.2.3");
    assert_eq!(body["myapplication"][0]["lastcommitsha"], "abc57858585");

    let (response, _) = invoke(env!("CARGO_BIN_EXE_health"), EVENT, &release);
    assert_eq!(response["statusCode"], 200);
    let (response, _) = invoke(env!("CARGO_BIN_EXE_health"), EVENT, &release[..1]);
    assert_eq!(response["statusCode"], 503);
}

#[test]
fn a_panic_is_a_500_and_the_log_says_where() {
    let hostile = EVENT.replace("a1b2c3d4e5.execute-api.ap-southeast-2.amazonaws.com\"", "[\"");
    let (response, log) = invoke(env!("CARGO_BIN_EXE_root"), &hostile, &[]);
    assert_eq!(response["statusCode"], 500);
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0]["panic"].as_str().unwrap().contains(".rs:"), "{log:?}");
    assert_eq!(log[1]["status"], 500);
}

#[test]
fn what_is_no_event_is_a_500_too() {
    let (response, log) = invoke(env!("CARGO_BIN_EXE_root"), r#"{"source":"aws.events"}"#, &[]);
    assert_eq!(response["statusCode"], 500);
    assert!(log[0]["error"].as_str().unwrap().starts_with("reading the event: "), "{log:?}");
}
