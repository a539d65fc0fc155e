//! After a release has moved in: it is watched through the front door, and stays, or the one before it is
//! put back.

use super::progress::Spinner;
use super::releases::shown;
use super::run::{carry_out, stopped};
use super::screen::{BAD, CHANGED, DIM, GOOD, count, paint, say, time};
use super::values::{TIMEOUT, number};
use super::{Common, Exit, explain, smoke_test};
use crate::constructs::earlier;
use crate::contract::reserved_now;
use crate::engine::{Report, Silent, Stop, Stopped};
use crate::ids::ApiId;
use crate::resources::history::{self, Record, State};
use crate::resources::{Entry, Needless, deployments, lost_versions};
use crate::run::Run;
use crate::smoke::Verdict;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How closely a release is watched once it serves.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Watch {
    /// Keep the release without calling it through the front door
    #[arg(long)]
    no_smoke: bool,
    /// How many seconds AWS may take until the new release answers everywhere
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    #[arg(value_parser = number("seconds", TIMEOUT))]
    smoke_timeout: u64,
}

/// Ends what a walk has begun: the release that is unfinished is seen to serve well, or gone back from.
/// With nothing unfinished there is nothing to do.
pub async fn keep_or_return(common: &Common, aws: &Run, api: &ApiId, watch: Watch) -> Result<Exit> {
    let records = history::known(aws);
    let Some(record) = history::current(&records) else { return Ok(Exit::Done) };
    match see(common, aws, api, record, watch).await {
        Err(_) if aws.stop().asked() => Ok(stopped(common, aws)),
        result => result,
    }
}

async fn see(
    common: &Common,
    aws: &Run,
    api: &ApiId,
    record: &Record,
    watch: Watch,
) -> Result<Exit> {
    // What will be needless if it is good is looked for meanwhile.
    let (good, needless) =
        tokio::join!(is_good(common, aws, api, record, watch), needless(common, aws, api, record));
    match good? {
        true => keep(common, aws, record.clone(), needless?).await,
        false => Ok(Exit::SmokeTestFailed),
    }
}

/// Calls the release through the front door, unless that was done or isn't wanted; and goes back if it
/// isn't good.
async fn is_good(
    common: &Common,
    aws: &Run,
    api: &ApiId,
    record: &Record,
    watch: Watch,
) -> Result<bool> {
    if watch.no_smoke || record.state != State::Unfinished {
        return Ok(true);
    }
    let began = Instant::now();
    let verdicts = smoke(common, aws, api, record, watch).await?;
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.failed()).collect();
    if let Some(first) = failed.first() {
        failed.iter().for_each(|verdict| smoke_test::tell(verdict, &aws.url(api.as_str()), aws));
        let wrong = first.failure.as_deref().unwrap_or("failed");
        let why = format!("smoke test: {}: {wrong}", first.check.name);
        go_back(common, aws, api, &why).await?;
        return Ok(false);
    }
    // A used-up quota says nothing about the release, which is kept.
    smoke_test::tell_unjudged(&verdicts, "warning:", CHANGED);
    if !common.quiet {
        let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
        let (all, took) = (verdicts.len(), time(began.elapsed()));
        say(paint(DIM, format!("smoke test: {passed} of {all} passed in {took}")));
    }
    Ok(true)
}

async fn smoke(
    common: &Common,
    aws: &Run,
    api: &ApiId,
    record: &Record,
    watch: Watch,
) -> Result<Vec<Verdict>> {
    let _spinner = Spinner::new("calling every endpoint through the front door", common.quiet);
    let (release, timeout) = (record.release(), watch.smoke_timeout);
    let endpoints = reserved_now(record.endpoints.clone(), common.app.endpoints);
    let calls = (&endpoints[..], &release);
    tokio::select! {
        biased;
        () = aws.stop().wait() => bail!(Stopped),
        verdicts = smoke_test::call_all(common, aws, api.as_str(), calls, timeout) => verdicts,
    }
}

fn good(record: &Record) -> Record {
    Record { state: State::Passed, why: None, ..record.clone() }
}

/// What no kept release needs once this one is good.
async fn needless(common: &Common, aws: &Run, api: &ApiId, record: &Record) -> Result<Needless> {
    if record.state == State::Live {
        return Ok(Needless::default());
    }
    let mut records = history::known(aws);
    let this = records.iter_mut().filter(|other| other.number == record.number);
    this.for_each(|other| *other = good(record));
    Needless::find(aws, api.as_str(), &history::kept(&records, common.app.releases_kept)).await
}

/// It stays. What no kept release needs is deleted.
async fn keep(common: &Common, aws: &Run, record: Record, needless: Needless) -> Result<Exit> {
    let number = record.number;
    if record.state == State::Live {
        return Ok(Exit::Done);
    }
    close_overtaken(aws, number).await?;
    let good = good(&record);
    if !needless.is_empty() {
        if record.state == State::Unfinished {
            history::put(aws, &good).await?;
        }
        if let Err(error) = needless.delete(aws).await {
            if aws.stop().asked() {
                bail!(Stopped);
            }
            explain::print(&error.context("deleting what no kept release needs"), common);
            say(format!("release {number} serves; run {} again to finish", common.verb));
            return Ok(Exit::PartlyDone);
        }
    }
    history::put_at_the_end(aws, Record { state: State::Live, ..good });
    if !common.quiet {
        say(paint(GOOD, format!("release {number} is live")));
    }
    Ok(Exit::Done)
}

