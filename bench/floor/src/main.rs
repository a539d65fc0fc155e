//! The floor: takes an event, reads nothing of it, and sends words that were fixed beforehand.

use std::env;
use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;

const INVOCATION: &str = "/2018-06-01/runtime/invocation/";
const ANSWER: &str = r#"{"statusCode":200,"multiValueHeaders":{"content-type":["application/json"]},"body":"{\"message\":\"Hello, World!\"}","isBase64Encoded":false}"#;

fn main() -> Result<()> {
    let api = env::var("AWS_LAMBDA_RUNTIME_API").map_err(Error::other)?;
    let mut stream = TcpStream::connect(&api)?;
    stream.set_nodelay(true)?;
    let next = format!("GET {INVOCATION}next HTTP/1.1\r\nhost: {api}\r\n\r\n");
    loop {
        stream.write_all(next.as_bytes())?;
        let head = receive(&mut stream)?;
        let id = field(&head, "lambda-runtime-aws-request-id").unwrap_or_default();
        let answer = format!(
            "POST {INVOCATION}{id}/response HTTP/1.1\r\nhost: {api}\r\ncontent-length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        stream.write_all(answer.as_bytes())?;
        receive(&mut stream)?;
    }
}

/// Reads one response to its end, and gives its head.
fn receive(stream: &mut TcpStream) -> Result<String> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err(Error::other("the runtime API has closed the connection"));
        }
        bytes.extend_from_slice(&part[..read]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = field(&head, "content-length").and_then(|length| length.parse().ok());
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(head);
            }
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
