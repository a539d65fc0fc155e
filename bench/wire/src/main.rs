//! A wire that takes its time: `wire HOST:PORT MILLISECONDS`. It passes HTTP requests on, each after that long, and
//! prints its own address. For every line that it reads it prints what has passed since the last: `requests`, and the
//! longest `chain` of them, which is how many had to follow one another. It ends with its input.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

struct Wire {
    to: Authority,
    delay: Duration,
    client: Client<HttpConnector, Incoming>,
    requests: AtomicUsize,
    /// How many answers had to follow one another until now.
    answered: Mutex<usize>,
}

impl Wire {
    /// A request follows whatever had been answered when it was sent.
    async fn pass(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>> {
        let before = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        self.requests.fetch_add(1, Ordering::Relaxed);
        #[allow(clippy::disallowed_methods, reason = "it is what a wire is for")]
        tokio::time::sleep(self.delay).await;
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(self.to.clone()));
        *request.uri_mut() = Uri::from_parts(uri)?;
        let response = self.client.request(request).await?;
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        *answered = (*answered).max(before + 1);
        Ok(response)
    }

    fn report(&self) -> serde_json::Value {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({ "requests": requests, "chain": std::mem::take(&mut *answered) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let to = arguments.next().context("where to? wire HOST:PORT MILLISECONDS")?.parse()?;
    let delay = arguments.next().context("how far? wire HOST:PORT MILLISECONDS")?.parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let wire = Arc::new(Wire {
        to,
        delay: Duration::from_millis(delay),
        client: Client::builder(TokioExecutor::new()).build(connector),
        requests: AtomicUsize::new(0),
        answered: Mutex::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut output = tokio::io::stdout();
    output.write_all(format!("{}\n", listener.local_addr()?).as_bytes()).await?;
    output.flush().await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                if line?.is_none() {
                    return Ok(());
                }
                output.write_all(format!("{}\n", wire.report()).as_bytes()).await?;
                output.flush().await?;
            }
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                let wire = wire.clone();
                let service = service_fn(move |request| {
                    let wire = wire.clone();
                    async move { wire.pass(request).await }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A caller that goes away is no failure.
                tokio::spawn(async move { drop(connection.await) });
            }
        }
    }
}
