//! A proxy before the local cloud that hears every request, and can fall silent.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub struct Wire {
    pub endpoint: String,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    silence: Receiver<()>,
}

struct Heard {
    requests: Vec<Request>,
    /// After how many writes nobody is answered any more.
    silent_after: Option<usize>,
    silent: bool,
}

/// What was asked, without what was said.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    path: String,
    /// Where every operation is posted to the same path.
    operation: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.operation {
            Some(operation) => f.write_str(operation),
            None => write!(f, "{} {}", self.method, self.path),
        }
    }
}

impl Request {
    fn is_write(&self) -> bool {
        match &self.operation {
            Some(operation) => !["Get", "List", "Describe", "Simulate"]
                .iter()
                .any(|read| operation.starts_with(read)),
            None => {
                !["GET", "HEAD"].contains(&self.method.as_str())
                    && !self.path.contains("/invocations")
            }
        }
    }
}

impl Wire {
    pub fn to(cloud: &str) -> Self {
        Self::new(cloud, None)
    }

    /// Carries the `writes`-th write out and doesn't tell: from then on nobody gets an answer, and
    /// nothing else is carried out, until [`go_on`](Self::go_on).
    pub fn silent_after(writes: usize, cloud: &str) -> Self {
        Self::new(cloud, Some(writes))
    }

    fn new(cloud: &str, silent_after: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Heard { requests: vec![], silent_after, silent: false };
        let heard = Arc::new((Mutex::new(heard), Condvar::new()));
        let (sender, silence) = channel();
        let cloud = cloud.trim_start_matches("http://").to_owned();
        let ears = heard.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (cloud, ears, sender) = (cloud.clone(), ears.clone(), sender.clone());
                thread::spawn(move || serve(client.unwrap(), &cloud, &ears, &sender));
            }
        });
        Self { endpoint, heard, silence }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.heard.0.lock().unwrap().requests.clone()
    }

    /// Requests that change something about the stage; its lease is not the stage.
    pub fn writes(&self) -> Vec<String> {
        let writes = self.requests().into_iter().filter(Request::is_write);
        writes.map(|r| r.to_string()).filter(|r| !r.contains("/lease.json")).collect()
    }

    #[track_caller]
    pub fn assert_no_writes(&self) {
        let requests = self.requests();
        assert!(requests.len() > 5, "only {requests:?} was heard");
        assert_eq!(self.writes(), Vec::<String>::new());
    }

    /// Waits until nobody is answered any more.
    pub fn await_silence(&self) {
        self.silence.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    /// Answers what has waited, and everything from now on.
    pub fn go_on(&self) {
        let (heard, changed) = &*self.heard;
        let mut heard = heard.lock().unwrap();
        (heard.silent, heard.silent_after) = (false, None);
        changed.notify_all();
    }
}

/// Answers one request, and ends the connection: what comes back needs no understanding then.
fn serve(client: TcpStream, cloud: &str, ears: &(Mutex<Heard>, Condvar), silence: &Sender<()>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        head.push(std::mem::take(&mut line).trim_end().to_owned());
    }
    // A client that takes this for its proxy names the host too.
    if let Some(first) = head.first_mut()
        && let Some((method, url)) = first.split_once(" http://")
    {
        let path = url.split_once('/').map_or("", |(_, path)| path);
        *first = format!("{method} /{path}");
    }
    let Some(first) = head.first() else { return };
    let header = |name: &str| {
        let named = |line: &&String| line.to_lowercase().starts_with(&format!("{name}:"));
        head.iter().find(named).map(|line| line[name.len() + 1..].trim())
    };
    if header("expect").is_some() {
        (&client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    }
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    assert_eq!(header("transfer-encoding"), None, "this proxy doesn't know chunks");
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return; // the client was killed
    }

    let mut words = first.split(' ').map(ToOwned::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let target = header("x-amz-target").and_then(|target| target.split_once('.'));
    let action = std::str::from_utf8(&body).ok().and_then(|body| body.strip_prefix("Action="));
    let action = action.and_then(|action| action.split('&').next());
    let operation = target.or(path.split_once("/operation/")).map(|(_, operation)| operation);
    let operation = operation.or(action).map(ToOwned::to_owned);
    let last = {
        let mut heard = wait_for_answers(ears);
        heard.requests.push(Request { method, path, operation });
        let writes = heard.requests.iter().filter(|request| request.is_write()).count();
        heard.silent |= heard.silent_after == Some(writes);
        heard.silent
    };

    let mut server = TcpStream::connect(cloud).unwrap();
    let dropped = ["connection:", "expect:"];
    for line in &head {
        if !dropped.iter().any(|name| line.to_lowercase().starts_with(name)) {
            write!(server, "{line}\r\n").unwrap();
        }
    }
    server.write_all(b"connection: close\r\n\r\n").unwrap();
    server.write_all(&body).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    if last {
        silence.send(()).unwrap();
        drop(wait_for_answers(ears));
    }
    let _ = (&client).write_all(&answer); // it may have been killed
}

/// Blocks while the proxy is silent.
fn wait_for_answers((heard, changed): &(Mutex<Heard>, Condvar)) -> MutexGuard<'_, Heard> {
    changed.wait_while(heard.lock().unwrap(), |heard| heard.silent).unwrap()
}
