//! `--record FILE`: every request and its answer as a line of JSON, for a bug report and to be replayed by a
//! test.
//!
//! It is taken at the HTTP connector, so it is what was on the wire. What is secret or personal is replaced
//! first ([`redact`]), the same by the same within a file.

pub mod body;
mod redact;

use anyhow::{Context, Result, anyhow};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use body::Body;
use redact::Redactor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;
use tokio::time::Instant; // stands still and jumps in tests

/// The first line of a file: what wrote it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    pub format_version: u32,
    pub deployer: String,
    pub verb: String,
}

/// A request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// When it was sent: milliseconds since 1970, by this machine's clock.
    pub at: u64,
    pub milliseconds: u64,
    /// As signatures name it: `lambda`, `s3`. None of what isn't signed: a call of the API.
    pub service: Option<String>,
    /// Where the wire tells it; else method and path do.
    pub operation: Option<String>,
    pub method: String,
    pub host: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Body,
    pub answer: Answer,
}

impl Exchange {
    /// A request that has no answer yet, as it is on the wire.
    pub fn sent(request: &HttpRequest, at: u64) -> Self {
        let header = |name| request.headers().get(name).unwrap_or_default();
        let uri = request.uri().split_once("://").map_or(request.uri(), |(_, rest)| rest);
        let (host, rest) = uri.split_at(uri.find(['/', '?']).unwrap_or(uri.len()));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let bytes = request.body().bytes();
        let body = Body::of(header("content-type"), bytes.unwrap_or_default());
        let action = || Some(body.text()?.strip_prefix("Action=")?.split('&').next()?.to_owned());
        let target =
            header("x-amz-target").rsplit_once('.').map(|(_, operation)| operation.to_owned());
        let cbor = path.split_once("/operation/").map(|(_, operation)| operation.to_owned());
        Self {
            at,
            milliseconds: 0,
            // KEY/DATE/REGION/SERVICE/aws4_request
            service: header("authorization").split('/').nth(3).map(ToOwned::to_owned),
            operation: target.or(cbor).or_else(action),
            method: request.method().to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: pairs(request.headers().iter()),
            body,
            answer: Answer::Unanswered { error: String::new() },
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    Answered { status: u16, headers: BTreeMap<String, String>, body: Body },
    Unanswered { error: String },
}

/// The file could not be created.
#[derive(Debug)]
pub struct NoRecording(PathBuf);

impl fmt::Display for NoRecording {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "creating the recording {}", self.0.display())
    }
}

/// Writes what goes over the wire. Clones write the same file.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
    clock: SharedTimeSource,
}

struct Inner {
    file: File,
    redactor: Redactor,
    written: usize,
    /// The first line that could not be written; none is after it.
    failed: Option<io::Error>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// Creates the file, which only its owner may read, and writes its first line.
    ///
    /// # Errors
    /// [`NoRecording`], when it exists already or can't be written.
    pub fn create(path: &Path, verb: &str, clock: SharedTimeSource) -> Result<Self> {
        // Never follows a link, and never overwrites a file.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { format_version: 1, deployer: version, verb: verb.to_owned() };
        let recorder = file.map_err(|error| anyhow!(reason(path, &error))).and_then(|file| {
            let redactor = Redactor::default();
            let mut inner = Inner { file, redactor, written: 0, failed: None };
            inner.write(&serde_json::to_string(&header)?)?;
            Ok(Self { inner: Arc::new(Mutex::new(inner)), clock })
        });
        recorder.context(NoRecording(path.to_owned()))
    }

    /// The same connector, of which everything is written.
    pub fn record(&self, connector: SharedHttpConnector) -> SharedHttpConnector {
        SharedHttpConnector::new(Recorded { connector, recorder: self.clone() })
    }

    /// How many requests were written; or why not all.
    pub fn finish(&self) -> Result<usize, String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.failed.as_ref().map_or(Ok(inner.written), |error| Err(error.to_string()))
    }

    fn now(&self) -> u64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn add(&self, exchange: Exchange) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.failed.is_some() {
            return;
        }
        let line = inner.redactor.line(exchange);
        match inner.write(&line) {
            Ok(()) => inner.written += 1,
            Err(error) => inner.failed = Some(error),
        }
    }
}

impl Inner {
    /// In one piece, so that a run that is killed leaves whole lines.
    fn write(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Why a file could not be created, without the number of the OS error.
fn reason(path: &Path, error: &io::Error) -> String {
    let directory = path.parent().unwrap_or(path).display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => "the file exists already".to_owned(),
        io::ErrorKind::NotFound => format!("the directory {directory} doesn't exist"),
        _ => error.to_string().split(" (os error ").next().unwrap_or_default().to_owned(),
    }
}

#[derive(Debug)]
struct Recorded {
    connector: SharedHttpConnector,
    recorder: Recorder,
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let recorder = self.recorder.clone();
        let (at, sent) = (recorder.now(), Instant::now());
        let exchange = Exchange::sent(&request, at);
        let answer = self.connector.call(request);
        HttpConnectorFuture::new(async move {
            let answer = match answer.await {
                Ok(answer) => read(answer).await,
                Err(error) => Err(error),
            };
            let milliseconds = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (recorded, answer) = match answer {
                Ok((answer, body)) => (answered(&answer, &body), Ok(answer)),
                Err(error) => {
                    let text = crate::http::root(&error);
                    (Answer::Unanswered { error: text }, Err(error))
                }
            };
            recorder.add(Exchange { milliseconds, answer: recorded, ..exchange });
            answer
        })
    }
}

/// Reads an answer to its end; the SDK gets a copy.
async fn read(mut answer: HttpResponse) -> Result<(HttpResponse, Vec<u8>), ConnectorError> {
    let body = ByteStream::new(answer.take_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.to_vec();
    *answer.body_mut() = SdkBody::from(body.clone());
    Ok((answer, body))
}

fn answered(answer: &HttpResponse, body: &[u8]) -> Answer {
    let kind = answer.headers().get("content-type").unwrap_or_default();
    Answer::Answered {
        status: answer.status().as_u16(),
        headers: pairs(answer.headers().iter()),
        body: Body::of(kind, body),
    }
}

fn pairs<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect()
}
