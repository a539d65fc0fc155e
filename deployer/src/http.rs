//! The one way to the network: the SDK's calls to AWS and the smoke test's to the API take it.

use anyhow::Result;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use std::error::Error;
use std::time::Duration;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(4);

/// How long an API may take to answer: longer than API Gateway itself waits (29 s).
const ANSWER: Duration = Duration::from_secs(30);

/// The largest answer that is read, so that a wrong one can't fill the memory.
const LARGEST_BODY: usize = 64 * 1024;

/// What reaches the network, with nothing in between.
pub fn connector() -> SharedHttpConnector {
    SharedHttpConnector::new(
        Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .build(),
    )
}

/// What a server said.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    /// Its beginning, should it be very long.
    pub body: String,
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
        let content_type = response.headers().get("content-type").unwrap_or_default().to_owned();
        let (mut stream, mut body) = (ByteStream::new(response.take_body()), Vec::new());
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|error| root(&error))?);
            if body.len() > LARGEST_BODY {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: response.status().as_u16(), content_type, body })
    };
    let seconds = ANSWER.as_secs();
    tokio::time::timeout(ANSWER, answer).await.unwrap_or(Err(format!("none in {seconds} s")))
}

/// The innermost cause: "connection refused" rather than "dispatch failure".
fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
