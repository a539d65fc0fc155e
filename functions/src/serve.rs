//! The loop between Lambda and a handler.

use std::convert::Infallible;
use std::future::Future;

use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::{Body, Error, Request, Response, service_fn};
use serde_json::value::RawValue;

use crate::{answer, log};

/// Answers events with `handler`, one after the other, until Lambda ends the process.
///
/// The runtime is asked for the event's text, not for a parsed event: so the parsing, too, is within [`answer`]'s net.
///
/// # Errors
///
/// If Lambda's runtime API cannot be reached.
///
/// # Panics
///
/// Outside Lambda: the variables that it sets (`AWS_LAMBDA_RUNTIME_API`, …) are missing.
pub async fn serve<H, F>(handler: H) -> Result<(), Error>
where
    H: Fn(Request) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Response<Body>, Error>> + Send + 'static,
{
    log::panics_as_json();
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let answer = answer(handler, event.payload.get(), &event.context.request_id).await;
        log::write(&answer.entry);
        Ok::<_, Infallible>(answer.response)
    }))
    .await
}
