//! `GET /health`: says whether the API can do its job.
//!
//! The body follows the draft "Health Check Response Format for HTTP APIs":
//! <https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>.

use std::collections::BTreeMap;

use handler::{Body, Error, Release, Request, Response, json, serve};
use lambda_http::http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<String>,
    /// The reasons, if it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// By `component:measurement`; a list each, because a component may have many instances. Ours have one.
    checks: BTreeMap<&'static str, [Check; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    component_type: &'static str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

#[derive(Serialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Pass,
    Fail,
}

async fn health(_: Request) -> Result<Response<Body>, Error> {
    examine(|name| std::env::var(name).ok())
}

fn examine(lookup: impl Fn(&str) -> Option<String>) -> Result<Response<Body>, Error> {
    let (version, git_sha) = (Release::version(&lookup), Release::git_sha(&lookup));
    let checks = BTreeMap::from([
        ("release:version", [check(&version)]),
        ("release:gitSha", [check(&git_sha)]),
    ]);

    let reasons: Vec<&str> = [&version, &git_sha]
        .into_iter()
        .filter_map(|c| c.as_ref().err().map(String::as_str))
        .collect();
    let output = (!reasons.is_empty()).then(|| reasons.join("; "));
    let (code, status) = if output.is_none() { (200, Status::Pass) } else { (503, Status::Fail) };

    let health = Health { status, version: version.ok(), release_id: git_sha.ok(), output, checks };
    let mut response = json(code, &health)?;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/health+json"));
    Ok(response)
}

fn check(observed: &Result<String, String>) -> Check {
    Check {
        component_type: "component",
        status: if observed.is_ok() { Status::Pass } else { Status::Fail },
        observed_value: observed.as_ref().ok().cloned(),
        output: observed.as_ref().err().cloned(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve(health).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    async fn get(version: Option<&'static str>, git_sha: Option<&'static str>) -> (i64, Value) {
        let handler = move |_| async move {
            examine(|name| if name == "VERSION" { version } else { git_sha }.map(ToOwned::to_owned))
        };
        let response =
            handler::answer(handler, include_bytes!("../../handler/tests/event.json"), "id")
                .await
                .response;
        assert_eq!(response.multi_value_headers["content-type"], "application/health+json");
        assert_eq!(response.multi_value_headers["cache-control"], "no-store");
        (response.status_code, serde_json::from_slice(&response.body.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn passes_when_the_release_is_known() {
        let check = |value| json!([{ "componentType": "component", "status": "pass", "observedValue": value }]);
        let expected = json!({
            "status": "pass",
            "version": "1.0.0",
            "releaseId": "abc57858585",
            "checks": { "release:version": check("1.0.0"), "release:gitSha": check("abc57858585") },
        });
        assert_eq!(get(Some("1.0.0"), Some("abc57858585")).await, (200, expected));
    }

    #[tokio::test]
    async fn fails_with_every_reason() {
        let (status, body) = get(None, Some("nonsense")).await;
        let malformed =
            "GIT_SHA is malformed: expected 7 to 40 hexadecimal digits, with or without -dirty";
        assert_eq!((status, &body["status"]), (503, &json!("fail")));
        assert_eq!(body["output"], json!(format!("VERSION is not set; {malformed}")));
        assert_eq!(body["checks"]["release:version"][0]["output"], "VERSION is not set");
        assert_eq!(body["checks"]["release:gitSha"][0]["output"], malformed);
        assert!(body.get("version").is_none() && body.get("releaseId").is_none(), "{body}");
    }

    #[tokio::test]
    async fn one_bad_variable_is_enough() {
        let (status, body) = get(Some("1.0.0"), None).await;
        assert_eq!((status, &body["version"]), (503, &json!("1.0.0")));
        assert_eq!(body["checks"]["release:version"][0]["status"], "pass");
        assert_eq!(body["checks"]["release:gitSha"][0]["status"], "fail");
    }
}
