//! `deployer deploy`: the plan, a question, and then the deed.

use super::explain::Preflight;
use super::outputs::Outputs;
use super::rights::{Check, Rights};
use super::run::{
    Surveyed, carry_out, connect, load_release, look_and_read, mind_interrupts, survey, take_lease,
    tell, with_lease,
};
use super::screen::{BOLD, DIM, GOOD, agrees, count, paint, result, say, time};
use super::values::duration;
use super::watch::{self, Watch};
use super::widen::Leave;
use super::{Common, Exit, Patience, foreign, plan, show_plan};
use crate::engine::{Action, Plan, Report};
use crate::lease;
use crate::release::Release;
use crate::resources::{
    Canary, LISTED, check_reservations, gone_stages, history, listed_ids, needed, upload_ahead,
};
use crate::retry::until;
use crate::rights::Mode;
use crate::run::Run;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub const EXAMPLES: &str = "\
Examples:
  deployer deploy                       show the plan, ask, apply
  deployer deploy --local --yes         to the local cloud, without asking
  deployer deploy dev.plan.json         exactly the plan that was saved, or nothing at all
  deployer --stage prod deploy --yes    another stage, in CI
  deployer deploy --canary 10% --bake 5m
                                        a tenth of all calls first, the rest if all went well

A deploy that changes what serves is a release. Its versions are called before anything moves; then
all of it moves at once, is called through the front door, and if it isn't good the release before
is put back (exit code 5).";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plan saved by `plan --out`
    #[arg(value_name = "FILE")]
    plan: Option<PathBuf>,
    /// First give the new versions this share of all calls, and watch them
    #[arg(long, value_name = "PERCENT", value_parser = share, requires = "bake")]
    canary: Option<f64>,
    /// For how long; CloudWatch tells of errors a minute or two later
    #[arg(long, value_name = "TIME", value_parser = duration(1), requires = "canary")]
    bake: Option<Duration>,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    leave: Leave,
    #[command(flatten)]
    removal: foreign::Removal,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    check: Check,
}

/// `10%` or `10`.
fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.trim_end_matches('%').parse().map_err(|_| "write 10%".to_owned())?;
    match number > 0.0 && number < 100.0 {
        true => Ok(number / 100.0),
        false => Err("a share is more than 0% and less than 100%".to_owned()),
    }
}

/// A deploy under way.
struct Deploy<'a> {
    common: &'a Common,
    aws: &'a Run,
    release: &'a Release,
    watch: Watch,
    leave: Leave,
    rights: Rights<'a>,
    /// Whether this run has changed something already.
    changed: bool,
    saved: Option<(Plan, &'a Path)>,
    /// Without the time that a person has taken to think.
    started: Instant,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let started = Instant::now();
    let canary = args.canary.zip(args.bake).map(|(share, bake)| Canary { share, bake });
    let release = load_release(common)?;
    let saved = args.plan.as_deref().map(load).transpose().context(Preflight)?;
    let saved = saved.zip(args.plan.as_deref());
    let mut aws = connect(common).await?;
    aws.canary = canary;
    aws.remove_foreign = args.removal.asked(saved.as_ref().map(|(plan, _)| plan));
    let Args { watch, leave, .. } = *args;
    let (release, changed) = (&release, false);
    let nothing = |surveyed: &Surveyed| surveyed.plan.is_all(Action::Create);
    let read = look_and_read(common, &aws, || survey(common, &aws, release), nothing);
    let ((seen, surveyed), rights) = args.check.beside(common, &aws, Mode::Deploy, read).await?;
    let mut deploy =
        Deploy { common, aws: &aws, release, watch, leave, rights, changed, saved, started };
    if let Some(ended) = deploy.agree(&surveyed).await? {
        return Ok(ended);
    }
    mind_interrupts(aws.stop());
    let intent = lease::Intent {
        doing: "deploy",
        git_sha: &release.git_sha,
        makes_bucket: true,
        patience: args.patience.time(),
    };
    let ahead = async {
        // What was saved in a plan is done under the lease or not at all.
        if args.plan.is_none() {
            upload_ahead(&aws, release, &surveyed.plan).await;
        }
        Ok(())
    };
    let (undisturbed, ()) = tokio::try_join!(take_lease(common, &aws, seen, &intent), ahead)?;
    with_lease(common, &aws, deploy.carry_out(undisturbed, surveyed)).await
}