/// Releases that were overtaken before anybody knew whether they are good are none to go back to.
async fn close_overtaken(aws: &Run, number: u64) -> Result<()> {
    for stale in history::known(aws) {
        let open = !stale.state.is_good() && stale.state != State::Failed;
        if open && stale.number < number {
            let overtaken = format!("interrupted; release {number} took its place");
            let why = Some(stale.why.clone().unwrap_or(overtaken));
            history::put(aws, &Record { state: State::Failed, why, ..stale }).await?;
        }
    }
    Ok(())
}

/// After a walk that didn't finish: what it has moved in is watched all the same; and where it failed
/// while it moved that in, it goes back at once. Says how the run ends.
pub async fn clean_up(
    common: &Common,
    aws: &Run,
    api: &ApiId,
    (report, watch): (&Report, Watch),
    exit: Exit,
) -> Result<Exit> {
    if aws.stop().asked() || !aws.begun.load(Ordering::Relaxed) {
        return Ok(exit);
    }
    let records = history::known(aws);
    let Some(record) = history::current(&records).filter(|record| !record.state.is_good()) else {
        return Ok(exit);
    };
    if let Some((_, error)) = report.failed.iter().find(|(step, _)| step.kind == "stage") {
        let why = error.root_cause().to_string();
        let why: Vec<&str> = why.lines().map(str::trim).take(3).collect();
        go_back(common, aws, api, &why.join("; ")).await?;
        return Ok(exit);
    }
    // Without one before it the key isn't bound yet, and nobody is served.
    if history::served_before(&records, record).is_none() {
        return Ok(exit);
    }
    let good = is_good(common, aws, api, record, watch).await?;
    Ok(if good { exit } else { Exit::SmokeTestFailed })
}

/// Puts back what served before the unfinished release: its versions, its routes, and what SSM tells of
/// it. Where nothing was there before, nothing can be put back.
pub async fn go_back(common: &Common, aws: &Run, api: &ApiId, why: &str) -> Result<()> {
    let records = history::known(aws);
    let Some(bad) = history::current(&records) else { return Ok(()) };
    let why = Some(why.chars().take(300).collect());
    let Some(before) = history::served_before(&records, bad) else {
        history::put(aws, &Record { why, ..bad.clone() }).await?;
        say(format!("release {} serves on: there is none before it to go back to", bad.number));
        return Ok(());
    };
    // A failed check must not keep the bad release serving.
    let lost = match lost_versions(aws, &[before]).await {
        Err(error) if !aws.stop().asked() => {
            let what = format!("checking whether release {} can serve again", before.number);
            say(format!("{} {:#}", paint(CHANGED, "warning:"), error.context(what)));
            BTreeMap::new()
        }
        result => result?,
    };
    if let Some(lost) = lost.get(&before.number) {
        history::put(aws, &Record { why, ..bad.clone() }).await?;
        let (on, before) = (bad.number, before.number);
        say(format!("release {on} serves on: release {before} can't serve again: {lost}"));
        return Ok(());
    }
    let began = Instant::now();
    let bad = Record { state: State::Returning, why, ..bad.clone() };
    history::put(aws, &bad).await?;
    let graph = earlier(&aws.env, api, before, Entry::Return);
    let survey = graph.survey(aws, &[], &Stop::default(), Arc::new(Silent)).await?;
    let report = carry_out(common, aws, &survey, &survey.plan(BTreeMap::new())).await;
    let Report { failed, skipped, stopped, .. } = &report;
    if !report.complete() {
        failed.iter().for_each(|(_, error)| explain::print(error, common));
        let left = count(failed.len() + skipped.len() + stopped.len(), "step");
        let other = common.command("rollback --to NUMBER");
        bail!(Unreturned { number: before.number, left, verb: common.verb, other });
    }
    history::put(aws, &Record { state: State::Failed, ..bad.clone() }).await?;
    close_overtaken(aws, bad.number).await?;
    let (withdrawn, served) = (bad.number, before.number);
    let text =
        format!("release {withdrawn} was withdrawn; release {served} serves again, as before");
    say(format!("{}, in {}", paint(CHANGED, text), time(began.elapsed())));
    deployments::discard(aws, api.as_str(), &bad.deployment)
        .await
        .context("deleting the deployment of the release that was withdrawn")
}

/// The release before couldn't be put back, or not all of it.
#[derive(Debug)]
pub struct Unreturned {
    number: u64,
    left: String,
    verb: &'static str,
    other: String,
}

impl std::fmt::Display for Unreturned {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { number, left, verb, other } = self;
        write!(
            f,
            "release {number} is not back yet: {left} left; run {verb} again, which ends it; "
        )?;
        write!(f, "or, if it can't, because something of that release is gone, {other}")
    }
}

impl std::error::Error for Unreturned {}

/// Ends a return that an earlier run was kept from ending. True when there was one.
pub async fn end_return(common: &Common, aws: &Run, api: &ApiId) -> Result<bool> {
    let records = history::known(aws);
    let returning = history::current(&records).filter(|r| r.state == State::Returning);
    let Some(Record { number, why, .. }) = returning else { return Ok(false) };
    let why = shown(why.as_deref().unwrap_or_default());
    say(paint(
        BAD,
        format!("release {number} was being withdrawn when the last run ended ({why})"),
    ));
    go_back(common, aws, api, &why).await.context("ending what the last run began")?;
    Ok(true)
}
