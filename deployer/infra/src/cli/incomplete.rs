//! `status` of a stage that isn't deployed, or of which something was deleted without which it isn't.

use super::run::{Partly, Surveyed, survey};
use super::screen::{BAD, count, paint, result};
use super::{Common, Exit};
use crate::engine::{Action, Foreign, Step};
use crate::resources::history::{self, Record};
use crate::run::Run;
use anyhow::Result;

/// Says what of the stage exists and what doesn't.
pub async fn incomplete(common: &Common, aws: &Run, found: &Partly) -> Result<Exit> {
    let records = history::read(aws).await.unwrap_or_default(); // the survey reports why not
    let live = history::current(&records);
    let release = live.map_or_else(|| found.release.clone(), Record::release);
    let steps = match survey(common, aws, &release).await {
        Ok(Surveyed { plan, .. }) => plan.steps,
        // Then none of these names is the stage's.
        Err(error) if error.chain().any(|cause| cause.is::<Foreign>()) => vec![],
        Err(error) => return Err(error),
    };
    // API Gateway's settings are the account's.
    let of_stage = |step: &&Step| step.kind != "api gateway account";
    let (left, gone): (Vec<&Step>, Vec<&Step>) =
        steps.iter().filter(of_stage).partition(|step| step.action != Action::Create);
    let gone: Vec<String> = match left.is_empty() {
        true => vec![],
        false => gone.into_iter().map(Step::title).collect(),
    };
    if common.json {
        let status = serde_json::json!({
            "deployed": false,
            "release": live.map(|record| record.number),
            "left": left.len(),
            "gone": gone,
        });
        result(format!("{status:#}"));
        return Ok(Exit::Done);
    }
    if left.is_empty() {
        result(format!("stage {} is not deployed", common.stage));
        return Ok(Exit::Done);
    }
    let was_deployed = found.since.is_some() || live.is_some_and(|record| record.state.is_good());
    let (deploy, destroy) = (common.command("deploy"), common.command("destroy"));
    let next = match (was_deployed, &found.api) {
        (true, None) => {
            result(paint(BAD, "the API was deleted, so callers get errors"));
            format!("{deploy} creates what is gone; the new API has a new URL")
        }
        _ => {
            let text =
                format!("stage {} is not deployed: its first deploy isn't finished", common.stage);
            result(paint(BAD, text));
            format!("{deploy} finishes it, and {destroy} deletes what exists")
        }
    };
    result(format!("release  {}", live.map_or("none".to_owned(), |live| live.number.to_string())));
    result(format!("gone     {}", gone.join(", ")));
    result(format!("left     {}", count(left.len(), "resource")));
    result(format!("next     {next}"));
    Ok(Exit::Done)
}
