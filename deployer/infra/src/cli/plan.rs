//! `deployer plan`: what a deploy would change.

use super::explain::Preflight;
use super::run::{Surveyed, connect, load_release, survey};
use super::screen::{CHANGED, count, paint, result, say};
use super::{Common, Exit, foreign, key, show_plan};
use crate::engine::{Action, Plan, Step};
use crate::quota::{self, Estimate};
use crate::resources::{check_reservations, gone_stages, history};
use crate::run::Run;
use crate::widening::widenings;
use anyhow::{Context, Result};
use checkout::{Checkout, Place, parse};
use std::path::PathBuf;

pub const EXAMPLES: &str = "\
Examples:
  deployer plan                               against AWS, with the usual credentials
  deployer plan --local                       against the local cloud
  deployer plan --out dev.plan.json           save it; `deploy dev.plan.json` applies exactly this
  deployer plan --detailed-exitcode --quiet   for scripts: 0 nothing to do, 2 differences";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with 2 when there are differences
    #[arg(long)]
    detailed_exitcode: bool,
    /// Save the plan, for `deploy FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    removal: foreign::Removal,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let release = load_release(common)?;
    let mut aws = connect(common).await?;
    aws.remove_foreign = args.removal.asked(None);
    let Surveyed { plan, .. } = survey(common, &aws, &release).await?;
    if common.json {
        let Estimate { least, most } = show_plan::estimate(&aws, &plan);
        let mut json = serde_json::to_value(&plan)?;
        json["quota_wait_seconds"] = serde_json::json!([least, most].map(quota::seconds));
        json["foreign"] = foreign::json(&aws);
        json["history_lost"] = serde_json::json!(history_lost(&aws, &plan));
        json["new_url"] = serde_json::json!(new_url(&aws, &plan));
        json["commits_older"] = serde_json::json!(commits_older(&plan).map(|(commits, _)| commits));
        json["widens"] = serde_json::to_value(widenings(&plan))?;
        result(format!("{json:#}"));
    } else {
        let text = show_plan::show(&plan, common.verbose > 0);
        let gap = if text.is_empty() { "" } else { "\n" };
        result(format!("{text}{gap}{}", show_plan::summary(&plan)));
        warnings(&aws, &plan).into_iter().for_each(result);
        show_plan::time(&aws, &plan).into_iter().for_each(result);
        foreign::lines(&aws).into_iter().for_each(result);
        key::still_working(&aws).into_iter().for_each(result);
        gone_stages(&aws).into_iter().for_each(result);
    }
    check_reservations(&aws, &plan).await.context(Preflight)?;
    if let Some(file) = &args.out {
        save(&plan, file).context(Preflight)?;
        if !common.quiet {
            say(format!("saved; to do just this: deployer deploy {}", file.display()));
        }
    }
    let differs = !plan.is_empty() || foreign::is_there(&aws);
    match args.detailed_exitcode && differs {
        true => Ok(Exit::Differences),
        false => Ok(Exit::Done),
    }
}

/// What of a plan isn't seen in its steps.
pub fn warnings(aws: &Run, plan: &Plan) -> Vec<String> {
    let lost = history_lost(aws, plan).then(|| {
        format!("{}: this begins another, and earlier releases can't be restored", history::LOST)
    });
    let api = "the API was deleted: the new one has a new URL, which callers must be told";
    let api = new_url(aws, plan).then(|| api.to_owned());
    let warnings = [older(plan), lost, api].into_iter().flatten();
    warnings.map(|text| paint(CHANGED, text)).collect()
}

/// Whether the stage serves, or has served, and no record tells of it.
fn history_lost(aws: &Run, plan: &Plan) -> bool {
    let exists = |step: &Step| step.id.is_some() && (step.kind == "stage" || is_version(step));
    history::known(aws).is_empty() && plan.steps.iter().any(exists)
}

/// Whether another API takes the place of one that has served.
fn new_url(aws: &Run, plan: &Plan) -> bool {
    let has_served = !history::known(aws).is_empty()
        || plan.steps.iter().any(|step| step.id.is_some() && is_version(step));
    let creates = |step: &Step| step.kind == "rest api" && step.action == Action::Create;
    has_served && plan.steps.iter().any(creates)
}

/// Whether it is the parameter that is written once a stage serves.
fn is_version(step: &Step) -> bool {
    step.kind == "parameter" && step.name.ends_with("/version")
}

/// Says that an older commit would take the place of a newer one.
fn older(plan: &Plan) -> Option<String> {
    let (commits, live) = commits_older(plan)?;
    let commits = count(usize::try_from(commits).ok()?, "commit");
    Some(format!("this is {commits} older than what is live (git log HEAD..{live})"))
}

/// How many commits of this checkout what is live is ahead of it, and its commit; `None` where it isn't, or where there is
/// no checkout that tells.
fn commits_older(plan: &Plan) -> Option<(u64, String)> {
    let is_commit = |step: &&Step| step.kind == "parameter" && step.name.ends_with("/git-sha");
    let step = plan.steps.iter().find(is_commit).filter(|step| step.action == Action::Update)?;
    let change = step.changes.iter().find(|change| change.path == "value")?;
    let (digits, _) = parse(change.from.as_ref()?.as_str()?)?;
    match Checkout::here().ok()?.place(digits) {
        Place::Ahead(commits) => Some((commits, digits.to_owned())),
        _ => None,
    }
}

fn save(plan: &Plan, file: &PathBuf) -> Result<()> {
    let text = serde_json::to_string_pretty(plan)? + "\n";
    std::fs::write(file, text).with_context(|| format!("saving the plan to {}", file.display()))
}
