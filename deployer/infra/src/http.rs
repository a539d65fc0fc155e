//! The one way to the network: the SDK's calls to AWS and the smoke test's to the API take it, through a proxy
//! where the environment names one.

mod proxy;
mod trust;

pub use trust::{Trust, trust};

use anyhow::{Result, bail};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::DateTime;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::date_time::Format;
use proxy::{Route, blame, route};
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(4);

/// How long an API may take to answer: longer than API Gateway itself waits (29 s).
const ANSWER: Duration = Duration::from_secs(30);

/// The largest answer that is read, so that a wrong one can't fill the memory.
const LARGEST_BODY: usize = 64 * 1024;

/// The way to the network. Connections are kept and used again, except for requests that say
/// `Connection: close`: each of those has a new one for itself.
pub fn connector() -> SharedHttpConnector {
    SharedHttpConnector::new(Connections {
        direct: connections(ProxyConfig::disabled()),
        proxied: LazyLock::new(|| connections(ProxyConfig::from_env())),
    })
}

/// A connector with its own connection pool.
fn connections(proxies: ProxyConfig) -> SharedHttpConnector {
    SharedHttpConnector::new(
        Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(trust().context())
            .proxy_config(proxies)
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .build(),
    )
}

#[derive(Debug)]
struct Connections {
    direct: SharedHttpConnector,
    proxied: LazyLock<SharedHttpConnector>,
}

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Not left to the header alone, which HTTP/2 doesn't have.
        let own = request.headers().get(CLOSE.0) == Some(CLOSE.1);
        match route(request.uri()) {
            Ok(Route::Direct) if own => connections(ProxyConfig::disabled()).call(request),
            Ok(Route::Direct) => self.direct.call(request),
            Ok(Route::Proxy(proxy)) => {
                let answer = match own {
                    true => connections(ProxyConfig::from_env()).call(request),
                    false => self.proxied.call(request),
                };
                HttpConnectorFuture::new(async move {
                    answer.await.map_err(|error| blame(&proxy, &error))
                })
            }
            Err(bad) => HttpConnectorFuture::ready(Err(ConnectorError::user(bad.into()))),
        }
    }
}

/// The header of a request that has a connection for itself.
pub const CLOSE: (&str, &str) = ("connection", "close");

/// AWS's time: this machine's clock, put right by the `Date` of the last answer.
#[derive(Clone, Debug)]
pub struct Clock {
    own: SharedTimeSource,
    /// Seconds that our clock lacks; [`UNHEARD`] before the first answer.
    behind: Arc<AtomicI64>,
}

/// Nobody has told the time yet.
const UNHEARD: i64 = i64::MIN;

/// AWS refuses signatures that are five minutes off; by then a run should not have begun.
const FARTHEST: i64 = 240;

impl Clock {
    pub fn new(own: SharedTimeSource) -> Self {
        Self { own, behind: Arc::new(AtomicI64::new(UNHEARD)) }
    }

    /// Seconds since 1970, as AWS counts them.
    pub fn now(&self) -> i64 {
        self.own_now() + self.behind()
    }

    /// Seconds that this machine's clock is behind AWS's; negative when it is ahead.
    pub fn behind(&self) -> i64 {
        self.heard().unwrap_or(0)
    }

    /// The same; none as long as no answer has told the time.
    pub fn heard(&self) -> Option<i64> {
        Some(self.behind.load(Ordering::Relaxed)).filter(|behind| *behind != UNHEARD)
    }

    fn own_now(&self) -> i64 {
        let since = self.own.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// # Errors
    /// When this machine's clock is so wrong that AWS will refuse what it signs.
    pub fn check(&self) -> Result<()> {
        if self.behind().abs() > FARTHEST {
            bail!(WrongClock { behind: self.behind() });
        }
        Ok(())
    }

    /// The same connector, which sets this clock with each answer.
    pub fn heard_from(&self, connector: SharedHttpConnector) -> SharedHttpConnector {
        SharedHttpConnector::new(Dated { connector, clock: self.clone() })
    }
}

#[derive(Debug)]
struct Dated {
    connector: SharedHttpConnector,
    clock: Clock,
}

impl HttpConnector for Dated {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (clock, answer) = (self.clock.clone(), self.connector.call(request));
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let date = answer.headers().get("date");
            let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
            if let Some(date) = date {
                clock.behind.store(date.secs() - clock.own_now(), Ordering::Relaxed);
            }
            Ok(answer)
        })
    }
}

/// This machine's clock is too far from AWS's.
#[derive(Debug)]
pub struct WrongClock {
    /// Seconds; negative when it is ahead.
    pub behind: i64,
}

impl fmt::Display for WrongClock {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (minutes, seconds) = (self.behind.abs() / 60, self.behind.abs() % 60);
        let way = if self.behind > 0 { "behind" } else { "ahead of" };
        write!(f, "this machine's clock is {minutes} min {seconds:02} s {way} AWS's")
    }
}

impl Error for WrongClock {}

/// What a server said.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    /// `x-amzn-ErrorType`: the error's name where API Gateway itself answers; empty on a function's answer.
    pub error_type: String,
    /// Its beginning, should it be very long.
    pub body: String,
}

impl Answer {
    /// Whether API Gateway answered that the key's quota is used up until its period ends (QUOTA_EXCEEDED,
    /// `LimitExceededException`). A throttled call (THROTTLED, `TooManyRequestsException`) has the same status and
    /// passes within seconds. A used-up quota says nothing about the release.
    pub fn is_quota_exceeded(&self) -> bool {
        self.status == 429 && self.error_type == "LimitExceededException"
    }
}

/// Asks for a page as a caller would. Redirects are answers.
///
/// # Errors
/// When there is no answer, in words for people.
pub async fn get(
    connector: &SharedHttpConnector,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Result<Answer, String> {
    let mut request = HttpRequest::get(url).map_err(|error| error.to_string())?;
    for (name, value) in headers {
        request.headers_mut().try_insert(*name, (*value).to_owned()).map_err(|e| root(&e))?;
    }
    let answer = async {
        let mut response = connector.call(request).await.map_err(|error| root(&error))?;
        let header = |name| response.headers().get(name).unwrap_or_default().to_owned();
        let (content_type, error_type) = (header("content-type"), header("x-amzn-errortype"));
        let (mut stream, mut body) = (ByteStream::new(response.take_body()), Vec::new());
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|error| root(&error))?);
            if body.len() > LARGEST_BODY {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: response.status().as_u16(), content_type, error_type, body })
    };
    let seconds = ANSWER.as_secs();
    tokio::time::timeout(ANSWER, answer).await.unwrap_or(Err(format!("none in {seconds} s")))
}

/// The innermost cause: "connection refused" rather than "dispatch failure".
pub fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
