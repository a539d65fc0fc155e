//! Lambda's runtime API, as much of it as the tests need that run bootstraps.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

/// A proxy event as API Gateway sends it.
pub const EVENT: &str = include_str!("../event.json");

/// What Lambda sets, and nothing else.
pub fn environment(command: &mut Command, api: SocketAddr) -> &mut Command {
    command.env_clear().env("AWS_LAMBDA_RUNTIME_API", api.to_string()).envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ])
}

/// One request from the function: its first line, in lower case, and its body.
pub fn receive(reader: &mut BufReader<&TcpStream>) -> (String, Vec<u8>) {
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

/// Gives an event to who asked for the next one, with these headers besides those that it needs.
pub fn give(mut stream: &TcpStream, id: &str, event: &str, headers: &str) {
    let deadline = "lambda-runtime-deadline-ms: 4102444800000";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: {id}\r\n{deadline}\r\n{headers}content-length: {}\r\n\r\n{event}",
        event.len()
    )
    .unwrap();
}
