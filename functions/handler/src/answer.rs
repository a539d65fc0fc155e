//! One event in, one response and one log line out.

use std::any::Any;
use std::future::Future;
use std::mem;
use std::panic::catch_unwind;
use std::time::Instant;

use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use lambda_http::request::LambdaRequest;
use lambda_http::{Body, Error, Request, RequestExt, Response};

use crate::limits;
use crate::log::Entry;
use crate::response;

/// Of a path, so many characters are enough to know it by.
const LOGGED_PATH: usize = 1024;

/// What became of an event.
#[derive(Debug)]
pub struct Answer {
    /// For API Gateway.
    pub response: ApiGatewayProxyResponse,
    /// For the log.
    pub entry: Entry,
}

/// Gives `event`, an API Gateway REST proxy event as JSON, to `handler`.
///
/// Bytes that aren't UTF-8 (API Gateway passes on a header's Latin-1) become U+FFFD.
///
/// Never fails: an event that cannot be read, an error and a panic are all a 500 whose body names no cause; the cause
/// is in [`Entry::error`]. Must run within a tokio runtime.
pub async fn answer<H, F>(handler: H, event: &[u8], request_id: &str) -> Answer
where
    H: Fn(Request) -> F + Send + 'static,
    F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
{
    let started = Instant::now();
    let mut entry = Entry::of(request_id);

    let outcome = match read(event) {
        Ok(request) => {
            entry.method = Some(request.method().to_string());
            // The URI that lambda_http builds starts with the stage; this is the path as the API knows it.
            entry.path = Some(request.raw_http_path().chars().take(LOGGED_PATH).collect());
            match limits::refusal(&request) {
                Some(refusal) => Ok(refusal),
                None => run(handler, request).await,
            }
        }
        Err(error) => Err(error),
    };
    let response = outcome.unwrap_or_else(|error| {
        entry.error = Some(chain(error.as_ref()));
        response::internal_error()
    });

    entry.status = response.status().as_u16();
    entry.milliseconds = started.elapsed().as_micros() as f64 / 1000.0;
    Answer { response: response::for_api_gateway(response), entry }
}

/// Reads the event. A `Host` or `X-Forwarded-Proto` that makes no URL is a panic in lambda_http, hence `catch_unwind`.
fn read(event: &[u8]) -> Result<Request, Error> {
    let event = String::from_utf8_lossy(event);
    let event: ApiGatewayProxyRequest = serde_json::from_str(&event)
        .map_err(|error| format!("reading the event of an API Gateway REST API: {error}"))?;
    catch_unwind(|| request(event))
        .map_err(|panic| format!("reading the event: panic: {}", message(panic.as_ref())).into())
}

/// The event as a request, with every value of a repeated header: lambda_http keeps only the last one.
fn request(mut event: ApiGatewayProxyRequest) -> Request {
    let headers = mem::take(&mut event.multi_value_headers);
    let mut request = Request::from(LambdaRequest::ApiGatewayV1(event));
    request.headers_mut().extend(headers);
    request
}

/// Runs the handler in a task of its own, which is where tokio stops a panic.
async fn run<H, F>(handler: H, request: Request) -> Result<Response<Body>, Error>
where
    H: Fn(Request) -> F + Send + 'static,
    F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
{
    match tokio::spawn(async move { handler(request).await }).await {
        Ok(outcome) => outcome,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => Err(format!("panic: {}", message(panic.as_ref())).into()),
            Err(cancelled) => Err(cancelled.into()),
        },
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

/// The error and its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
