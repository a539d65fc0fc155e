//! `deployer rollback`: an earlier release serves again.

use super::explain::{self, Preflight};
use super::outputs::Outputs;
use super::rights::Check;
use super::run::{
    carry_out, connect, look_and_read, mind_interrupts, take_lease, target, tell, with_lease,
};
use super::screen::{CHANGED, GOOD, agrees, paint, say, time};
use super::watch::{self, Watch};
use super::widen::Leave;
use super::{Common, Exit, Patience, deploy, releases, show_plan};
use crate::constructs::earlier;
use crate::contract::reserved_now;
use crate::engine::{Plan, Silent, Stop, Survey};
use crate::ids::ApiId;
use crate::lease;
use crate::resources::history::{self, Record, State};
use crate::resources::{Entry, Proof, Restorable, Unrestorable, api_id, is_ours_or_absent};
use crate::rights::Mode;
use crate::run::Run;
use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Instant;

pub const EXAMPLES: &str = "\
Code, configuration and routes are those of the earlier release, by one flip: its versions and the
deployment of its routes have been kept. They are called before anything moves, as in a deploy, and
watched afterwards. Without --to it is the release that served before; rolling back again goes
further back. The next deploy goes forward again.

Examples:
  deployer rollback                       to the release before
  deployer releases                       which there are
  deployer --stage prod rollback --to 7 --yes";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the release, as `releases` lists it
    #[arg(long, value_name = "RELEASE")]
    to: Option<u64>,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    leave: Leave,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    check: Check,
}

/// What is there, and where to go.
struct Found {
    api: ApiId,
    to: Record,
    /// Why it isn't a newer release, where something of that was deleted.
    passed_over: Vec<String>,
    survey: Survey<'static, Run>,
    plan: Plan,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let mut started = Instant::now();
    let aws = connect(common).await?;
    let find = async || find(common, &aws, args.to).await.context(Preflight);
    let read = look_and_read(common, &aws, find, |_| false);
    let ((seen, found), rights) = args.check.beside(common, &aws, Mode::Deploy, read).await?;
    let Found { to, plan, .. } = &found;
    let summary = show_plan::summary(plan);
    if plan.is_empty() {
        say(format!("nothing to do: release {} serves", to.number));
        deploy::finish(common, &Outputs::new(&aws, found.api.as_str(), &to.release()));
        return Ok(Exit::Done);
    }
    let Record { number, version, git_sha, .. } = to;
    if !common.quiet {
        say(show_plan::show(plan, common.verbose > 0));
        found.passed_over.iter().for_each(|text| say(paint(CHANGED, text)));
        let when = releases::utc(to.time);
        say(format!("back to release {number}: {version} {git_sha}, of {when}; {summary}"));
    }
    rights.check(common, &aws, plan).await.context(Preflight)?;
    let asked = Instant::now();
    if !args.leave.to(plan, aws.stop()).await? {
        return Ok(Exit::Preflight);
    }
    started += asked.elapsed();
    if !common.yes {
        let asked = Instant::now();
        let question = format!("Roll stage {} back to release {number}?", common.stage);
        let agreed = agrees(question, aws.stop()).await?;
        started += asked.elapsed();
        if !agreed {
            say("nothing was changed");
            return Ok(Exit::Preflight);
        }
    }
    mind_interrupts(aws.stop());
    let (doing, patience) = ("rollback", args.patience.time());
    let intent = lease::Intent { doing, git_sha: &to.git_sha, makes_bucket: false, patience };
    let undisturbed = take_lease(common, &aws, seen, &intent).await?;
    with_lease(common, &aws, go(common, &aws, args, found, (undisturbed, started))).await
}

/// With the lease in hand.
async fn go(
    common: &Common,
    aws: &Run,
    args: &Args,
    agreed: Found,
    (undisturbed, started): (bool, Instant),
) -> Result<Exit> {
    let found = match undisturbed {
        true => agreed,
        false => {
            let again = find(common, aws, args.to).await?;
            if again.plan != agreed.plan {
                say("what serves has changed since you were asked; look again, and run again");
                return Ok(Exit::Preflight);
            }
            again
        }
    };
    let Found { api, to, survey, plan, .. } = &found;
    let report = carry_out(common, aws, survey, plan).await;
    if !report.complete() {
        let exit = tell(&report, common, "rollback");
        return watch::clean_up(common, aws, api, (&report, args.watch), exit).await;
    }
    if !common.quiet {
        let text = format!("release {} serves again, after {}", to.number, time(started.elapsed()));
        say(paint(GOOD, text));
    }
    let exit = watch::keep_or_return(common, aws, api, args.watch).await?;
    if exit == Exit::Done {
        deploy::finish(common, &Outputs::new(aws, api.as_str(), &to.release()));
    }
    Ok(exit)
}

