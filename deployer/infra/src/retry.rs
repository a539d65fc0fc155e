//! Whether a request is sent again, and when: AWS's passing moods in one table. Nothing else in this
//! program sleeps.
//!
//! A failure that no rule names is final. A rule's budget runs from the first failure it matched.

#![allow(clippy::disallowed_methods)] // the one place that may sleep

mod outage;

pub use outage::Outage;

use crate::aws::{Failure, Trace};
use crate::engine::{Stop, Stopped, note};
use crate::quota::{self, Pace};
use anyhow::{Result, bail};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep}; // stands still and jumps in tests

/// Creates of which a second one would be a second thing: their names aren't unique and they take
/// no token. They are never repeated here; the resource looks before each further try ([`make_once`]).
const NEVER_TWICE: &[&str] =
    &["apigateway:CreateRestApi", "apigateway:CreateUsagePlan", "apigateway:CreateDeployment"];

/// For which a quota's period says more about the pause than the rule does.
const RATE_LIMIT: &str = "AWS's rate limit";

/// A passing mood of AWS: how to know it, and how long to bear it.
struct Rule {
    /// What people are told while they wait.
    waiting_for: &'static str,
    applies: fn(&Failure) -> bool,
    first: Duration,
    longest: Duration,
    budget: Duration,
}

const fn rule(
    waiting_for: &'static str,
    millis: (u64, u64),
    budget: u64,
    applies: fn(&Failure) -> bool,
) -> Rule {
    Rule {
        waiting_for,
        applies,
        first: Duration::from_millis(millis.0),
        longest: Duration::from_millis(millis.1),
        budget: Duration::from_secs(budget),
    }
}

/// Looked through in order; the first that applies decides.
const RULES: &[Rule] = &[
    // A full house looks like a rate limit (also 429) and never passes; so it has no time to wait.
    rule("", (0, 0), 0, |f| {
        f.retry_after.is_none()
            && (f.is("LimitExceededException")
                || f.is("LimitExceeded")
                || f.says("Maximum number of"))
    }),
    // The rights check is optional, so it is tried twice, within 3 s.
    rule("IAM to answer", (1_500, 1_500), 2, |f| {
        f.ambiguous && f.op == "iam:SimulatePrincipalPolicy"
    }),
    rule(RATE_LIMIT, (1_000, 10_000), 300, |f| {
        f.code.as_deref().is_some_and(|code| {
            code.starts_with("Throttl")
                || code.starts_with("RequestThrottled")
                || ["TooManyRequestsException", "RequestLimitExceeded", "SlowDown"].contains(&code)
        }) || f.status == Some(429)
    }),
    // A role exists for IAM seconds before it does for others.
    rule("IAM to tell Lambda of the role", (250, 2_000), 90, |f| {
        f.says("cannot be assumed by Lambda")
            || f.says("execution role does not have permissions to call")
            || f.says("KMS key is invalid for CreateGrant")
            || f.says("unable to decrypt the environment variables")
            || f.says("Invalid principal in policy")
    }),
    // Asked again at the pace of its quota.
    rule("IAM to tell API Gateway of the role", (20_000, 20_000), 180, |f| {
        f.op == "apigateway:UpdateAccount"
            && f.is("BadRequestException")
            && (f.says("does not have required permissions")
                || f.says("could not successfully write to CloudWatch Logs")
                || f.says("not authorized"))
    }),
    rule("S3 to hand out the package", (500, 2_000), 30, |f| {
        f.says("S3 Error Code: NoSuchKey") || f.says("S3 Error Code: NoSuchBucket")
    }),
    rule("an earlier change to finish", (500, 2_000), 300, |f| {
        f.is("ResourceConflictException")
            && (f.says("in progress") || f.says("following state") || f.says("concurrent update"))
    }),
    // Also what API Gateway says for ever of an API that is gone: see `rest_api::busy_or_gone`.
    rule("API Gateway to finish another change", (500, 8_000), 60, |f| {
        f.op.starts_with("apigateway:")
            && !f.ambiguous
            && (f.says("concurrent modification") || f.says("try again later"))
    }),
    // Of another TLS: a quarter of an hour ("How to change a security policy").
    rule("API Gateway to finish a change of the API", (2_000, 15_000), 1_800, |f| {
        f.op.starts_with("apigateway:") && f.says("already an update in progress")
    }),
    rule("other changes to finish", (500, 8_000), 120, |f| {
        f.says("try again later")
            || f.code.as_deref().is_some_and(|code| {
                [
                    "OperationAborted",
                    "OperationAbortedException",
                    "ConditionalRequestConflict",
                    "TooManyUpdates",
                    "ConcurrentModification",
                    "ConcurrentModificationException",
                    "EntityTemporarilyUnmodifiable",
                ]
                .contains(&code)
            })
    }),
    // PutDashboard, DeleteDashboards and others (CloudWatch's service model). Elsewhere a ConflictException is final.
    rule("CloudWatch to finish another change", (500, 8_000), 60, |f| {
        f.op.starts_with("cloudwatch:") && f.is("ConflictException")
    }),
    // Teardown: what depended on it is gone, but AWS hasn't noticed.
    rule("AWS to notice what was deleted", (2_000, 5_000), 120, |f| {
        f.is("DeleteConflict") || f.says("API Stages associated")
    }),
    // An upload that stalled.
    rule("AWS to answer", (300, 8_000), 60, |f| {
        f.is("RequestTimeout") || f.is("RequestTimeoutException")
    }),
    rule("AWS to answer", (300, 3_000), 3, |f| f.ambiguous && f.op == "sts:GetCallerIdentity"),
    // Without any answer an [`Outage`] ends the run before that.
    rule("AWS to answer", (300, 8_000), 75, |f| f.ambiguous),
];

