//! The proof of a release: each version that is to serve is called before anything is moved. As API
//! Gateway would call it; and where the routes change, by API Gateway itself.

use super::in_flight::InFlight;
use super::permission::Permission;
use super::rest_api;
use crate::contract::Endpoint;
use crate::engine::Value;
use crate::env::ALIAS_VARIABLE;
use crate::release::Release;
use crate::retry::pause;
use crate::run::Run;
use anyhow::{Result, bail};
use aws_sdk_lambda::types::LogType;
use aws_smithy_types::Blob;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// How long failing test calls are retried, when API Gateway calls by routes that were imported a moment ago: meanwhile
/// it may not know a new path or permission, or answer as by the routes before. (localstack's
/// tests against AWS repeat such calls ten times, 5 s apart.)
const BELIEVED: Duration = Duration::from_secs(30);

/// How often the routes are called meanwhile.
const AGAIN: Duration = Duration::from_secs(2);

/// What must be true of a release before it serves.
#[derive(Clone, Debug)]
pub struct Proof {
    pub endpoints: Vec<Endpoint>,
    pub release: Release,
}

/// A version that must not serve: the request, what is wrong with the answer, and what the function
/// said meanwhile.
#[derive(Debug)]
pub struct Disproved(Vec<Objection>);

#[derive(Debug)]
struct Objection {
    request: String,
    version: String,
    wrong: String,
    answer: String,
    log: String,
}

