//! Answers from a recording (`--record`) instead of a cloud.

use aws_smithy_async::time::{SharedTimeSource, StaticTimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use infra::aws::{Access, Local};
use infra::record::{Answer, Exchange};
use percent_encoding::percent_decode_str;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use crate::account::REGION;

/// What was recorded and not yet answered, in order.
#[derive(Debug)]
struct Replay(Mutex<Vec<Exchange>>);

/// Access to what was recorded, at the time of the recording.
pub fn access(recording: &str) -> Access {
    let exchanges = recording.lines().skip(1).map(|line| serde_json::from_str(line).unwrap());
    let exchanges: Vec<Exchange> = exchanges.collect();
    let first = exchanges.first().unwrap();
    let began = UNIX_EPOCH + Duration::from_millis(first.at);
    let (access_key, secret_key) = ("test".to_owned(), "test".to_owned());
    let endpoint = format!("http://{}", first.host);
    Access {
        region: Some(REGION.to_owned()),
        local: Some(Local { endpoint, access_key, secret_key }),
        clock: Some(SharedTimeSource::new(StaticTimeSource::new(began))),
        http: Some(SharedHttpConnector::new(Replay(Mutex::new(exchanges)))),
        ..Access::default()
    }
}

fn plain(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

impl Replay {
    /// The first with the same body, or else the first of the same name.
    fn answer(&self, asked: &Exchange) -> Option<Answer> {
        let same = |other: &Exchange| {
            let named = (&other.method, &other.operation, plain(&other.path), plain(&other.query));
            named == (&asked.method, &asked.operation, plain(&asked.path), plain(&asked.query))
        };
        let mut left = self.0.lock().unwrap();
        let exact = left.iter().position(|other| same(other) && other.body == asked.body);
        let at = exact.or_else(|| left.iter().position(same))?;
        Some(left.remove(at).answer)
    }
}

impl HttpConnector for Replay {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked = Exchange::sent(&request, 0);
        let name = format!("{} {}?{} {:?}", asked.method, asked.path, asked.query, asked.operation);
        HttpConnectorFuture::ready(match self.answer(&asked) {
            Some(Answer::Answered { status, headers, body }) => {
                let status = StatusCode::try_from(status).unwrap();
                let mut answer = HttpResponse::new(status, SdkBody::from(body.to_bytes()));
                // What was replaced in it has changed its length.
                let kept = headers
                    .into_iter()
                    .filter(|(name, value)| name != "content-length" && value != "redacted");
                kept.for_each(|(name, value)| drop(answer.headers_mut().insert(name, value)));
                Ok(answer)
            }
            Some(Answer::Unanswered { error }) => Err(ConnectorError::io(error.into())),
            None => Err(ConnectorError::user(format!("not in the recording: {name}").into())),
        })
    }
}
