//! Smoke tests: the promises in `stack.rs`, checked through the front door.

mod pace;

use crate::contract::{Endpoint, is_quota_exceeded};
use crate::engine::{Secret, Stop, Stopped};
use crate::http::{Answer, get};
use crate::release::Release;
use crate::retry::{pause, until};
use crate::stack::{KEY_LIMIT, ROUTE_LIMIT};
use anyhow::{Result, bail};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use pace::Pace;
use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// How many rounds in a row must pass: AWS's nodes learn of a change one by one, and the next
/// request may meet another.
const ROUNDS: usize = 3;

/// Rounds of few checks are sent together: so many requests at once are far from any limit.
const TOGETHER: usize = 60;

/// How many calls are under way at once.
const AT_ONCE: usize = 64;

/// How long a failure may last that hardly comes from AWS's slowness: a 500.
const PATIENCE: Duration = Duration::from_secs(15);

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
    promise: Option<Endpoint>,
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
    /// The key's quota is used up, so the answer says nothing about the release.
    pub quota_exceeded: bool,
    /// The beginning of the answer's body.
    #[serde(skip)]
    pub body: String,
}

impl Verdict {
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// Whether the release is to blame.
    pub fn failed(&self) -> bool {
        self.failure.is_some() && !self.quota_exceeded
    }

    /// Whether it may pass by itself once AWS has spread the news: a key that isn't known yet, an
    /// endpoint without an address, an answer of the version before.
    fn may_pass(&self) -> bool {
        matches!(self.status, None | Some(200 | 403 | 404 | 429)) || self.check.promise.is_none()
    }
}

/// All checks for a table of endpoints.
pub fn checks(endpoints: &[Endpoint]) -> Vec<Check> {
    let check =
        |name: String, path: &str, endpoint: Option<&Endpoint>, key, promise: Option<&Endpoint>| {
            Check {
                name,
                path: path.to_owned(),
                function: endpoint.map(|endpoint| endpoint.function),
                key,
                promise: promise.copied(),
            }
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
pub async fn run_round(
    http: &SharedHttpConnector,
    url: &str,
    key: &Secret,
    release: &Release,
    checks: &[Check],
    deadline: Duration,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Verdict>> {
    let started = Instant::now();
    // Rounds passed in a row, whether people were told that we wait, since when it looks hopeless.
    let state = Mutex::new((0, false, None::<Instant>));
    let together = (TOGETHER / checks.len().max(1)).clamp(1, ROUNDS);
    let patience = deadline.saturating_add(Duration::from_secs(60));
    let pace = Pace::within(KEY_LIMIT, ROUTE_LIMIT);
    let in_turn = async |check: &Check| {
        if let Some(endpoint) = check.promise.as_ref() {
            pause(pace.take(endpoint), &Stop::default()).await?;
        }
        Ok::<_, Stopped>(ask(http, url, key, release, check).await)
    };
    let rounds = until("every check to pass", patience, async || {
        loop {
            let rounds = (0..together).flat_map(|_| checks);
            let verdicts = stream::iter(rounds.map(&in_turn)).buffered(AT_ONCE);
            let verdicts = worst(checks.len(), verdicts.try_collect().await?);
            let failed: Vec<&Verdict> =
                verdicts.iter().filter(|verdict| verdict.failed()).collect();
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
            (state.0, state.2) = (state.0 + together, None);
            if state.0 >= ROUNDS {
                return Ok(Some(verdicts));
            }
        }
    });
    rounds.await
}

/// Of several rounds, what came of each check: a failure, if there was one; else that the quota is used up, if
/// it was.
fn worst(checks: usize, mut rounds: Vec<Verdict>) -> Vec<Verdict> {
    let mut verdicts = rounds.split_off(rounds.len().saturating_sub(checks));
    for (at, verdict) in rounds.into_iter().enumerate().filter(|(_, verdict)| !verdict.passed()) {
        let worst = &mut verdicts[at % checks];
        if !worst.failed() {
            *worst = verdict;
        }
    }
    verdicts
}

async fn ask(
    http: &SharedHttpConnector,
    url: &str,
    key: &Secret,
    release: &Release,
    check: &Check,
) -> Verdict {
    let shown = match check.key {
        Key::Right => Some(key.reveal()),
        Key::Wrong => Some("not-the-key-that-was-agreed-upon"),
        Key::None => None,
    };
    let headers: Vec<_> = shown.map(|key| ("x-api-key", key)).into_iter().collect();
    let started = std::time::Instant::now();
    let (status, body, failure) = match get(http, &format!("{url}{}", check.path), &headers).await {
        Ok(answer) => {
            let failure = judge(check, &answer, release).err();
            (Some(answer.status), answer.body, failure)
        }
        Err(error) => (None, String::new(), Some(format!("no answer: {error}"))),
    };
    let quota_exceeded = status.is_some_and(|status| is_quota_exceeded(status, &body));
    Verdict {
        check: check.clone(),
        status,
        quota_exceeded,
        milliseconds: started.elapsed().as_millis(),
        failure,
        body: body.chars().take(300).collect(),
    }
}

/// Shows a new key at the door, until it was let in three times in a row. What is said inside is no
/// matter: a key that leaked must be replaced whatever else is wrong.
///
/// # Errors
/// When it isn't known by then, or the run is asked to stop.
pub async fn await_key(
    http: &SharedHttpConnector,
    url: &str,
    key: &Secret,
    deadline: Duration,
    stop: &Stop,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<()> {
    let (row, told) = (AtomicUsize::new(0), Once::new());
    until("API Gateway to know the new key everywhere", deadline, async || {
        loop {
            if stop.asked() {
                bail!(Stopped);
            }
            let answer = get(http, url, &[("x-api-key", key.reveal())]).await;
            if !answer.is_ok_and(|answer| ![403, 429].contains(&answer.status)) {
                row.store(0, Ordering::Relaxed);
                told.call_once(|| tell("waiting for API Gateway to know the new key everywhere"));
                return Ok(None);
            }
            if row.fetch_add(1, Ordering::Relaxed) + 1 >= ROUNDS {
                return Ok(Some(()));
            }
        }
    })
    .await
}

fn judge(check: &Check, answer: &Answer, release: &Release) -> Result<(), String> {
    let Answer { status, content_type, body } = answer;
    if is_quota_exceeded(*status, body) {
        return Err("the key's quota is used up, so this could not be judged".to_owned());
    }
    match &check.promise {
        Some(endpoint) => endpoint.judge(*status, content_type, body, release),
        None if *status == 403 => Ok(()),
        None => Err(format!("status {status} instead of 403")),
    }
}