impl fmt::Display for Disproved {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the new version was called before it serves, and did not keep its promise")?;
        for Objection { request, version, wrong, answer, log } in &self.0 {
            write!(f, "\n  request: {request}, version {version}\n  wrong: {wrong}")?;
            if !answer.is_empty() {
                write!(f, "\n  answer: {answer}")?;
            }
            for line in log.lines() {
                write!(f, "\n  log: {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Disproved {}

/// A proxy integration's answer ("Output format of a Lambda function for proxy integration").
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "statusCode")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, serde_json::Value>,
    #[serde(default, rename = "multiValueHeaders")]
    multi_value_headers: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    body: Option<String>,
}

impl Answer {
    fn content_type(&self) -> String {
        let is = |name: &String| name.eq_ignore_ascii_case("content-type");
        let one = self.headers.iter().find(|(name, _)| is(name)).and_then(|(_, v)| v.as_str());
        let many = self.multi_value_headers.iter().find(|(name, _)| is(name));
        let many = many.and_then(|(_, values)| values.first()).map(String::as_str);
        one.or(many).unwrap_or_default().to_owned()
    }
}

impl Proof {
    /// Calls each of these versions (by the functions' short names) with the events of its routes.
    ///
    /// # Errors
    /// [`Disproved`], or that Lambda can't be asked.
    pub async fn check(&self, cx: &Run, versions: &BTreeMap<String, String>) -> Result<()> {
        let in_flight = InFlight::of_run(cx, &self.endpoints).await;
        let calls = self.callable(in_flight, versions).map(async |(endpoint, version)| {
            let _turn = in_flight.turn(endpoint.function).await;
            self.call(cx, endpoint, version).await
        });
        all(join_all(calls).await)
    }

    /// The endpoints of these versions, with the version of each; without functions that Lambda doesn't run,
    /// which is said.
    fn callable<'a>(
        &'a self,
        in_flight: &'a InFlight,
        versions: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = (&'a Endpoint, &'a String)> {
        self.endpoints.iter().filter_map(|endpoint| {
            let version = versions.get(endpoint.function)?;
            if in_flight.is_off(endpoint.function) {
                let route = endpoint.route();
                crate::engine::note(&format!("{route} is not called: its function is reserved(0)"));
                return None;
            }
            Some((endpoint, version))
        })
    }

    /// Has API Gateway call each of these versions by the routes that it now has and nobody is served by
    /// yet (TestInvokeMethod). Needs no key. What it objects to is asked again for half a minute.
    ///
    /// # Errors
    /// [`Disproved`], or that AWS can't be asked.
    pub async fn check_routes(
        &self,
        cx: &Run,
        api: &str,
        versions: &BTreeMap<String, String>,
    ) -> Result<()> {
        let source: Value<String> = cx.env.invoke_arn(api).into();
        let allowed = versions.iter().map(|(function, version)| {
            let (name, source) = (cx.env.function(function), source.clone());
            async move { Permission::for_version(name, version, source).ensure(cx).await }
        });
        join_all(allowed).await.into_iter().collect::<Result<()>>()?;
        let in_flight = InFlight::of_run(cx, &self.endpoints).await;
        let mut open: Vec<_> = self.callable(in_flight, versions).collect();
        let since = Instant::now();
        loop {
            let resources = rest_api::resource_ids(cx, api).await?;
            let calls = open.iter().map(async |(endpoint, version)| {
                let resource = resources.get(endpoint.path).map(String::as_str);
                let _turn = in_flight.turn(endpoint.function).await;
                self.call_route(cx, (api, resource), endpoint, version).await
            });
            let outcomes = join_all(calls).await.into_iter().collect::<Result<Vec<_>>>()?;
            let mut objected = outcomes.iter().map(Option::is_some);
            open.retain(|_| objected.next().unwrap_or_default());
            if open.is_empty() || since.elapsed() >= BELIEVED {
                return all(outcomes.into_iter().map(Ok).collect());
            }
            crate::engine::note("waiting for API Gateway to know the new routes");
            pause(AGAIN, cx.stop()).await?;
        }
    }

    /// Without the id of the path's resource, there is no such path yet.
    async fn call_route(
        &self,
        cx: &Run,
        (api, resource): (&str, Option<&str>),
        endpoint: &Endpoint,
        version: &str,
    ) -> Result<Option<Objection>> {
        let objection = |wrong, body: &str, log: &str| Objection {
            request: format!("{} {} through the new routes", endpoint.method, endpoint.path),
            version: format!("{version} of {}", cx.env.function(endpoint.function)),
            wrong,
            answer: shown(body),
            log: last_lines(log),
        };
        let Some(resource) = resource else {
            return Ok(Some(objection("the API has no such path".to_owned(), "", "")));
        };
        let request = || {
            let request = cx.apigateway.test_invoke_method().rest_api_id(api);
            let request = request.resource_id(resource).http_method(endpoint.method);
            let request = request.path_with_query_string(endpoint.path);
            request.stage_variables(ALIAS_VARIABLE, version).send()
        };
        let answer = cx.call_new("apigateway:TestInvokeMethod", request).await?;
        let header = |(name, value): (&String, &String)| {
            name.eq_ignore_ascii_case("content-type").then(|| value.clone())
        };
        let kind = answer.headers().into_iter().flatten().find_map(header).unwrap_or_default();
        let body = answer.body().unwrap_or_default();
        let status = u16::try_from(answer.status()).unwrap_or_default();
        let wrong = endpoint.judge(status, &kind, body, &self.release).err();
        Ok(wrong.map(|wrong| objection(wrong, body, answer.log().unwrap_or_default())))
    }

    async fn call(
        &self,
        cx: &Run,
        endpoint: &Endpoint,
        version: &str,
    ) -> Result<Option<Objection>> {
        let (function, event) = (cx.env.function(endpoint.function), event(cx, endpoint));
        let request = || {
            let request = cx.lambda.invoke().function_name(&function).qualifier(version);
            request.log_type(LogType::Tail).payload(Blob::new(event.clone())).send()
        };
        let called = cx.call_new("lambda:InvokeFunction", request).await?;
        let payload = called.payload.map(Blob::into_inner).unwrap_or_default();
        let text = String::from_utf8_lossy(&payload).into_owned();
        let wrong = match (&called.function_error, serde_json::from_slice::<Answer>(&payload)) {
            (Some(error), _) => Some(format!("it failed ({error})")),
            (None, Err(_)) => Some("its answer is not one that API Gateway takes".to_owned()),
            (None, Ok(answer)) => {
                let (body, kind) = (answer.body.as_deref().unwrap_or(""), answer.content_type());
                endpoint.judge(answer.status, &kind, body, &self.release).err()
            }
        };
        let log = called.log_result.and_then(|log| STANDARD.decode(log).ok()).unwrap_or_default();
        Ok(wrong.map(|wrong| Objection {
            request: format!("{} {}", endpoint.method, endpoint.path),
            version: format!("{version} of {function}"),
            wrong,
            answer: shown(&text),
            log: String::from_utf8_lossy(&log).into_owned(),
        }))
    }
}

fn all(outcomes: Vec<Result<Option<Objection>>>) -> Result<()> {
    let mut objections = vec![];
    for outcome in outcomes {
        objections.extend(outcome?);
    }
    match objections.is_empty() {
        true => Ok(()),
        false => bail!(Disproved(objections)),
    }
}

fn shown(answer: &str) -> String {
    answer.chars().take(300).collect()
}

/// API Gateway tells all that it did; why it failed stands at the end.
fn last_lines(log: &str) -> String {
    const LINES: usize = 8;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// What API Gateway would send ("Input format of a Lambda function for proxy integration").
fn event(cx: &Run, endpoint: &Endpoint) -> String {
    let Endpoint { method, path, .. } = endpoint;
    let stage = &cx.env.stage;
    let headers =
        json!({ "Accept": "application/json", "Host": "proof", "User-Agent": "deployer" });
    let many: BTreeMap<_, _> =
        headers.as_object().into_iter().flatten().map(|(k, v)| (k, [v])).collect();
    json!({
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": many,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "resourceId": "proof",
            "resourcePath": path,
            "httpMethod": method,
            "path": format!("/{stage}{path}"),
            "accountId": cx.env.account,
            "protocol": "HTTP/1.1",
            "stage": stage,
            "requestId": "00000000-0000-4000-8000-000000000000",
            "identity": { "sourceIp": "127.0.0.1", "userAgent": "deployer" },
            "apiId": "proof",
        },
        "body": null,
        "isBase64Encoded": false,
    })
    .to_string()
}
