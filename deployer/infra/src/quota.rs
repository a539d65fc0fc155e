//! How often AWS lets an operation be called: one table, which sets the pace of a run and tells a
//! plan how long it will have to wait.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant; // stands still and jumps in tests

/// Once a period, with `burst` at once after a rest. Per account and region, shared with everybody
/// else who works there.
struct Quota {
    /// An operation, or the beginning of several.
    ops: &'static str,
    period: Duration,
    burst: u32,
}

const fn quota(ops: &'static str, millis: u64, burst: u32) -> Quota {
    Quota { ops, period: Duration::from_millis(millis), burst }
}

/// Amazon API Gateway quotas, "API Gateway quotas for creating, deploying and managing an API";
/// AWS Lambda quotas, "Lambda API requests"; CloudWatch and CloudWatch Logs quotas, the least of all regions. SSM's is documented nowhere; it is what others have seen.
/// An operation counts for every row that begins it, but for those of [`APART`].
const QUOTAS: &[Quota] = &[
    quota("apigateway:CreateRestApi", 3_000, 1),
    quota("apigateway:PutRestApi", 1_000, 1),
    quota("apigateway:DeleteRestApi", 30_000, 1),
    quota("apigateway:CreateDeployment", 5_000, 1),
    quota("apigateway:UpdateAccount", 20_000, 1),
    quota("apigateway:UpdateUsagePlan", 20_000, 1),
    quota("apigateway:GetResources", 400, 5),
    quota("apigateway:CreateApiKey", 200, 5),
    quota("apigateway:DeleteApiKey", 200, 5),
    quota("apigateway:", 100, 40),
    quota("lambda:GetFunction", 10, 100),
    quota("lambda:GetPolicy", 67, 15),
    quota("lambda:", 67, 15),
    quota("ssm:PutParameter", 334, 3),
    quota("cloudwatch:PutMetricAlarm", 334, 3),
    quota("cloudwatch:DeleteAlarms", 334, 3),
    quota("cloudwatch:DescribeAlarms", 112, 9),
    quota("logs:FilterLogEvents", 200, 5),
];

/// Have a quota of their own, or none, and don't count for their service's.
const APART: &[&str] = &["lambda:GetFunction", "lambda:GetPolicy", "lambda:InvokeFunction"];

/// From this on, people are told what they wait for.
const LONG: Duration = Duration::from_secs(1);

fn rows(op: &str) -> impl Iterator<Item = &'static Quota> {
    let apart = APART.contains(&op);
    QUOTAS.iter().filter(move |quota| match apart {
        true => quota.ops == op,
        false => op.starts_with(quota.ops),
    })
}

/// How long AWS takes to allow one more of an operation that has long periods of its own.
pub fn period(op: &str) -> Option<Duration> {
    rows(op).map(|quota| quota.period).find(|period| *period >= LONG)
}

/// "waiting for API Gateway: next DeleteRestApi in 21 s".
pub fn waiting(op: &str, wait: Duration) -> String {
    let (service, verb) = op.split_once(':').unwrap_or(("AWS", op));
    let service = match service {
        "apigateway" => "API Gateway",
        "lambda" => "Lambda",
        "ssm" => "Parameter Store",
        other => other,
    };
    format!("waiting for {service}: next {verb} in {} s", seconds(wait))
}

/// Whole ones, rounded up: people and scripts need no others.
pub fn seconds(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil() as u64
}

/// Keeps a process within the quotas: when each row has room again.
#[derive(Default)]
pub struct Pace(Mutex<HashMap<&'static str, Instant>>);

impl Pace {
    /// Takes a turn, and says how long it is until then.
    pub fn take(&self, op: &str) -> Duration {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut wait = Duration::ZERO;
        for quota in rows(op) {
            let at = next.entry(quota.ops).or_insert(now);
            wait = wait.max(turn(at, quota.period, quota.burst));
        }
        wait
    }
}

/// Takes a turn where one is allowed a period, and `burst` at once after a rest; says how long it is until
/// then. `next` is when all will have been used up (GCRA).
pub fn turn(next: &mut Instant, period: Duration, burst: u32) -> Duration {
    let now = Instant::now();
    *next = (*next).max(now);
    let wait = (*next - now).saturating_sub(period * burst.saturating_sub(1));
    *next += period;
    wait
}

/// How long the quotas make a number of operations wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// When nobody else has used them of late.
    pub least: Duration,
    /// When somebody has just used them up.
    pub most: Duration,
}

/// From the same table that sets the pace. Only operations with long periods count for the most:
/// a run does them one after the other.
pub fn estimate<'a>(ops: impl IntoIterator<Item = &'a str>) -> Estimate {
    let mut counts: HashMap<&str, (&Quota, u32)> = HashMap::new();
    for op in ops {
        rows(op).for_each(|quota| counts.entry(quota.ops).or_insert((quota, 0)).1 += 1);
    }
    let least = |(quota, count): &(&Quota, u32)| quota.period * count.saturating_sub(quota.burst);
    let most = |(quota, count): &(&Quota, u32)| match quota.period >= LONG {
        true => quota.period * *count,
        false => Duration::ZERO,
    };
    let least = counts.values().map(least).max().unwrap_or_default();
    Estimate { least, most: counts.values().map(most).sum::<Duration>().max(least) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_row_has_its_period_and_its_burst() {
        for Quota { ops, period, burst } in QUOTAS {
            let pace = Pace::default();
            let waits: Vec<_> = (0..burst + 2).map(|_| pace.take(ops)).collect();
            let (at_once, late) = waits.split_at(*burst as usize);
            assert!(at_once.iter().all(Duration::is_zero), "{ops}: {at_once:?}");
            assert_eq!(late, [*period, *period * 2], "{ops}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_a_quota_of_its_own_leaves_its_services_alone() {
        let pace = Pace::default();
        (0..100).for_each(|_| assert!(pace.take("lambda:GetFunction").is_zero()));
        assert!(!pace.take("lambda:GetFunction").is_zero());
        assert!(pace.take("lambda:CreateFunction").is_zero());
        (0..40).for_each(|_| assert!(pace.take("apigateway:GetStage").is_zero()));
        assert!(
            !pace.take("apigateway:CreateApiKey").is_zero(),
            "all of them together: 10 a second"
        );
    }

    #[test]
    fn people_are_told_of_long_waits_only() {
        assert_eq!(period("apigateway:DeleteRestApi"), Some(Duration::from_secs(30)));
        assert_eq!(period("apigateway:GetStage"), None);
        assert_eq!(
            waiting("apigateway:DeleteRestApi", Duration::from_millis(20_100)),
            "waiting for API Gateway: next DeleteRestApi in 21 s"
        );
    }

    #[test]
    fn an_estimate_is_what_the_table_forces() {
        let seconds = |ops: &[&str]| {
            let Estimate { least, most } = estimate(ops.iter().copied());
            (least.as_secs(), most.as_secs())
        };
        assert_eq!(seconds(&[]), (0, 0));
        assert_eq!(seconds(&["lambda:CreateFunction"]), (0, 0));
        assert_eq!(seconds(&["apigateway:UpdateUsagePlan", "apigateway:DeleteRestApi"]), (0, 50));
        assert_eq!(seconds(&["apigateway:DeleteRestApi"; 3]), (60, 90));
        assert_eq!(seconds(&["lambda:CreateFunction"; 165]), (10, 10));
    }
}
