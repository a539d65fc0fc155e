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

fn answered(status: u16, code: Option<&str>, request_id: Option<&'static str>) -> Failure {
    let mut answer = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
    if let Some(id) = request_id {
        answer.headers_mut().insert("x-amz-request-id", id);
    }
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code {
        error = error.code(code);
    }
    let error = SdkError::service_error(error.build(), answer);
    Failure::new("s3:HeadBucket", &error, &Secrets::default())
}

#[test]
fn not_found_is_believed_only_from_aws() {
    assert!(answered(404, Some("NoSuchBucket"), None).is_missing());
    // S3 answers a HEAD without a body, but with its header.
    assert!(answered(404, None, Some("4442587FB7D0A2F9")).is_missing());
    assert!(answered(404, Some("NotFound"), Some("4442587FB7D0A2F9")).is_missing());
    for code in [None, Some("NotFound")] {
        assert!(!answered(404, code, None).is_missing(), "a proxy's, or a captive portal's");
    }
    let none = "ServerSideEncryptionConfigurationNotFoundError";
    assert!(answered(404, Some(none), None).is_missing());
}

#[test]
fn not_implemented_was_not_done() {
    assert!(answered(500, Some("InternalError"), None).ambiguous);
    assert!(!answered(501, Some("NotImplemented"), None).ambiguous);
}

/// The code decides: JSON 1.x services deny with status 400. Only S3's HEAD has none.
#[test]
fn a_denial_is_known_by_its_code() {
    for (status, code, id, expected) in [
        (403, Some("AccessDenied"), None, true),
        (400, Some("AccessDeniedException"), Some("1"), true),
        (403, Some("UnauthorizedOperation"), None, true),
        (200, Some("AccessDeniedException"), None, true),
        (403, None, Some("1"), true),
        (403, None, None, false),
        (403, Some("ExpiredTokenException"), Some("1"), false),
        (403, Some("SignatureDoesNotMatch"), Some("1"), false),
        (400, Some("ValidationException"), Some("1"), false),
    ] {
        assert_eq!(answered(status, code, id).is_denied(), expected, "{status} {code:?} {id:?}");
    }
}
