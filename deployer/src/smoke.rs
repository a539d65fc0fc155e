//! Smoke tests: the promises in `stack.rs`, checked through the front door.

use crate::contract::Endpoint;
use crate::engine::Secret;
use crate::release::Release;
use crate::retry::until;
use anyhow::Result;
use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many rounds in a row must pass: AWS's nodes learn of a change one by one, and the next
/// request may meet another.
const ROUNDS: usize = 3;

/// How long a failure may last that hardly comes from AWS's slowness: a 500.
const PATIENCE: Duration = Duration::from_secs(15);

/// The largest answer that is read, so that a wrong one can't fill the memory.
const LARGEST_BODY: usize = 64 * 1024;

/// One request and what its answer must be.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: String,
    pub path: String,
    #[serde(skip)]
    pub function: Option<&'static str>,
    #[serde(skip)]
    key: Key,
    /// What a request that gets through must be answered; none where it must be refused.
    #[serde(skip)]
    promise: Option<&'static Endpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Key {
    Right,
    Wrong,
    None,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    #[serde(flatten)]
    pub check: Check,
    pub status: Option<u16>,
    pub milliseconds: u128,
    /// What is wrong; none when the check passed.
    pub failure: Option<String>,
    /// The beginning of the answer's body.
    #[serde(skip)]
    pub body: String,
}

impl Verdict {
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether it may pass by itself once AWS has spread the news: a key that isn't known yet, an
    /// endpoint without an address, an answer of the version before.
    fn may_pass(&self) -> bool {
        matches!(self.status, None | Some(200 | 403 | 404 | 429)) || self.check.promise.is_none()
    }
}

/// All checks for a table of endpoints.
pub fn checks(endpoints: &'static [Endpoint]) -> Vec<Check> {
    let check =
        |name: String, path: &str, endpoint: Option<&'static Endpoint>, key, promise| Check {
            name,
            path: path.to_owned(),
            function: endpoint.map(|endpoint| endpoint.function),
            key,
            promise,
        };
    let mut checks = vec![];
    for endpoint in endpoints {
        let Endpoint { method, path, .. } = endpoint;
        let name = |what: &str| format!("{method} {path}{what}");
        let refused = |what, key| check(name(what), path, Some(endpoint), key, None);
        checks.push(check(name(""), path, Some(endpoint), Key::Right, Some(endpoint)));
        checks.push(refused(" without a key", Key::None));
        checks.push(refused(" with a wrong key", Key::Wrong));
    }
    checks.push(check("GET an unknown path".to_owned(), "/no-such-path", None, Key::Right, None));
    checks
}

/// Runs all checks side by side until they have passed three times in a row, or until a failure
/// has lasted too long to be AWS's slowness. Gives the last round.
///
/// # Errors
/// Only when this machine can't send requests at all.
pub async fn run_round(
    url: &str,
    key: &Secret,
    release: &Release,
    checks: &[Check],
    deadline: Duration,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Verdict>> {
    let builder = Client::builder()
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none());
    // The local cloud is on this machine, which no proxy reaches.
    let client = if url.starts_with("http:") { builder.no_proxy() } else { builder }.build()?;
    let started = Instant::now();
    // Rounds passed in a row, whether people were told that we wait, since when it looks hopeless.
    let state = Mutex::new((0, false, None::<Instant>));
    let rounds = until("every check to pass", deadline + Duration::from_secs(60), async || {
        loop {
            let round = checks.iter().map(|check| ask(&client, url, key, release, check));
            let verdicts = futures_util::future::join_all(round).await;
            let failed: Vec<&Verdict> =
                verdicts.iter().filter(|verdict| !verdict.passed()).collect();
            let Ok(mut state) = state.lock() else { return Ok(Some(verdicts)) };
            if let Some(first) = failed.first() {
                let hard = !failed.iter().all(|verdict| verdict.may_pass());
                state.2 = if hard { state.2.or_else(|| Some(Instant::now())) } else { None };
                let hopeless = state.2.is_some_and(|since| since.elapsed() >= PATIENCE);
                if hopeless || started.elapsed() >= deadline {
                    return Ok(Some(verdicts));
                }
                if !state.1 && started.elapsed() > Duration::from_secs(2) {
                    tell(&format!("waiting for AWS to spread the news ({})", first.check.name));
                    state.1 = true;
                }
                state.0 = 0;
                return Ok(None);
            }
            (state.0, state.2) = (state.0 + 1, None);
            if state.0 >= ROUNDS {
                return Ok(Some(verdicts));
            }
        }
    });
    rounds.await
}

async fn ask(
    client: &Client,
    url: &str,
    key: &Secret,
    release: &Release,
    check: &Check,
) -> Verdict {
    let request = client.get(format!("{url}{}", check.path));
    let request = match check.key {
        Key::Right => request.header("x-api-key", key.reveal()),
        Key::Wrong => request.header("x-api-key", "not-the-key-that-was-agreed-upon"),
        Key::None => request,
    };
    let started = Instant::now();
    let (status, body, failure) = match answer(request).await {
        Ok((status, content_type, body)) => {
            let failure = judge(check, status, &content_type, &body, release).err();
            (Some(status.as_u16()), body, failure)
        }
        Err(error) => (None, String::new(), Some(format!("no answer: {}", root(&error)))),
    };
    Verdict {
        check: check.clone(),
        status,
        milliseconds: started.elapsed().as_millis(),
        failure,
        body: body.chars().take(300).collect(),
    }
}

async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<(StatusCode, String, String)> {
    let mut response = request.send().await?;
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_BODY {
            break;
        }
    }
    Ok((status, content_type, String::from_utf8_lossy(&body).into_owned()))
}

fn judge(
    check: &Check,
    status: StatusCode,
    content_type: &str,
    body: &str,
    release: &Release,
) -> Result<(), String> {
    let wanted = if check.promise.is_some() { StatusCode::OK } else { StatusCode::FORBIDDEN };
    if status != wanted {
        return Err(format!("status {} instead of {}", status.as_u16(), wanted.as_u16()));
    }
    let Some(endpoint) = check.promise else { return Ok(()) };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type != endpoint.content_type {
        return Err(format!(
            "content type {content_type:?} instead of {:?}",
            endpoint.content_type
        ));
    }
    endpoint.check_body(body, release)
}

fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
