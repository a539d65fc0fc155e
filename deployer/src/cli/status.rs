//! `deployer status`: what is live.

use super::outputs::Outputs;
use super::run::{Surveyed, connect, deployed, survey};
use super::screen::{CHANGED, DIM, GOOD, paint, result, time};
use super::{Common, Exit, pulse, show_plan};
use anyhow::Result;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const EXAMPLES: &str = "\
Drift is any difference between what is live and what the stack of this deployer makes of the
version, commit and code that are live: a change by hand, or a newer stack.rs. No packages needed.

Examples:
  deployer status
  deployer status --json | jq .drift";

pub async fn run(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let Some(deployed) = deployed(common, &aws).await? else {
        match common.json {
            true => result(r#"{ "deployed": false }"#),
            false => result(format!("stage {} is not deployed", common.stage)),
        }
        return Ok(Exit::Done);
    };
    let Surveyed { plan, .. } = survey(common, &aws, &deployed.release).await?;
    let outputs = Outputs::new(&aws, &deployed.api, &deployed.release);
    let since = UNIX_EPOCH + Duration::from_secs(deployed.since.max(0).unsigned_abs());
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    if common.json {
        let status = serde_json::json!({
            "deployed": true,
            "version": outputs.version,
            "git_sha": outputs.git_sha,
            "since": deployed.since,
            "url": outputs.url,
            "health": pulse::json(common, &aws).await,
            "drift": !plan.is_empty(),
            "differences": plan.steps.iter().filter(|s| s.action != crate::engine::Action::Keep)
                .collect::<Vec<_>>(),
        });
        result(format!("{status:#}"));
        return Ok(Exit::Done);
    }
    result(format!("version  {} (commit {})", outputs.version, outputs.git_sha));
    result(format!("live     for {}", long_time(age)));
    result(format!("url      {}", outputs.url));
    pulse::print(common, &aws).await;
    if plan.is_empty() {
        result(format!("drift    {}", paint(GOOD, "none")));
    } else {
        result(format!("drift    {}: {}", paint(CHANGED, "yes"), show_plan::summary(&plan)));
        result(format!("\n{}", show_plan::show(&plan, false).trim_end()));
        result(paint(DIM, "\ndeploy again to mend it"));
    }
    Ok(Exit::Done)
}

fn long_time(age: Duration) -> String {
    match age.as_secs() {
        0..3600 => time(age),
        seconds @ 3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} days {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
