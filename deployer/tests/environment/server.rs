//! A server that stands for STS, or for a proxy before it, and tells what it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

pub struct Server {
    /// `127.0.0.1:PORT`.
    pub address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers everything with this status and body.
    pub fn new(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\
             x-amzn-requestid: a-request-id\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let ears = heard.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = BufReader::new(client.unwrap());
                let mut head = String::new();
                while client.read_line(&mut head).is_ok_and(|read| read > 2) {}
                let lower = head.to_lowercase();
                let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                let _ = client.read_exact(&mut body);
                ears.lock().unwrap().push(head + &String::from_utf8_lossy(&body));
                let _ = client.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { address, heard }
    }

    /// STS, which knows everybody.
    pub fn sts() -> Self {
        Self::new(200, &identity("arn:aws:iam::123456789012:root"))
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, with their heads and bodies.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// What STS says of a caller.
pub fn identity(arn: &str) -> String {
    format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>1</UserId>\
         <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

/// A stage of this name is refused when all else went well, before anything else is asked.
pub const CONNECTED: &str = "status --stage Dev";
