//! When a request is sent, and whether it is sent again: AWS's quotas and its passing moods, each
//! in one table. Nothing else in this program sleeps.
//!
//! A failure that no rule names is final. A rule's budget runs from the first failure it matched.

#![allow(clippy::disallowed_methods)] // the one place that may sleep

use crate::aws::{Failure, Trace};
use crate::engine::note;
use anyhow::{Result, bail};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// How often AWS allows an operation: once a period, with `burst` at once after a rest.
struct Quota {
    /// An operation, or the beginning of several.
    ops: &'static str,
    period: Duration,
    burst: u32,
}

const fn quota(ops: &'static str, millis: u64, burst: u32) -> Quota {
    Quota { ops, period: Duration::from_millis(millis), burst }
}

/// Amazon API Gateway quotas, "API Gateway quotas for creating, deploying and managing an API".
/// Per account and region, shared with everything else that runs there.
const QUOTAS: &[Quota] = &[
    quota("apigateway:CreateRestApi", 3_000, 1),
    quota("apigateway:PutRestApi", 1_000, 1),
    quota("apigateway:DeleteRestApi", 30_000, 1),
    quota("apigateway:CreateDeployment", 5_000, 1),
    quota("apigateway:UpdateUsagePlan", 20_000, 1),
    quota("apigateway:GetResources", 400, 5),
    quota("apigateway:", 100, 40),
    quota("lambda:", 67, 15),
];

/// Creates of which a second one would be a second thing: their names aren't unique and they take
/// no token. They are never repeated here; the resource looks first ([`look_then_make`]).
const NEVER_TWICE: &[&str] =
    &["apigateway:CreateRestApi", "apigateway:CreateUsagePlan", "apigateway:CreateDeployment"];

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
    // A full house looks like a rate limit (also 429) and never passes.
    rule("", (0, 0), 0, |f| {
        f.is("LimitExceededException") || f.is("LimitExceeded") || f.says("Maximum number of")
    }),
    rule("AWS's rate limit", (1_000, 10_000), 300, |f| {
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
            || f.says("Invalid principal in policy")
    }),
    rule("S3 to hand out the package", (500, 2_000), 30, |f| {
        f.says("S3 Error Code: NoSuchKey") || f.says("S3 Error Code: NoSuchBucket")
    }),
    rule("an earlier change to finish", (500, 2_000), 300, |f| {
        f.is("ResourceConflictException")
            && (f.says("in progress") || f.says("following state") || f.says("concurrent update"))
    }),
    rule("other changes to finish", (500, 8_000), 120, |f| {
        f.says("concurrent modification")
            || f.says("try again later")
            || f.code.as_deref().is_some_and(|code| {
                [
                    "OperationAborted",
                    "OperationAbortedException",
                    "ConditionalRequestConflict",
                    "TooManyUpdates",
                    "ConcurrentModification",
                    "EntityTemporarilyUnmodifiable",
                ]
                .contains(&code)
            })
    }),
    // Teardown: what depended on it is gone, but AWS hasn't noticed.
    rule("AWS to notice what was deleted", (2_000, 5_000), 90, |f| {
        f.is("DeleteConflict") || f.is("BucketNotEmpty") || f.says("API Stages associated")
    }),
    rule("AWS to answer", (300, 3_000), 3, |f| f.ambiguous && f.op == "sts:GetCallerIdentity"),
    rule("AWS to answer", (300, 8_000), 60, |f| f.ambiguous),
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

/// Keeps this process within AWS's quotas. One for all clients of a run.
pub struct Pacer {
    trace: Option<Trace>,
    /// Per row of [`QUOTAS`], when it would be empty-handed no longer.
    next: Mutex<HashMap<&'static str, Instant>>,
}

impl Pacer {
    pub fn new(trace: Option<Trace>) -> Self {
        Self { trace, next: Mutex::default() }
    }

    /// Sends when the quotas allow, again while a rule says so. With `new`, what is missing was made
    /// a moment ago and will be noticed.
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
        loop {
            self.turn(op).await;
            let sent = Instant::now();
            let answer = send().await;
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
            let pause = pause(rule, &failure, *tries);
            *tries += 1;
            if since.elapsed() + pause > rule.budget {
                return Err(failure);
            }
            if since.elapsed() > Duration::from_secs(1) {
                note(&format!("waiting for {}", rule.waiting_for));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until every quota that the operation counts for allows one more (GCRA).
    async fn turn(&self, op: &'static str) {
        let mut wait = Duration::ZERO;
        {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            for quota in QUOTAS.iter().filter(|quota| op.starts_with(quota.ops)) {
                let at = next.entry(quota.ops).or_insert(now);
                *at = (*at).max(now);
                let rest = quota.period * (quota.burst - 1);
                wait = wait.max((*at - now).saturating_sub(rest));
                *at += quota.period;
            }
        }
        if wait > Duration::from_secs(1) {
            let (_, verb) = op.split_once(':').unwrap_or(("", op));
            note(&format!("waiting for API Gateway: next {verb} in {} s", wait.as_secs()));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// How long until the next try: what AWS asks for (0 s included), else doubling up to the rule's longest, with
/// a quarter of it left to chance so that two deployers don't march in step.
fn pause(rule: &Rule, failure: &Failure, tries: u32) -> Duration {
    if let Some(asked) = failure.retry_after {
        return asked.max(rule.first);
    }
    let full = rule.first.saturating_mul(1 << tries.min(10)).min(rule.longest);
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    full.mul_f64(0.75 + f64::from(byte[0]) / 1024.0)
}

/// Makes something whose name isn't unique without ever making it twice: looks before each try,
/// and looks again when no answer came.
pub async fn look_then_make<T, L, M>(look: impl Fn() -> L, make: impl Fn() -> M) -> Result<T>
where
    L: Future<Output = Result<Option<T>>>,
    M: Future<Output = Result<T, Failure>>,
{
    const TRIES: u32 = 5;
    for attempt in 1.. {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        match make().await {
            Err(failure) if failure.ambiguous && attempt < TRIES => {
                note("waiting to see whether AWS did it");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            result => return Ok(result?),
        }
    }
    unreachable!("the last try returns")
}

/// Asks again until there is an answer, less and less often.
///
/// # Errors
/// What `ask` fails with, and that the deadline has passed.
pub async fn until<T, F>(what: &str, deadline: Duration, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let since = Instant::now();
    let mut pause = Duration::from_millis(50);
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if since.elapsed() + pause > deadline {
            bail!("waited {} s for {what}, in vain", deadline.as_secs());
        }
        if since.elapsed() > Duration::from_secs(1) {
            note(&format!("waiting for {what}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests;
