//! `deployer smoke-test`: every endpoint, called as its users would.

use super::run::{Deployed, connect, deployed};
use super::screen::{BAD, CHANGED, DIM, GOOD, paint, result, say};
use super::values::{TIMEOUT, number};
use super::{Common, Exit};
use crate::contract::Endpoint;
use crate::engine::Secret;
use crate::release::Release;
use crate::resources::{InFlight, SecretParameter};
use crate::run::Run;
use crate::smoke::{Caller, Check, Verdict, checks, run_round};
use anstyle::Style;
use anyhow::{Result, bail};
use std::time::Duration;

pub const EXAMPLES: &str = "\
Each endpoint must answer its status, content type and body, with the version and commit that were
deployed; without a key, and with a wrong one, 403; an unknown path 403.

A key whose monthly quota is used up gets 429 (Limit Exceeded) from every endpoint. That says
nothing about the release: the exit code is then 6 (could not be judged), not 5 (failed).

AWS needs a while until a new key or deployment is known everywhere: what looks like that is asked
again until --timeout.

Examples:
  deployer smoke-test
  deployer --stage prod smoke-test --json";

/// What to do about a quota that is used up.
pub const QUOTA_EXCEEDED: &str = "the key's quota begins anew with the next month; to raise it, change \
                                  key_quota in deployer/src/stack.rs, and deploy";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many seconds AWS may take until everything it was told is true everywhere
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    #[arg(value_parser = number("seconds", TIMEOUT))]
    timeout: u64,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let aws = connect(common).await?;
    let Deployed { api, release, .. } = deployed(common, &aws).await?;
    let promises = (common.app.endpoints, &release);
    let verdicts = call_all(common, &aws, &api, promises, args.timeout).await?;
    let url = aws.url(&api);
    if common.json {
        result(serde_json::to_string_pretty(&serde_json::json!({
            "url": url,
            "passed": verdicts.iter().all(Verdict::passed),
            "checks": verdicts,
        }))?);
    } else {
        table(&verdicts);
    }
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.failed()).collect();
    for verdict in &failed {
        tell(verdict, &url, &aws);
    }
    let unjudged = tell_unjudged(&verdicts, "error:", BAD);
    Ok(match (failed.is_empty(), unjudged) {
        (false, _) => Exit::SmokeTestFailed,
        (true, true) => Exit::Preflight,
        (true, false) => Exit::Done,
    })
}

/// Says which checks could not be judged because the key's quota is used up. False when there are none.
pub fn tell_unjudged(verdicts: &[Verdict], severity: &str, style: Style) -> bool {
    let unjudged: Vec<&str> = (verdicts.iter().filter(|verdict| verdict.quota_exceeded))
        .map(|verdict| verdict.check.name.as_str())
        .collect();
    if unjudged.is_empty() {
        return false;
    }
    let (severity, names) = (paint(style, severity), unjudged.join(", "));
    say(format!("{severity} the key's quota is used up, so these could not be judged: {names}"));
    say(format!("  next: {QUOTA_EXCEEDED}"));
    true
}

/// Calls every endpoint until all is well, or for so many seconds.
pub async fn call_all(
    common: &Common,
    aws: &Run,
    api: &str,
    (endpoints, release): (&[Endpoint], &Release),
    seconds: u64,
) -> Result<Vec<Verdict>> {
    let key: Secret = SecretParameter::api_key(aws).await?;
    let in_flight = InFlight::of_run(aws, endpoints).await;
    let (url, checks) = (aws.url(api), checks(endpoints, in_flight));
    let deadline = Duration::from_secs(seconds);
    let tell = |waiting: &str| {
        if !common.quiet {
            say(paint(DIM, waiting));
        }
    };
    for endpoint in endpoints.iter().filter(|endpoint| in_flight.is_off(endpoint.function)) {
        tell(&format!("{} is not called: its function is reserved(0)", endpoint.route()));
    }
    let (http, url, key) = (&aws.http, &*url, &key);
    let limit = common.app.key_limit;
    let caller = Caller { http, url, key, limit, release, in_flight };
    tokio::select! {
        () = aws.outage().begun() => bail!(aws.outage().failure("execute-api:Invoke", true)),
        verdicts = run_round(&caller, &checks, deadline, &tell) => verdicts,
    }
}

fn table(verdicts: &[Verdict]) {
    let width =
        verdicts.iter().map(|verdict| verdict.check.name.chars().count()).max().unwrap_or(0);
    for verdict in verdicts {
        let Check { name, .. } = &verdict.check;
        let (mark, style) = match verdict {
            verdict if verdict.passed() => ("✓ pass", GOOD),
            verdict if verdict.failed() => ("✗ FAIL", BAD),
            _ => ("? skip", CHANGED),
        };
        let status = verdict.status.map_or("---".to_owned(), |status| status.to_string());
        let millis = paint(DIM, format!("{:>5} ms", verdict.milliseconds));
        result(format!("{}  {name:<width$}  {status}  {millis}", paint(style, mark)));
    }
    let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
    let style = if passed == verdicts.len() { GOOD } else { BAD };
    result(paint(style, format!("{passed} of {} passed", verdicts.len())));
}

/// The failing request, its answer, and where to look.
pub fn tell(verdict: &Verdict, url: &str, aws: &Run) {
    let Check { path, function, .. } = &verdict.check;
    let failed = verdict.failure.as_deref().unwrap_or("failed");
    say(format!("{} {}: {failed}", paint(BAD, "error:"), verdict.check.name));
    say(format!("  request: GET {url}{path}"));
    if let Some(status) = verdict.status {
        say(format!("  answer: {status} {}", verdict.body));
    }
    let look = match (verdict.status, function) {
        (Some(200..=299 | 403), _) | (_, None) => {
            "cargo xtask plan, for what isn't as wanted".to_owned()
        }
        (_, Some(function)) => format!("the log group {}", aws.env.log_group(function)),
    };
    say(format!("  look at: {look}"));
}
