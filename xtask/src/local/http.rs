//! As much HTTP as a question to a process on this machine takes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

pub const CONNECT: Duration = Duration::from_millis(250);

/// Sends a request without a body to a port of 127.0.0.1 and gives status and body of the answer.
///
/// # Errors
///
/// If nobody listens, nothing is answered within `patience`, or the answer isn't HTTP.
pub fn request(
    method: &str,
    port: u16,
    path: &str,
    patience: Duration,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address(port), CONNECT)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // 1.0, so that the answer is neither chunked nor followed by another.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(1 << 16).read_to_string(&mut answer)?;
    parse(&answer)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

pub fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        assert_eq!(parse("HTTP/1.1 200 OK\r\na: b\r\n\r\n{}"), Some((200, "{}".into())));
        assert_eq!(parse("HTTP/1.0 404\r\n\r\n"), Some((404, String::new())));
    }

    #[test]
    fn other_protocols_are_not_taken_for_an_answer() {
        for stranger in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 200 OK"] {
            assert_eq!(parse(stranger), None, "{stranger:?}");
        }
    }
}
