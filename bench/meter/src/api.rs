//! Lambda's runtime API, as much of it as a bootstrap uses:
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Real functions are far quicker; who takes longer hangs.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The server: it waits in the kernel, and does nothing else between the arrival of a request and its return.
pub struct Api {
    listener: TcpListener,
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A request, and the connection it came on.
pub struct Asked {
    pub line: String,
    pub body: Vec<u8>,
    on: usize,
}

impl Api {
    /// On a port of its own.
    ///
    /// # Errors
    ///
    /// If there is none left.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening on a local port")?;
        Ok(Api { listener, connections: vec![] })
    }

    /// What goes into `AWS_LAMBDA_RUNTIME_API`.
    ///
    /// # Errors
    ///
    /// If the system does not know it.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Waits for a whole request.
    ///
    /// # Errors
    ///
    /// If none comes in time, or one that no HTTP client of a runtime sends.
    pub fn asked(&mut self) -> Result<Asked> {
        loop {
            let waiting = PollFlags::IN;
            let connections = self.connections.iter();
            let mut sources = vec![PollFd::new(&self.listener, waiting)];
            sources.extend(connections.map(|c| PollFd::new(&c.stream, waiting)));
            if poll(&mut sources, Some(&PATIENCE)).context("waiting for the function")? == 0 {
                bail!("the function has asked for nothing in {} s", PATIENCE.tv_sec);
            }
            let ready: Vec<bool> =
                sources.iter().map(|source| !source.revents().is_empty()).collect();
            if let Some(on) = ready[1..].iter().position(|ready| *ready) {
                match self.connections[on].read()? {
                    Received::Closed => drop(self.connections.remove(on)),
                    Received::Part => {}
                    Received::Whole(line, body) => return Ok(Asked { line, body, on }),
                }
            } else if ready[0] {
                let (stream, _) = self.listener.accept().context("accepting a connection")?;
                stream.set_nodelay(true)?;
                self.connections.push(Connection { stream, received: vec![] });
            }
        }
    }

    /// Answers `asked`.
    ///
    /// # Errors
    ///
    /// If the function has gone meanwhile.
    pub fn answer(&mut self, asked: &Asked, response: &str) -> Result<()> {
        let stream = &mut self.connections[asked.on].stream;
        stream.write_all(response.as_bytes()).context("answering the function")
    }
}

enum Received {
    Closed,
    Part,
    Whole(String, Vec<u8>),
}

impl Connection {
    fn read(&mut self) -> Result<Received> {
        let mut part = [0; 16 * 1024];
        // A process that has ended may leave a reset behind.
        match self.stream.read(&mut part) {
            Ok(0) | Err(_) => return Ok(Received::Closed),
            Ok(read) => self.received.extend_from_slice(&part[..read]),
        }
        let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(Received::Part);
        };
        let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        if field("transfer-encoding:").is_some() {
            bail!("the function sends its answer in chunks, which this server does not read");
        }
        let length = field("content-length:").map_or(Ok(0), |length| length.trim().parse());
        let length: usize = length.context("reading the length of the function's answer")?;
        let whole = end + 4 + length;
        if self.received.len() < whole {
            return Ok(Received::Part);
        }
        let body = self.received[end + 4..whole].to_vec();
        self.received.drain(..whole);
        Ok(Received::Whole(head.lines().next().unwrap_or_default().to_owned(), body))
    }
}