/// Reads what serves, and plans to have the earlier release serve.
async fn find(common: &Common, aws: &Run, number: Option<u64>) -> Result<Found> {
    let (records, api) = tokio::try_join!(history::read(aws), api_id(aws))?;
    if api.is_none() && records.is_empty() {
        bail!(explain::NotDeployed(common.stage.clone()));
    }
    let good: Vec<&Record> = records.iter().filter(|record| record.state.is_good()).collect();
    let restorable = Restorable::read(aws, api.as_ref(), &good).await?;
    let (to, unrestorable) = choose_restorable(&records, &restorable, number)?;
    let passed_over = passed_over(&records, &to, number, unrestorable);
    let Some(api) = api else { bail!(explain::NotDeployed(common.stage.clone())) };
    let check = async |function: &String| match is_ours_or_absent(aws, function).await? {
        true => Ok(()),
        false => bail!("function {} is not ours any more", aws.env.function(function)),
    };
    try_join_all(to.functions.keys().map(check)).await?;
    let (release, again) = (to.release(), Some(to.origin()));
    let endpoints = reserved_now(to.endpoints.clone(), common.app.endpoints);
    let proof = Proof { endpoints, release: release.clone() };
    let entry = Entry::Release { proof, again };
    let graph = earlier(&aws.env, &api, &to, entry);
    // Without kinds: what isn't declared in here is none of a rollback's business.
    let survey = graph.survey(aws, &[], &Stop::default(), Arc::new(Silent)).await?;
    let plan = survey.plan(target(&aws.env, &release));
    Ok(Found { api, to, passed_over, survey, plan })
}

/// What is said of the releases between the live one and the one to go back to, if that wasn't asked for by number.
fn passed_over(
    records: &[Record],
    to: &Record,
    number: Option<u64>,
    unrestorable: Option<Unrestorable>,
) -> Vec<String> {
    let mut gaps = history::gaps(records);
    gaps.retain(|gap| number.is_none() && *gap > to.number);
    let gaps = gaps.into_iter().map(|gap| format!("release {gap} is {}", releases::GAP));
    gaps.chain(unrestorable.map(|unrestorable| unrestorable.to_string())).collect()
}

/// The release to go back to; and, without a number, the one that it is in place of.
fn choose_restorable(
    records: &[Record],
    Restorable { lost, serving }: &Restorable,
    number: Option<u64>,
) -> Result<(Record, Option<Unrestorable>)> {
    let current = history::current(records);
    let newer = serving.as_ref().is_some_and(|serving| serving.is_newer_than(records));
    let wanted = match current.filter(|current| newer && current.state.is_good()) {
        Some(current) if number.is_none() => current,
        _ => choose(records, number)?,
    };
    let Some(reason) = lost.get(&wanted.number) else { return Ok((wanted.clone(), None)) };
    let mut restorable = records.to_vec();
    restorable.retain(|record| {
        !lost.contains_key(&record.number) || current.is_some_and(|c| c.number == record.number)
    });
    let is_other = |record: &&Record| {
        record.state.is_good() && current.is_none_or(|live| live.origin() != record.origin())
    };
    let others = restorable.iter().filter(is_other).map(|record| record.number).collect();
    let unrestorable = Unrestorable { release: wanted.number, lost: reason.clone(), others };
    match choose(&restorable, None) {
        Ok(to) if number.is_none() => Ok((to.clone(), Some(unrestorable))),
        _ => bail!(unrestorable),
    }
}

fn nothing_before(records: &[Record], current: &Record) -> String {
    let again = current.again.map_or(String::new(), |origin| format!(", which is {origin} again,"));
    let other = |record: &&Record| record.state.is_good() && !record.is_like(current);
    let others: Vec<_> = records.iter().filter(other).map(|r| r.number.to_string()).collect();
    let next = match others.is_empty() {
        true => "check out the commit that is to serve, and deploy it".to_owned(),
        false => format!("rollback --to takes one that came later: {}", others.join(", ")),
    };
    format!(
        "release {}{again} serves, and no good one from before it is kept\n  next: {next}",
        current.number
    )
}

fn choose(records: &[Record], number: Option<u64>) -> Result<&Record> {
    let Some(current) = history::current(records) else {
        bail!(
            "no release is on record, so there is none to go back to: {}\n  \
             next: check out the commit that is to serve, and deploy it",
            history::LOST
        );
    };
    let Some(number) = number else {
        // What was broken off is finished by running it again.
        let begun = match current.state {
            State::Unfinished | State::Passed => {
                current.again.and_then(|origin| history::of_origin(records, origin))
            }
            State::Returning => history::served_before(records, current),
            State::Live | State::Failed => None,
        };
        let to = begun.or_else(|| history::before(records, current));
        return to.with_context(|| nothing_before(records, current));
    };
    match records.iter().find(|record| record.number == number) {
        Some(record) if record.state.is_good() => Ok(record),
        Some(Record { state: State::Failed, why, .. }) => {
            let why = why.as_deref().map(releases::shown).unwrap_or_default();
            bail!("release {number} was withdrawn ({why}); nobody goes back to that")
        }
        Some(_) => bail!("release {number} is not finished; nobody knows whether it is good"),
        None => {
            let good = records.iter().filter(|record| record.state.is_good());
            let good: Vec<_> = good.map(|record| record.number.to_string()).collect();
            bail!("there is no release {number}; kept are {}", good.join(", "))
        }
    }
}
