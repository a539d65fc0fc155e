//! What no honest caller sends: it is refused before a handler sees it.

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};

use crate::response;

/// Bytes of a body where the method gives it no meaning. API Gateway takes 10 MB.
const BODY: usize = 8 * 1024;

/// Header fields, and the bytes of all names and values. API Gateway takes 10 KB and adds a few of its own.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 16 * 1024;

/// The answer to a request that is too large. It repeats nothing of it.
pub(crate) fn refusal(request: &Request) -> Option<Response<Body>> {
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > HEADERS || bytes > HEADER_BYTES {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Some(response::refused(status, r#"{"message":"Request header fields too large"}"#));
    }
    let meaningless = [Method::GET, Method::HEAD].contains(request.method());
    if meaningless && request.body().len() > BODY {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Some(response::refused(status, r#"{"message":"Content too large"}"#));
    }
    None
}
