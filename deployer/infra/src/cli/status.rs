//! `deployer status`: what is live.

use super::outputs::Outputs;
use super::releases::{self, shown, standing, utc};
use super::run::{Surveyed, connect, partly_deployed, survey};
use super::screen::{BAD, CHANGED, DIM, GOOD, count, paint, result, time};
use super::{Common, Exit, foreign, incomplete::incomplete, key, pulse, show_plan};
use crate::resources::history::{self, Record};
use crate::resources::{Otherwise, gone_stages, retiring, serving};
use anyhow::Result;
use checkout::{Checkout, Place, parse};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const EXAMPLES: &str = "\
Drift is any difference between what is live and what the stack of this deployer makes of the
version, commit and code that are live: a change by hand, or a newer stack.rs. No packages needed.
In a checkout of the sources it also says how many commits of it are not live yet.

Examples:
  deployer status
  deployer status --json | jq .drift";

pub async fn run(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let found = partly_deployed(common, &aws).await?;
    let Some(deployed) = found.deployed() else { return incomplete(common, &aws, &found).await };
    let Surveyed { plan, .. } = survey(common, &aws, &deployed.release).await?;
    let outputs = Outputs::new(&aws, &deployed.api, &deployed.release);
    // The survey has read them.
    let records = history::known(&aws);
    let record = history::current(&records);
    let otherwise = serving(&aws).and_then(|serving| serving.otherwise(&records));
    let began = record.filter(|record| record.state.is_good()).map(|record| record.time);
    let deployed_since = began.unwrap_or(deployed.since);
    let checkout = Checkout::here().ok();
    let place = checkout.as_ref().map(|checkout| place(checkout, &outputs.git_sha));
    let since = UNIX_EPOCH + Duration::from_secs(deployed_since.max(0).unsigned_abs());
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    if common.json {
        let status = serde_json::json!({
            "deployed": true,
            "version": outputs.version,
            "git_sha": outputs.git_sha,
            "since": deployed_since,
            "url": outputs.url,
            "release": record.map(|Record { number, state, time, who, .. }| serde_json::json!({
                "number": number, "state": state, "time": time, "who": who,
            })),
            "history_lost": records.is_empty(),
            "serving": match &otherwise {
                Some(Otherwise { serves, differences, .. }) => {
                    serde_json::json!({ "release": serves, "differences": differences })
                }
                None => serde_json::json!({
                    "release": record.map(|record| record.number), "differences": [],
                }),
            },
            "behind": match place {
                Some(Place::Behind(commits)) => Some(commits),
                _ => None,
            },
            "retiring_keys": retiring(&aws),
            "health": pulse::json(common, &aws).await,
            "drift": !plan.is_empty() || foreign::is_there(&aws) || otherwise.is_some(),
            "foreign": foreign::json(&aws),
            "differences": plan.steps.iter().filter(|s| s.action != crate::engine::Action::Keep)
                .collect::<Vec<_>>(),
        });
        result(format!("{status:#}"));
        return Ok(Exit::Done);
    }
    result(format!("version  {} (commit {})", outputs.version, outputs.git_sha));
    result(format!("release  {}", record.map_or_else(|| no_release(&records), release)));
    if let Some(otherwise) = &otherwise {
        result(format!("serving  {}", paint(BAD, releases::moved(common, otherwise))));
    }
    result(format!("live     for {}", long_time(age)));
    if let Some((checkout, place)) = checkout.as_ref().zip(place) {
        result(format!("behind   {}", behind(checkout, place, &outputs.git_sha)));
    }
    result(format!("url      {}", outputs.url));
    key::still_working(&aws).into_iter().for_each(result);
    gone_stages(&aws).into_iter().for_each(result);
    pulse::print(common, &aws).await;
    let foreign = foreign::lines(&aws);
    if plan.is_empty() && otherwise.is_some() {
        result(format!("drift    {}: what serves isn't the live release", paint(CHANGED, "yes")));
    } else if plan.is_empty() && foreign.is_empty() {
        result(format!("drift    {}", paint(GOOD, "none")));
    } else if plan.is_empty() {
        result(format!("drift    {}: access that this stack didn't create", paint(CHANGED, "yes")));
    } else {
        result(format!("drift    {}: {}", paint(CHANGED, "yes"), show_plan::summary(&plan)));
        result(format!("\n{}", show_plan::show(&plan, false).trim_end()));
        result(paint(DIM, "\ndeploy again to mend it"));
    }
    foreign.into_iter().for_each(result);
    Ok(Exit::Done)
}

fn no_release(records: &[Record]) -> String {
    match records.is_empty() {
        true => format!("none on record: {}", history::LOST),
        false => "none on record".to_owned(),
    }
}

/// `7, since 2026-11-24 18:05 UTC, by user/me on laptop`.
fn release(record: &Record) -> String {
    let Record { number, time, who, state, again, .. } = record;
    let again = again.map(|again| format!(" ({again} again)")).unwrap_or_default();
    let text = format!("{number}{again}, since {}, by {}", utc(*time), shown(who));
    if state.is_good() {
        return text;
    }
    let (style, what) = standing(*state, true);
    format!("{text}; {}", paint(style, what))
}

/// Where what is live is, seen from `checkout`.
fn place(checkout: &Checkout, git_sha: &str) -> Place {
    parse(git_sha).map_or(Place::Unknown, |(digits, _)| checkout.place(digits))
}

fn behind(checkout: &Checkout, place: Place, git_sha: &str) -> String {
    let (digits, dirty) = parse(git_sha).unwrap_or_default();
    let commits = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX), "commit");
    let text = match place {
        Place::Behind(0) => "nothing: it is what is checked out here".to_owned(),
        Place::Behind(number) => format!("{} (git log {digits}..HEAD)", commits(number)),
        Place::Ahead(number) => {
            format!("nothing: it is {} ahead of this checkout", commits(number))
        }
        Place::Apart => format!("not in this checkout's history (git log HEAD..{digits})"),
        Place::Unknown => return format!("unknown here; {}", checkout.fetch()),
    };
    match dirty {
        true => format!("{text}; it was packaged with changes that nobody committed"),
        false => text,
    }
}

fn long_time(age: Duration) -> String {
    match age.as_secs() {
        0..3600 => time(age),
        seconds @ 3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} days {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