/// Holds only for what was made a moment ago: AWS's services hear of it one by one.
const NEW: Rule = rule("AWS to notice what was just made", (250, 2_000), 60, |f| f.is_missing());

fn rule_for(failure: &Failure, new: bool) -> Option<&'static Rule> {
    // Whatever it says, "try again later" included: it may have been done.
    if failure.ambiguous && NEVER_TWICE.contains(&failure.op) {
        return None;
    }
    if new && (NEW.applies)(failure) {
        return Some(&NEW);
    }
    RULES.iter().find(|rule| (rule.applies)(failure)).filter(|rule| !rule.budget.is_zero())
}

/// Whether it is something that a run waits for, whoever it is told.
pub fn passes(failure: &Failure) -> bool {
    rule_for(failure, false).is_some()
}

/// Sends the requests of a run: within the quotas, and again where the rules say so.
pub struct Pacer {
    trace: Option<Trace>,
    /// Once it is asked, nothing more is sent.
    pub stop: Stop,
    pub outage: Outage,
    /// None where there are no quotas.
    pace: Option<Pace>,
    turns: Semaphore,
}

/// So many requests are under way at once: each has a connection, and some hundred KB of memory.
const UNDER_WAY: usize = 80;

impl Pacer {
    pub fn new(trace: Option<Trace>, stop: Stop, outage: Outage, paced: bool) -> Self {
        let pace = paced.then(Pace::default);
        Self { trace, stop, outage, pace, turns: Semaphore::new(UNDER_WAY) }
    }

    /// Whether AWS's quotas set the pace.
    pub fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// Sends when the quotas allow, again while a rule says so. With `new`, what is missing was made
    /// a moment ago and will be noticed.
    ///
    /// # Errors
    /// What AWS said last; that it is an [`Outage`]; or that the run was asked to stop, in which case nothing
    /// was sent.
    pub async fn run<T, F>(
        &self,
        op: &'static str,
        new: bool,
        send: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        // By rule, when it was first needed and how often since: failures may take turns.
        let mut patience: HashMap<&'static str, (Instant, u32)> = HashMap::new();
        let mut waiting = None;
        loop {
            let turn = self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.take(op));
            if turn > Duration::from_secs(1) {
                note(&quota::waiting(op, turn));
            }
            self.pause(op, turn, waiting.is_some()).await?;
            let place = self.turns.acquire().await;
            let sent = Instant::now();
            waiting.get_or_insert_with(|| self.outage.wait());
            let answer = tokio::select! {
                biased;
                () = self.outage.begun() => return Err(self.outage.failure(op, true)),
                answer = Box::pin(send()) => answer, // large, and only there while it is needed
            };
            drop(place);
            match &answer {
                Err(failure) if failure.status.is_none() => {
                    self.outage.unanswered(&failure.message);
                }
                _ => {
                    waiting = None;
                    self.outage.answered();
                }
            }
            if let Some(trace) = self.trace {
                trace(op, sent.elapsed(), answer.as_ref().err());
            }
            let failure = match answer {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(rule) = rule_for(&failure, new) else { return Err(failure) };
            let (since, tries) =
                patience.entry(rule.waiting_for).or_insert_with(|| (Instant::now(), 0));
            let period = quota::period(op).filter(|_| rule.waiting_for == RATE_LIMIT);
            let wait = backoff(rule, &failure, *tries, period);
            *tries += 1;
            // A quota of one in 30 s, used by others too, asks for more patience than a second's.
            if since.elapsed() + wait > rule.budget.max(period.unwrap_or_default() * 20) {
                return Err(failure);
            }
            if period.is_some() {
                note(&quota::waiting(op, wait));
            } else if since.elapsed() > Duration::from_secs(1) {
                note(&format!("waiting for {}", rule.waiting_for));
            }
            self.pause(op, wait, waiting.is_some()).await?;
        }
    }

