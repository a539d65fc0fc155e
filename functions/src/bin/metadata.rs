//! `GET /metadata`: says which release is running.

use handler::{Body, Error, Release, Request, Response, json, serve};
use serde::Serialize;

const DESCRIPTION: &str = "pre-interview technical test";

/// The keys are a contract, and so is their order: hence a struct, where a `json!` map would be sorted.
#[derive(Serialize)]
struct Metadata {
    myapplication: [Application; 1],
}

#[derive(Serialize)]
struct Application {
    version: String,
    description: &'static str,
    lastcommitsha: String,
}

async fn metadata(_: Request) -> Result<Response<Body>, Error> {
    describe(|name| std::env::var(name).ok())
}

fn describe(lookup: impl Fn(&str) -> Option<String>) -> Result<Response<Body>, Error> {
    let Release { version, git_sha } = Release::read(lookup)?;
    let application = Application { version, description: DESCRIPTION, lastcommitsha: git_sha };
    json(200, &Metadata { myapplication: [application] })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve(metadata).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_the_release_in_exactly_these_words() {
        let response = describe(|name| match name {
            "VERSION" => Some("1.0.0".into()),
            "GIT_SHA" => Some("abc57858585".into()),
            _ => None,
        });
        let expected = concat!(
            r#"{"myapplication":[{"version":"1.0.0","description":"pre-interview technical test","#,
            r#""lastcommitsha":"abc57858585"}]}"#
        );
        assert_eq!(response.unwrap().into_body(), Body::from(expected));
    }

    #[tokio::test]
    async fn an_unknown_release_is_an_error_for_the_log_only() {
        let handler = |_| async { describe(|_| None) };
        let answer =
            handler::answer(handler, include_bytes!("../../handler/tests/event.json"), "id").await;
        assert_eq!(answer.response.status_code, 500);
        assert_eq!(
            answer.response.body,
            Some(Body::from(r#"{"message":"Internal server error"}"#))
        );
        assert_eq!(answer.entry.error.as_deref(), Some("VERSION is not set"));
    }
}
