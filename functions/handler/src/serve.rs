//! The loop between Lambda's Runtime API and a handler.

use std::future::Future;

use lambda_http::http::{HeaderMap, StatusCode};
use lambda_http::{Body, Error, Request, Response};
use lambda_runtime_api_client::{PooledClient, body, build_request};
use serde_json::json;

use crate::{answer, log};

const API: &str = "/2018-06-01/runtime/invocation";
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
/// Sent back with the response where Lambda sends one.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Answers events with `handler`, one after the other, until Lambda ends the process.
///
/// This is not `lambda_http::run`, because that parses the event and the invocation's headers before the handler's
/// error handling begins: a byte that isn't UTF-8 or a client context of another shape fails the invocation without a
/// log line, or ends the process. Here every event goes through [`answer`] as bytes, and of the headers only the
/// request id is read. `_X_AMZN_TRACE_ID` isn't set; the trace id is in the request's `X-Amzn-Trace-Id` header.
///
/// Source of the calls: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.
///
/// # Errors
///
/// If the Runtime API can't be reached, or its answer has no request id. Lambda then starts the process again.
///
/// # Panics
///
/// Outside Lambda: `AWS_LAMBDA_RUNTIME_API` is missing.
pub async fn serve<H, F>(handler: H) -> Result<(), Error>
where
    H: Fn(Request) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
{
    log::panics_as_json();
    let api = PooledClient::builder().build();
    loop {
        let next = build_request().uri(format!("{API}/next")).body(body::Body::empty())?;
        let (parts, event) = api.call(next).await?.into_parts();
        let event = body::Body::new(event).collect().await?.to_bytes();
        if parts.status != StatusCode::OK {
            return Err(format!("asking Lambda for the next event: HTTP {}", parts.status).into());
        }
        let request_id = text(&parts.headers, REQUEST_ID)?;

        let answer = answer(handler, &event, request_id).await;
        log::write(&answer.entry);

        let mut response =
            build_request().method("POST").uri(format!("{API}/{request_id}/response"));
        if let Some(id) = parts.headers.get(INVOCATION_ID) {
            response = response.header(INVOCATION_ID, id);
        }
        let response = response.body(serde_json::to_vec(&answer.response)?.into())?;
        let status = api.call(response).await?.status();
        if !status.is_success() {
            // 413 is a response of more than 6 MB; Lambda reports the invocation as failed.
            let error = format!("Lambda refused the response: HTTP {status}");
            log::write(&json!({ "requestId": request_id, "error": error }));
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Error> {
    let value = headers.get(name).ok_or_else(|| format!("Lambda sent no {name}"))?;
    Ok(value.to_str()?)
}
