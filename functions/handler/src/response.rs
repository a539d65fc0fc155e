//! Responses: JSON in, what API Gateway wants out.

use lambda_http::aws_lambda_events::apigw::ApiGatewayProxyResponse;
use lambda_http::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use lambda_http::http::{Response, StatusCode};
use lambda_http::{Body, Error};
use serde::Serialize;

/// `body` as JSON with the given status (`200`, …), served as `application/json` unless the handler sets another type.
///
/// # Errors
///
/// If `status` is no HTTP status, or `body` has no JSON form.
pub fn json(status: u16, body: &impl Serialize) -> Result<Response<Body>, Error> {
    let mut response = Response::new(Body::Text(serde_json::to_string(body)?));
    *response.status_mut() = StatusCode::from_u16(status)?;
    Ok(response)
}

/// What the caller is told of an error or a panic: that there was one.
pub(crate) fn internal_error() -> Response<Body> {
    refused(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Internal server error"}"#)
}

/// Words that were fixed beforehand.
pub(crate) fn refused(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

/// What always holds: answers are data, for TLS only, and no page of anybody's. (OWASP REST Security Cheat Sheet.)
const ALWAYS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
];

/// Adds the headers that every endpoint sends; those that the handler set stand, except what always holds.
pub(crate) fn for_api_gateway(response: Response<Body>) -> ApiGatewayProxyResponse {
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }

    let mut answer = ApiGatewayProxyResponse::default();
    answer.status_code = parts.status.as_u16().into();
    // API Gateway sends what is in both maps twice, so only one is filled: the one that can hold a header twice.
    answer.multi_value_headers = headers;
    answer.is_base64_encoded = matches!(body, Body::Binary(_));
    answer.body = Some(body);
    answer
}
