//! `deployer deploy`: the plan, a question, and then the deed.

use super::explain::Preflight;
use super::outputs::Outputs;
use super::progress::Progress;
use super::run::{Surveyed, connect, load_release, mind_interrupts, survey};
use super::screen::{BAD, BOLD, CHANGED, GOOD, ask, can_ask, count, paint, result, say, time};
use super::{Common, Exit, explain, show_plan};
use crate::engine::{Observer, Plan, Report, Silent};
use crate::release::Release;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub const EXAMPLES: &str = "\
Examples:
  deployer deploy                       show the plan, ask, apply
  deployer deploy --local --yes         to the local cloud, without asking
  deployer deploy dev.plan.json         exactly the plan that was saved, or nothing at all
  deployer --stage prod deploy --yes    another stage, in CI";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plan saved by `plan --out`
    #[arg(value_name = "FILE")]
    plan: Option<PathBuf>,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let mut started = Instant::now();
    let release = load_release(common)?;
    let saved = args.plan.as_deref().map(load).transpose().context(Preflight)?;
    if !common.yes && !can_ask() {
        bail!(explain::NobodyToAsk);
    }
    let aws = connect(common).await?;
    let Surveyed { survey, plan, api } = survey(common, &aws, &release).await?;
    if let Some((saved, file)) = saved.zip(args.plan.as_deref()) {
        check_same(&saved, &plan, file).context(Preflight)?;
    }
    let outputs = |release: &Release| {
        let api = api.output().map(|api| api.0).unwrap_or_default();
        Outputs::new(&aws, &api, release)
    };
    if plan.is_empty() {
        if !common.quiet {
            say(show_plan::summary(&plan));
        }
        finish(common, &outputs(&release));
        return Ok(Exit::Done);
    }
    if !common.quiet {
        say(show_plan::show(&plan, common.verbose > 0));
    }
    if !common.yes {
        let question =
            format!("{}. Deploy to stage {}? [y/N]", show_plan::summary(&plan), common.stage);
        let asked = Instant::now();
        let answer = ask(question).unwrap_or_default().to_lowercase();
        started += asked.elapsed(); // the time to think isn't ours
        if answer != "y" && answer != "yes" {
            say("nothing was changed");
            return Ok(Exit::Preflight);
        }
    } else if !common.quiet {
        say(show_plan::summary(&plan));
    }
    let observer: Arc<dyn Observer> =
        if common.quiet { Arc::new(Silent) } else { Progress::of(&plan) };
    let stop = mind_interrupts();
    let report = survey.carry_out(&aws, &stop, observer).await;
    if !report.complete() {
        return Ok(tell(&report, common, "deploy"));
    }
    if !common.quiet {
        let done = count(report.done.len(), "resource");
        say(paint(GOOD, format!("deployed: {done} in {}", time(started.elapsed()))));
    }
    finish(common, &outputs(&release));
    Ok(Exit::Done)
}

fn finish(common: &Common, outputs: &Outputs) {
    match common.json {
        true => outputs.print_json(),
        false => {
            result(format!("{}  {}", paint(BOLD, "url"), outputs.url));
            result(format!("{}  SSM parameter {}", paint(BOLD, "key"), outputs.api_key_parameter));
            result(format!("{}  {}", paint(BOLD, "try"), outputs.curl(common)));
        }
    }
}

fn load(file: &Path) -> Result<Plan> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading the saved plan {}", file.display()))?;
    Plan::parse(&text).with_context(|| format!("{} is not a saved plan", file.display()))
}

/// The world must be as it was when the plan was saved: what would be done now is what was shown.
fn check_same(saved: &Plan, now: &Plan, file: &Path) -> Result<()> {
    let file = file.display();
    if saved.target != now.target {
        let differs = |key: &&String| saved.target.get(*key) != now.target.get(*key);
        let keys: Vec<_> = now.target.keys().filter(differs).cloned().collect();
        let of = |plan: &Plan| {
            let value = |key: &String| plan.target.get(key).cloned().unwrap_or_default();
            keys.iter().map(|key| format!("{key} {}", value(key))).collect::<Vec<_>>().join(", ")
        };
        bail!("{file} was made for {}, and this is {}", of(saved), of(now));
    }
    if saved.steps != now.steps {
        let titles = saved.disagreements(now).join(", ");
        bail!(
            "{file} is out of date: since it was saved, something else is to be done with {titles}"
        );
    }
    Ok(())
}

/// What a walk that didn't finish has left: done, failed, skipped, each named once.
pub fn tell(report: &Report, common: &Common, verb: &str) -> Exit {
    for (_, error) in &report.failed {
        explain::print(error, common);
    }
    for (step, cause) in &report.skipped {
        say(format!("  {} {}  skipped: it needs {cause}", paint(CHANGED, "-"), step.title()));
    }
    for step in &report.stopped {
        say(format!("  {} {}  not begun", paint(CHANGED, "-"), step.title()));
    }
    let Report { done, failed, skipped, stopped } = report;
    say(paint(
        BAD,
        format!(
            "{} done, {} failed, {} skipped, {} not begun; what is done stays, run {verb} again to \
             finish",
            done.len(),
            failed.len(),
            skipped.len(),
            stopped.len()
        ),
    ));
    if !stopped.is_empty() && failed.is_empty() { Exit::Interrupted } else { Exit::PartlyDone }
}
