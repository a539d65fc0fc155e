//! What is kept of an error.

use super::*;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;

fn message(said: &str) -> String {
    let answer = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
    let error = ErrorMetadata::builder().code("InvalidParameterValueException").message(said);
    Failure::new(
        "lambda:CreateFunction",
        &SdkError::service_error(error.build(), answer),
        &Secrets::default(),
    )
    .message
}

#[test]
fn what_was_sent_is_not_repeated() {
    assert_eq!(
        message(
            "the environment variables you have provided exceeded the 4KB limit. String measured: \
             {\"TOKEN\":\"a secret\"}"
        ),
        "the environment variables you have provided exceeded the 4KB limit."
    );
    assert_eq!(
        message(
            "failed to apply endpoint `localhost` to request `Request { body: SdkBody { inner: \
             Once(Some(b\"a secret\")) } }`: endpoint must contain scheme"
        ),
        "failed to apply endpoint `localhost`"
    );
    assert_eq!(message(" Rate exceeded\n"), "Rate exceeded");
    assert_eq!(message(&"x".repeat(1_000)), "x".repeat(600));
}