impl Deploy<'_> {
    /// Shows what will be done, and asks. Says how the run ends if there is nothing to do, or nothing
    /// may be done.
    async fn agree(&mut self, surveyed: &Surveyed) -> Result<Option<Exit>> {
        let (common, plan) = (self.common, &surveyed.plan);
        if let Some((saved, file)) = &self.saved {
            let same = check_same(saved, plan, file);
            if self.changed { same? } else { same.context(Preflight)? }
        }
        let summary = show_plan::summary(plan);
        if plan.is_empty() {
            if !common.quiet {
                say(summary);
                foreign::lines(self.aws).into_iter().for_each(say);
            }
            self.finish(surveyed);
            return Ok(Some(Exit::Done));
        }
        if !common.quiet {
            say(show_plan::show(plan, common.verbose > 0));
            plan::warnings(self.aws, plan).into_iter().for_each(say);
            show_plan::time(self.aws, plan).into_iter().for_each(say);
            foreign::lines(self.aws).into_iter().for_each(say);
        }
        let possible = async {
            check_reservations(self.aws, plan).await?;
            self.rights.check(common, self.aws, plan).await
        }
        .await;
        if self.changed {
            possible?
        } else {
            possible.context(Preflight)?
        }
        let asked = Instant::now();
        if !self.leave.to(plan, self.aws.stop()).await? {
            return Ok(Some(Exit::Preflight));
        }
        if common.yes {
            self.started += asked.elapsed();
            if !common.quiet {
                say(summary);
            }
            return Ok(None);
        }
        let question = format!("{summary}. Deploy to stage {}?", common.stage);
        // It may be asked again under the lease, when Ctrl-C ends nothing by itself.
        let agreed = agrees(question, self.aws.stop()).await?;
        self.started += asked.elapsed();
        let (said, exit) = match (agreed, self.changed) {
            (true, _) => return Ok(None),
            (false, true) => ("nothing more was changed", Exit::PartlyDone),
            (false, false) => ("nothing was changed", Exit::Preflight),
        };
        say(said);
        Ok(Some(exit))
    }

    /// With the lease in hand. What was agreed to is done only if it is still what must be done.
    async fn carry_out(&mut self, undisturbed: bool, agreed: Surveyed) -> Result<Exit> {
        let (common, aws) = (self.common, self.aws);
        if !undisturbed {
            history::read(aws).await?;
        }
        let returned = match agreed.api.output() {
            Some(api) => watch::end_return(common, aws, &api).await?,
            None => false,
        };
        self.changed |= returned;
        let surveyed = match undisturbed && !returned {
            true => agreed,
            false => {
                let again = survey(common, aws, self.release).await?;
                if again.plan != agreed.plan
                    && let Some(ended) = self.agree(&again).await?
                {
                    return Ok(ended);
                }
                again
            }
        };
        let report = carry_out(common, aws, &surveyed.survey, &surveyed.plan).await;
        let api = surveyed.api.output();
        if !report.complete() {
            let _ = listed(common, aws, &report).await; // what failed is told already
            let exit = tell(&report, common, "deploy");
            let Some(api) = api else { return Ok(exit) };
            return watch::clean_up(common, aws, &api, (&report, self.watch), exit).await;
        }
        if !common.quiet {
            let done = count(report.done.len(), "resource");
            say(paint(GOOD, format!("deployed: {done} in {}", time(self.started.elapsed()))));
            gone_stages(aws).into_iter().for_each(say);
        }
        let kept = async {
            match api {
                Some(api) => watch::keep_or_return(common, aws, &api, self.watch).await,
                None => Ok(Exit::Done),
            }
        };
        let (listed, exit) = tokio::join!(listed(common, aws, &report), kept);
        match listed {
            Err(_) if aws.stop().asked() => {} // all is done, and somebody is in a hurry
            result => result?,
        }
        let exit = exit?;
        if exit != Exit::Done {
            return Ok(exit);
        }
        let exit = self.delete_freed(&surveyed).await?;
        self.finish(&surveyed);
        Ok(exit)
    }

    /// Deletes what was only kept for a release that is kept no longer.
    async fn delete_freed(&self, surveyed: &Surveyed) -> Result<Exit> {
        let (common, aws) = (self.common, self.aws);
        if surveyed
            .spared
            .iter()
            .all(|(kind, owned)| needed(aws, common.app.releases_kept, kind, owned))
        {
            return Ok(Exit::Done);
        }
        history::write_last(aws).await?; // it says what is needed
        let again = survey(common, aws, self.release).await?;
        let report = carry_out(common, aws, &again.survey, &again.plan).await;
        Ok(if report.complete() { Exit::Done } else { tell(&report, common, "deploy") })
    }

    fn finish(&self, surveyed: &Surveyed) {
        let api = surveyed.api.output().map(|api| api.0).unwrap_or_default();
        finish(self.common, &Outputs::new(self.aws, &api, self.release));
    }
}

/// Waits until AWS's lists tell of what was made, and no more of what was deleted: the next run must
/// find it, or would make it again.
pub async fn listed(common: &Common, aws: &Run, report: &Report) -> Result<()> {
    const NOTICED: Duration = Duration::from_secs(60);
    let deleted = report.done.iter().filter(|step| step.action == Action::Delete);
    let deleted = deleted.filter(|step| LISTED.contains(&step.kind.as_str()));
    let deleted: BTreeSet<String> = deleted.filter_map(|step| step.id.clone()).collect();
    let made = aws.lists.made().clone();
    if made.is_empty() && deleted.is_empty() {
        if report.complete() {
            aws.unlisted.store(0, Ordering::Relaxed);
        }
        return Ok(());
    }
    let tell = Once::new();
    until("AWS to list what was made", NOTICED, async || {
        let ids = listed_ids(aws).await?;
        let told = made.is_subset(&ids) && deleted.is_disjoint(&ids);
        if !told && !common.quiet {
            tell.call_once(|| say(paint(DIM, "waiting for AWS to list what was made")));
        }
        Ok(told.then_some(()))
    })
    .await?;
    aws.unlisted.store(0, Ordering::Relaxed);
    Ok(())
}

pub fn finish(common: &Common, outputs: &Outputs) {
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
