//! `deployer smoke-test`: every endpoint, called as its users would.

use super::run::{Deployed, connect, deployed};
use super::screen::{BAD, DIM, GOOD, paint, result, say};
use super::{Common, Exit, explain};
use crate::aws::Aws;
use crate::contract::Endpoint;
use crate::engine::Secret;
use crate::release::Release;
use crate::resources::SecretParameter;
use crate::smoke::{Check, Verdict, checks, run_round};
use anyhow::{Result, bail};
use std::time::Duration;

pub const EXAMPLES: &str = "\
Each endpoint must answer its status, content type and body, with the version and commit that were
deployed; without a key, and with a wrong one, 403; an unknown path 403.

AWS needs a while until a new key or deployment is known everywhere: what looks like that is asked
again until --timeout.

Examples:
  deployer smoke-test
  deployer --stage prod smoke-test --json";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many seconds AWS may take until everything it was told is true everywhere
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = super::seconds())]
    timeout: u64,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let aws = connect(common).await?;
    let Some(Deployed { api, release, .. }) = deployed(common, &aws).await? else {
        bail!(explain::NotDeployed(common.stage.clone()));
    };
    let promises = (common.endpoints(), &release);
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
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.passed()).collect();
    if failed.is_empty() {
        return Ok(Exit::Done);
    }
    for verdict in &failed {
        tell(verdict, &url, &aws);
    }
    Ok(Exit::SmokeTestFailed)
}

/// Calls every endpoint until all is well, or for so many seconds.
pub async fn call_all(
    common: &Common,
    aws: &Aws,
    api: &str,
    (endpoints, release): (&[Endpoint], &Release),
    seconds: u64,
) -> Result<Vec<Verdict>> {
    let key: Secret = SecretParameter::api_key(aws).await?;
    let (url, checks) = (aws.url(api), checks(endpoints));
    let deadline = Duration::from_secs(seconds);
    let tell = |waiting: &str| {
        if !common.quiet {
            say(paint(DIM, waiting));
        }
    };
    run_round(&aws.http, &url, &key, release, &checks, deadline, &tell).await
}

fn table(verdicts: &[Verdict]) {
    let width =
        verdicts.iter().map(|verdict| verdict.check.name.chars().count()).max().unwrap_or(0);
    for verdict in verdicts {
        let Check { name, .. } = &verdict.check;
        let (mark, style) = if verdict.passed() { ("✓ pass", GOOD) } else { ("✗ FAIL", BAD) };
        let status = verdict.status.map_or("---".to_owned(), |status| status.to_string());
        let millis = paint(DIM, format!("{:>5} ms", verdict.milliseconds));
        result(format!("{}  {name:<width$}  {status}  {millis}", paint(style, mark)));
    }
    let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
    let style = if passed == verdicts.len() { GOOD } else { BAD };
    result(paint(style, format!("{passed} of {} passed", verdicts.len())));
}

/// The failing request, its answer, and where to look.
pub fn tell(verdict: &Verdict, url: &str, aws: &Aws) {
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
