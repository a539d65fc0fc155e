//! `deployer destroy`: everything with our tags, declared or not, and a receipt.

use super::rights::Check;
use super::run::{
    self, connect, look_and_read, mind_interrupts, survey_for_destroy, take_lease, tell, with_lease,
};
use super::screen::{BAD, DIM, GOOD, ask, count, paint, result, say, time};
use super::{Common, Exit, Patience, explain, show_plan};
use crate::engine::{Plan, Step, Survey};
use crate::lease;
use crate::resources::{Obstacles, delete_again};
use crate::retry::until;
use crate::rights::Mode;
use crate::run::Run;
use anyhow::{Context, Result};
use std::sync::Once;
use std::time::{Duration, Instant};

pub const EXAMPLES: &str = "\
Everything that bears the stage's tags is deleted, also what the code no longer mentions: functions,
roles, logs, parameters, the API and its key, the staging bucket and all that is in it.

Examples:
  deployer destroy                      list it, ask for the stage's name, delete it
  deployer --stage test destroy --yes   in CI";

/// How long AWS may list what was deleted.
const NOTICED: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    check: Check,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let mut started = Instant::now();
    let aws = connect(common).await?;
    let find = async || survey_for_destroy(common, &aws).await.context(explain::Preflight);
    let is_empty = |(_, plan): &(_, Plan)| plan.steps.is_empty();
    let read = look_and_read(common, &aws, find, is_empty);
    let read = args.check.beside(common, &aws, Mode::Destroy, read);
    let (read, obstacles) = tokio::join!(read, Obstacles::read(&aws));
    let ((mut seen, mut found), rights) = read?;
    let plan = &found.1;
    if plan.steps.is_empty() {
        return Ok(nothing(common));
    }
    if !common.quiet {
        say(show_plan::show(plan, false));
        show_plan::time(&aws, plan).into_iter().for_each(say);
    }
    obstacles.context(explain::Preflight)?.check(plan).context(explain::Preflight)?;
    rights.check(common, &aws, plan).await.context(explain::Preflight)?;
    if !common.yes {
        let things = count(plan.steps.len(), "resource");
        let stage = &common.stage;
        let question = format!("{things} will be gone for good. Type the stage's name, {stage}:");
        let asked = Instant::now();
        let answer = ask(question).await?;
        started += asked.elapsed();
        if answer.as_ref() != Some(stage) {
            say("nothing was deleted");
            return Ok(Exit::Preflight);
        }
    }
    mind_interrupts(aws.stop());
    let (doing, patience) = ("destroy", args.patience.time());
    let intent = lease::Intent { doing, git_sha: "", makes_bucket: false, patience };
    // What came meanwhile bears the stage's tags too, and so goes as well.
    loop {
        let undisturbed = match has_bucket(&found.1) {
            true => take_lease(common, &aws, seen, &intent).await?,
            // No bucket of ours, no lease; but somebody may have begun since.
            false => seen.has_bucket() == lease::look(&aws).await?.has_bucket(),
        };
        if undisturbed {
            break;
        }
        seen = lease::look(&aws).await?;
        found = survey_for_destroy(common, &aws).await?;
        if aws.lease.get().is_some() {
            break;
        }
    }
    with_lease(common, &aws, carry_out(common, &aws, found, started)).await
}

fn nothing(common: &Common) -> Exit {
    say(format!("stage {} isn't there: nothing bears its tags", common.stage));
    receipt(common, &[], &[]);
    Exit::Done
}

fn has_bucket(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| step.kind == "bucket")
}

/// With the lease in hand.
async fn carry_out(
    common: &Common,
    aws: &Run,
    (survey, plan): (Survey<'static, Run>, Plan),
    started: Instant,
) -> Result<Exit> {
    if plan.steps.is_empty() {
        return Ok(nothing(common));
    }
    let report = run::carry_out(common, aws, &survey, &plan).await;
    if !report.complete() {
        receipt(common, &report.done, &remaining(&report));
        return Ok(tell(&report, common, "destroy"));
    }
    let left = match sweep(common, aws).await {
        Ok(left) => left,
        Err(error) => {
            receipt(common, &report.done, &[]);
            if !aws.stop().asked() {
                explain::print(&error, common);
            }
            say("all was deleted, but AWS could not be asked again; run destroy again to be sure");
            let stopped = aws.stop().asked();
            return Ok(if stopped { Exit::Interrupted } else { Exit::PartlyDone });
        }
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

/// Looks again, and says what is left. A log group that AWS has created again meanwhile is deleted;
/// anything else may still be listed for a while, and is only left if it stays. The lease is gone by
/// now: what another run has begun to make is its own.
async fn sweep(common: &Common, aws: &Run) -> Result<Vec<Step>> {
    let tell = Once::new();
    let gone = until("AWS to notice what was deleted", NOTICED, async || {
        let (lease, survey) = tokio::join!(lease::look(aws), survey_for_destroy(common, aws));
        let (_, left) = survey?;
        if lease?.is_held() {
            say("another run has begun to make the stage anew");
            return Ok(Some(()));
        }
        if left.steps.is_empty() {
            return Ok(Some(()));
        }
        if left.steps.iter().any(|step| step.kind == "log group") {
            delete_again(aws).await?;
        }
        if !common.quiet {
            tell.call_once(|| say(paint(DIM, "waiting for AWS to notice what was deleted")));
        }
        Ok(None)
    });
    match gone.await {
        Ok(()) => Ok(vec![]),
        Err(_) => Ok(survey_for_destroy(common, aws).await?.1.steps),
    }
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
