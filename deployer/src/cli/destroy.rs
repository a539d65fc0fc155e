//! `deployer destroy`: everything with our tags, declared or not, and a receipt.

use super::deploy::tell;
use super::progress::Progress;
use super::run::{connect, mind_interrupts, survey_for_destroy};
use super::screen::{BAD, GOOD, ask, can_ask, count, paint, result, say, time};
use super::{Common, Exit, explain, show_plan};
use crate::engine::{Observer, Silent, Step};
use crate::retry::until;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const EXAMPLES: &str = "\
Everything that bears the stage's tags is deleted, also what the code no longer mentions: functions,
roles, logs, parameters, the API and its key, the staging bucket and all that is in it.

Examples:
  deployer destroy                      list it, ask for the stage's name, delete it
  deployer --stage test destroy --yes   in CI";

/// How long AWS may list what was deleted.
const NOTICED: Duration = Duration::from_secs(60);

pub async fn run(common: &Common) -> Result<Exit> {
    let mut started = Instant::now();
    if !common.yes && !can_ask() {
        bail!(explain::NobodyToAsk);
    }
    let aws = connect(common).await?;
    let (survey, plan) = survey_for_destroy(common, &aws).await.context(explain::Preflight)?;
    if plan.steps.is_empty() {
        say(format!("stage {} isn't there: nothing bears its tags", common.stage));
        receipt(common, &[], &[]);
        return Ok(Exit::Done);
    }
    if !common.quiet {
        say(show_plan::show(&plan, false));
    }
    if !common.yes {
        let things = count(plan.steps.len(), "resource");
        let stage = &common.stage;
        let question = format!("{things} will be gone for good. Type the stage's name, {stage}:");
        let asked = Instant::now();
        let answer = ask(question);
        started += asked.elapsed();
        if answer.as_ref() != Some(stage) {
            say("nothing was deleted");
            return Ok(Exit::Preflight);
        }
    }
    let observer: Arc<dyn Observer> =
        if common.quiet { Arc::new(Silent) } else { Progress::of(&plan) };
    let stop = mind_interrupts();
    let report = survey.carry_out(&aws, &stop, observer).await;
    if !report.complete() {
        receipt(common, &report.done, &remaining(&report));
        return Ok(tell(&report, common, "destroy"));
    }
    // Lists may show for a while what is gone: only what stays is left.
    let gone = until("AWS to notice what was deleted", NOTICED, async || {
        let (_, left) = survey_for_destroy(common, &aws).await?;
        Ok(left.steps.is_empty().then_some(()))
    });
    let left = match gone.await {
        Ok(()) => vec![],
        Err(_) => match survey_for_destroy(common, &aws).await {
            Ok((_, left)) => left.steps,
            Err(error) => {
                receipt(common, &report.done, &[]);
                explain::print(&error, common);
                say(
                    "all was deleted, but AWS could not be asked again; run destroy again to be sure",
                );
                return Ok(Exit::PartlyDone);
            }
        },
    };
    receipt(common, &report.done, &left);
    if !left.is_empty() {
        say(paint(BAD, "AWS still shows some of it; run destroy again"));
        return Ok(Exit::PartlyDone);
    }
    if !common.quiet {
        let gone = count(report.done.len(), "resource");
        say(paint(
            GOOD,
            format!("destroyed: {gone} in {}; nothing remains", time(started.elapsed())),
        ));
    }
    Ok(Exit::Done)
}

fn remaining(report: &crate::engine::Report) -> Vec<Step> {
    let failed = report.failed.iter().map(|(step, _)| step);
    let skipped = report.skipped.iter().map(|(step, _)| step);
    failed.chain(skipped).chain(&report.stopped).cloned().collect()
}

fn receipt(common: &Common, deleted: &[Step], remaining: &[Step]) {
    if common.json {
        let names = |steps: &[Step]| steps.iter().map(Step::title).collect::<Vec<_>>();
        let receipt =
            serde_json::json!({ "deleted": names(deleted), "remaining": names(remaining) });
        result(format!("{receipt:#}"));
    } else {
        result(format!("deleted {}, remaining {}", deleted.len(), remaining.len()));
        remaining.iter().for_each(|step| result(format!("  remaining: {}", step.title())));
    }
}