    /// Waits before a request is sent. `sent` says whether it was before, without an answer.
    async fn pause(&self, op: &'static str, wait: Duration, sent: bool) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.outage.begun() => Err(self.outage.failure(op, sent)),
            paused = pause(wait, &self.stop) => paused.map_err(|_| Failure::stopped(op)),
        }
    }
}

/// How long until the next try: what AWS asks for (0 s included), else a quota's period, else
/// doubling up to the rule's longest; with a quarter of it left to chance, so that two deployers
/// don't march in step.
fn backoff(rule: &Rule, failure: &Failure, tries: u32, period: Option<Duration>) -> Duration {
    if let Some(asked) = failure.retry_after {
        return asked.max(rule.first);
    }
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    let chance = f64::from(byte[0]) / 1024.0;
    match period {
        Some(period) => period.mul_f64(1.0 + chance),
        None => {
            let full = rule.first.saturating_mul(1 << tries.min(10)).min(rule.longest);
            full.mul_f64(0.75 + chance)
        }
    }
}

/// How far AWS's lists may lag behind what was made.
pub const LAG: Duration = Duration::from_secs(15);

/// Makes something whose name isn't unique, of which it is known that it isn't there, and never twice: when
/// no answer came, looks as long as AWS's lists may take to tell of it, and again before each further try.
///
/// # Errors
/// What AWS said last.
pub async fn make_once<T, L, M>(look: impl Fn() -> L, make: impl Fn() -> M) -> Result<T>
where
    L: Future<Output = Result<Option<T>>>,
    M: Future<Output = Result<T, Failure>>,
{
    const TRIES: u32 = 5;
    for attempt in 1.. {
        if attempt > 1
            && let Some(found) = look().await?
        {
            return Ok(found);
        }
        match make().await {
            Err(failure) if failure.ambiguous && attempt < TRIES => {
                let since = Instant::now();
                while since.elapsed() < LAG {
                    note("waiting to see whether AWS did it");
                    sleep(Duration::from_secs(2)).await;
                    if let Some(found) = look().await? {
                        return Ok(found);
                    }
                }
            }
            result => return Ok(result?),
        }
    }
    unreachable!("the last try returns")
}

/// What came of making something under a name that can exist once.
pub enum Made<M, A> {
    New(M),
    Adopted(A),
}

/// Makes something under a name that can exist once. That it exists already means that an answer
/// was lost, or that somebody was quicker: then it is adopted. And where there is nothing to adopt,
/// AWS hasn't freed the name of something that was just deleted, or doesn't show what was just made:
/// both pass.
pub async fn make_or_adopt<M, A, MF, AF>(
    make: impl Fn() -> MF,
    exists: fn(&Failure) -> bool,
    adopt: impl Fn() -> AF,
) -> Result<Made<M, A>>
where
    MF: Future<Output = Result<M, Failure>>,
    AF: Future<Output = Result<Option<A>>>,
{
    const FREED: Duration = Duration::from_secs(60);
    const PAUSE: Duration = Duration::from_secs(2);
    let since = Instant::now();
    loop {
        let failure = match make().await {
            Err(failure) if exists(&failure) => failure,
            result => return Ok(Made::New(result?)),
        };
        if let Some(adopted) = adopt().await? {
            return Ok(Made::Adopted(adopted));
        }
        if since.elapsed() + PAUSE > FREED {
            return Err(failure.into());
        }
        note("waiting for AWS to free the name");
        sleep(PAUSE).await;
    }
}

/// Waits, unless the run is asked to stop.
///
/// # Errors
/// [`Stopped`] when it is.
pub async fn pause(pause: Duration, stop: &Stop) -> Result<(), Stopped> {
    if !pause.is_zero() {
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.wait() => {}
        }
    }
    match stop.asked() {
        true => Err(Stopped),
        false => Ok(()),
    }
}

/// Does something again and again, with a pause between.
pub async fn every<F>(period: Duration, act: impl Fn() -> F)
where
    F: Future<Output = std::ops::ControlFlow<()>>,
{
    loop {
        sleep(period).await;
        if act().await.is_break() {
            return;
        }
    }
}

/// What AWS took on, and didn't finish.
#[derive(Debug)]
pub struct Unfinished(pub String);

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfinished {}

/// Asks again until there is an answer, less and less often.
///
/// # Errors
/// What `ask` fails with, and that the deadline has passed.
pub async fn until<T, F>(what: &str, deadline: Duration, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let since = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if since.elapsed() + pause > deadline {
            bail!(Unfinished(format!("waited {} s for {what}, in vain", deadline.as_secs())));
        }
        if since.elapsed() > Duration::from_secs(1) {
            note(&format!("waiting for {what}"));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests;
