//! Smoke tests: the promises in `stack.rs`, checked through the front door.

mod pace;

use crate::contract::Endpoint;
use crate::engine::{Secret, Stop, Stopped};
use crate::http::{Answer, CLOSE, get};
use crate::ids::Throttle;
use crate::release::Release;
use crate::resources::InFlight;
use crate::retry::{pause, until};
use anyhow::{Result, bail};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use pace::Pace;
use serde::Serialize;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// How many rounds in a row must pass: AWS's nodes learn of a change one by one, and the next
/// request may meet another.
const ROUNDS: usize = 3;

/// Rounds of few checks are sent together: so many requests at once are far from any limit.
const TOGETHER: usize = 60;

/// How many calls are under way at once.
const AT_ONCE: usize = 64;

/// How long a failure may last that hardly comes from AWS's slowness: a 500 of the function.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long API Gateway's own 500 may last. It answers so for up to a minute where a route or a permission is
/// new (github.com/hashicorp/terraform, issue 14970), and where Lambda refuses a call because too many run.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(75);

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
    /// API Gateway itself answered 500, without or in spite of the function.
    #[serde(skip)]
    gateway_error: bool,
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

/// All checks for a table of endpoints. Functions that Lambda doesn't run aren't called.
pub fn checks(endpoints: &[Endpoint], in_flight: &InFlight) -> Vec<Check> {
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
        if !in_flight.is_off(endpoint.function) {
            checks.push(check(name(""), path, Some(endpoint), Key::Right, Some(endpoint)));
        }
        checks.push(refused(" without a key", Key::None));
        checks.push(refused(" with a wrong key", Key::Wrong));
    }
    checks.push(check("GET an unknown path".to_owned(), "/no-such-path", None, Key::Right, None));
    checks
}

/// Who calls what.
pub struct Caller<'a> {
    pub http: &'a SharedHttpConnector,
    pub url: &'a str,
    pub key: &'a Secret,
    /// Of the key.
    pub limit: Throttle,
    /// What is to answer.
    pub release: &'a Release,
    pub in_flight: &'a InFlight,
}

/// Runs all checks side by side until they have passed three times in a row, or until a failure
/// has lasted too long to be AWS's slowness. Gives the last round.
pub async fn run_round(
    caller: &Caller<'_>,
    checks: &[Check],
    deadline: Duration,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Verdict>> {
    let started = Instant::now();
    // Rounds passed in a row, and whether people were told that we wait.
    let state = Mutex::new((0, false));
    let (by_function, by_gateway) = (Since::default(), Since::default());
    let together = (TOGETHER / checks.len().max(1)).clamp(1, ROUNDS);
    let patience = deadline.saturating_add(Duration::from_secs(60));
    let pace = Pace::within(caller.limit);
    let in_turn = async |check: &Check| {
        if let Some(endpoint) = check.promise.as_ref() {
            pause(pace.take(endpoint), &Stop::default()).await?;
            let _turn = caller.in_flight.turn(endpoint.function).await;
            return Ok::<_, Stopped>(ask(caller, check).await);
        }
        Ok(ask(caller, check).await)
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
                let mut hard = failed.iter().filter(|verdict| !verdict.may_pass());
                let by_gateway = by_gateway.lasts(hard.clone().any(|v| v.gateway_error));
                let by_function = by_function.lasts(hard.any(|v| !v.gateway_error));
                let hopeless = by_function >= PATIENCE || by_gateway >= GATEWAY_PATIENCE;
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
            by_function.lasts(false);
            by_gateway.lasts(false);
            state.0 += together;
            if state.0 >= ROUNDS {
                return Ok(Some(verdicts));
            }
        }
    });
    rounds.await
}

/// Since when something is so without a break.
#[derive(Default)]
struct Since(Mutex<Option<Instant>>);

impl Since {
    /// Records the current state; returns how long it has been true.
    fn lasts(&self, is_so: bool) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *since = since.or_else(|| Some(Instant::now())).filter(|_| is_so);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
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

async fn ask(caller: &Caller<'_>, check: &Check) -> Verdict {
    let Caller { http, url, key, release, .. } = caller;
    let shown = match check.key {
        Key::Right => Some(key.reveal()),
        Key::Wrong => Some("not-the-key-that-was-agreed-upon"),
        Key::None => None,
    };
    let headers: Vec<_> = shown.map(|key| ("x-api-key", key)).into_iter().collect();
    let started = std::time::Instant::now();
    let mut verdict = Verdict {
        check: check.clone(),
        status: None,
        milliseconds: 0,
        failure: None,
        gateway_error: false,
        quota_exceeded: false,
        body: String::new(),
    };
    match get(http, &format!("{url}{}", check.path), &headers).await {
        Ok(answer) => {
            verdict.status = Some(answer.status);
            verdict.quota_exceeded = answer.is_quota_exceeded();
            verdict.failure = if verdict.quota_exceeded {
                Some("the key's quota is used up, so this could not be judged".to_owned())
            } else {
                judge(check, &answer, release).err()
            };
            verdict.gateway_error =
                answer.status == 500 && answer.error_type == "InternalServerErrorException";
            verdict.body = answer.body.chars().take(300).collect();
        }
        Err(error) => verdict.failure = Some(format!("no answer: {error}")),
    }
    verdict.milliseconds = started.elapsed().as_millis();
    verdict
}

/// How long a new key must be let in without a break: a connection that is kept alive leads to one of API
/// Gateway's nodes, and each learns of a key in its own time.
const SPREAD: Duration = Duration::from_secs(10);

/// Calls an endpoint with a new key, by a new connection each time, until every call of ten seconds was let in.
/// What is answered doesn't matter: a key that leaked must be replaced whatever else is wrong. The deadline is for
/// the first of these calls.
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
    let (let_in, told) = (Since::default(), Once::new());
    let deadline = deadline.saturating_add(SPREAD);
    until("API Gateway to know the new key everywhere", deadline, async || {
        if stop.asked() {
            bail!(Stopped);
        }
        let answer = get(http, url, &[("x-api-key", key.reveal()), CLOSE]).await;
        let is_let_in = answer.is_ok_and(|answer| ![403, 429].contains(&answer.status));
        if let_in.lasts(is_let_in) >= SPREAD {
            return Ok(Some(()));
        }
        told.call_once(|| tell("waiting for API Gateway to know the new key everywhere"));
        Ok(None)
    })
    .await
}

fn judge(check: &Check, answer: &Answer, release: &Release) -> Result<(), String> {
    let Answer { status, content_type, body, .. } = answer;
    match &check.promise {
        Some(endpoint) => endpoint.judge(*status, content_type, body, release),
        None if *status == 403 => Ok(()),
        None => Err(format!("status {status} instead of 403")),
    }
}
