//! What the verbs share: connecting, reading, and minding Ctrl-C.

use super::explain::{Incomplete, LostLease, NotDeployed, Preflight};
use super::progress::{Progress, Spinner};
use super::screen::{BAD, CHANGED, DIM, is_overheard, paint, say, time};
use super::{Common, Exit, explain};
use crate::aws::{Access, Aws, Failure, Local};
use crate::constructs::{self, Stack, stack};
use crate::contract::check_shared_functions;
use crate::engine::{
    Event, Observer, Owned, Plan, Report, Silent, Stop, Stopped, Survey, survey_owned,
};
use crate::env::Env;
use crate::http::WrongClock;
use crate::ids::ApiId;
use crate::lease;
use crate::release::Release;
use crate::resources::history::{self, State};
use crate::resources::{Disproved, Withdrawn, api_id, fact, kinds, needed, served_code};
use crate::run::Run;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant; // stands still and jumps in tests

static KINDS: LazyLock<Vec<crate::engine::Kind<Run>>> = LazyLock::new(kinds);

/// The way to AWS that the arguments ask for.
pub fn access(common: &Common) -> Access {
    Access {
        region: common.region.clone(),
        profile: common.profile.clone(),
        local: common.access.local.clone().or_else(|| common.local.then(Local::default)),
        trace: (common.verbose >= 2).then_some(trace),
        ..common.access.clone()
    }
}

/// Connects, and says where to: the first line of every run.
pub async fn connect(common: &Common) -> Result<Run> {
    let access = access(common);
    let connecting = Aws::connect(&access, &common.app, &common.stage);
    let aws = Run::new(connecting.await.context(Preflight)?);
    aws.env.check(common.app.functions()).context(Preflight)?;
    if aws.clock.behind().abs() > 60 {
        let wrong = WrongClock { behind: aws.clock.behind() };
        say(paint(CHANGED, format!("warning: {wrong}; from 5 min on AWS refuses everything")));
    }
    if !common.quiet {
        let Env { app, stage, region, account, .. } = &aws.env;
        let place = aws.elsewhere.as_ref().map(|endpoint| format!(" · {endpoint}, not AWS"));
        let place = place.unwrap_or_default();
        say(paint(DIM, format!("{app} · stage {stage} · account {account} · {region}{place}")));
    }
    Ok(aws)
}

fn trace(op: &str, took: Duration, failure: Option<&Failure>) {
    let answer = failure.map(|f| format!("  {}", f.code.as_deref().unwrap_or(&f.message)));
    say(paint(DIM, format!("  {:>7}  {op}{}", time(took), answer.unwrap_or_default())));
}

/// The packages that the stack needs, if the stack is one that AWS takes.
pub fn load_release(common: &Common) -> Result<Release> {
    check_shared_functions(common.app.endpoints).context(Preflight)?;
    constructs::check_limits(common.app.endpoints).context(Preflight)?;
    Release::load(&common.packages, common.app.functions()).context(Preflight)
}

/// What the plan is for, as it is kept in the plan.
pub fn target(env: &Env, release: &Release) -> BTreeMap<String, String> {
    let pairs = [
        ("app", &env.app),
        ("stage", &env.stage),
        ("account", &env.account),
        ("region", &env.region),
        ("version", &release.version),
        ("git_sha", &release.git_sha),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect()
}

/// The stack, read: what is there, and what must be done.
pub struct Surveyed {
    pub survey: Survey<'static, Run>,
    pub plan: Plan,
    pub api: crate::engine::Handle<crate::ids::ApiId>,
    /// What isn't declared any more and stays all the same, with its kind: for a release that is kept,
    /// or for the callers of a key that was rotated.
    pub spared: Vec<(&'static str, Owned)>,
}

/// Reads everything that the stack declares, and everything that is left over.
pub async fn survey(common: &Common, aws: &Run, release: &Release) -> Result<Surveyed> {
    let spinner = Spinner::new("reading what is live", common.quiet);
    let Stack { graph, api } = stack(&aws.env, release, &common.app);
    let stop = Stop::default();
    let survey = graph.survey(aws, &KINDS, &stop, Arc::new(Silent));
    let mut survey = aws.lists.once(survey).await.context(Preflight)?;
    drop(spinner);
    let spared = survey.spare(|kind, owned| needed(aws, common.app.releases_kept, kind, owned));
    let plan = survey.plan(target(&aws.env, release));
    Ok(Surveyed { survey, plan, api, spared })
}

/// Lists everything that bears the stage's tags.
pub async fn survey_for_destroy(
    common: &Common,
    aws: &Run,
) -> Result<(Survey<'static, Run>, Plan)> {
    let spinner = Spinner::new("looking for everything of this stage", common.quiet);
    let survey = survey_owned(aws, &KINDS, &Stop::default(), Arc::new(Silent)).await;
    drop(spinner);
    let survey = survey?;
    let plan = survey.plan(target(&aws.env, &Release::default()));
    Ok((survey, plan))
}

/// A stage as it is deployed.
pub struct Deployed {
    pub api: String,
    pub release: Release,
    /// Seconds since 1970.
    pub since: i64,
}

/// What of a stage's first deploy exists.
pub struct Partly {
    pub api: Option<ApiId>,
    /// Without version and commit where these are unknown.
    pub release: Release,
    /// When version and commit became known: the first deploy came to its end.
    pub since: Option<i64>,
}

impl Partly {
    /// The stage, if its first deploy came to its end and its API exists.
    pub fn deployed(&self) -> Option<Deployed> {
        let (api, since) = self.api.clone().zip(self.since)?;
        Some(Deployed { api: api.0, release: self.release.clone(), since })
    }

    /// Why it isn't.
    pub fn why(&self, common: &Common) -> anyhow::Error {
        let stage = common.stage.clone();
        match (&self.api, self.since) {
            (None, None) => NotDeployed(stage).into(),
            (api, _) => Incomplete { stage, api_deleted: api.is_none() }.into(),
        }
    }
}

/// What is deployed, as AWS tells it.
///
/// # Errors
/// When AWS can't be asked; [`NotDeployed`] or [`Incomplete`] where nothing is, or not all.
pub async fn deployed(common: &Common, aws: &Run) -> Result<Deployed> {
    let found = partly_deployed(common, aws).await?;
    found.deployed().ok_or_else(|| found.why(common))
}

/// What is deployed, or the part of it that exists.
pub async fn partly_deployed(common: &Common, aws: &Run) -> Result<Partly> {
    let (version, git_sha) = (aws.env.parameter("version"), aws.env.parameter("git-sha"));
    let code = |function: &'static str| async move {
        Ok::<_, anyhow::Error>((function, served_code(aws, &aws.env.function(function)).await?))
    };
    let (api, version, git_sha, code) = tokio::try_join!(
        api_id(aws),
        fact(aws, &version),
        fact(aws, &git_sha),
        futures_util::future::try_join_all(common.app.functions().into_iter().map(code)),
    )?;
    let facts = match version.zip(git_sha) {
        Some(((version, _), (git_sha, since))) => Some((version, git_sha, since)),
        // Parameters may have been deleted by hand.
        None if api.is_some() => live_on_record(aws).await?,
        None => None,
    };
    let since = facts.as_ref().map(|(_, _, since)| *since);
    let (version, git_sha, _) = facts.unwrap_or_default();
    let mut release = Release::stated(&version, &git_sha);
    for (function, code) in code {
        if let Some((code_sha256, arch)) = code {
            release = release.with_code(function, &code_sha256);
            release.arch = arch;
        }
    }
    Ok(Partly { api, release, since })
}

async fn live_on_record(aws: &Run) -> Result<Option<(String, String, i64)>> {
    let records = history::read(aws).await?;
    let live = history::current(&records).filter(|record| record.state.is_good());
    Ok(live.map(|record| (record.version.clone(), record.git_sha.clone(), record.time)))
}

/// Looks at the lease, before anything is read.
pub async fn look_at_lease(common: &Common, aws: &Run) -> Result<lease::Seen> {
    let seen = lease::look(aws).await.context(Preflight)?;
    wait_for_lists(common, aws, &seen).await?;
    Ok(seen)
}

/// Waits, where a run was stopped a moment ago, until AWS's lists tell of what it made. True if that was so.
async fn wait_for_lists(common: &Common, aws: &Run, seen: &lease::Seen) -> Result<bool> {
    let Some(lag) = seen.lag(aws) else { return Ok(false) };
    if !common.quiet {
        say(paint(
            DIM,
            "the last run was stopped a moment ago; waiting for AWS to list what it made",
        ));
    }
    crate::retry::pause(lag, aws.stop()).await?;
    Ok(true)
}

/// Looks at the lease and reads the stage, so that what was read is from after that look, or as good as
/// that: both at once, and once more if the stage might have changed in between. `is_empty` says whether
/// there was nothing.
pub async fn look_and_read<T, F>(
    common: &Common,
    aws: &Run,
    read: impl Fn() -> F,
    is_empty: impl Fn(&T) -> bool,
) -> Result<(lease::Seen, T)>
where
    F: Future<Output = Result<T>>,
{
    let began = Instant::now();
    let (seen, stage) = tokio::join!(lease::look(aws), read());
    let seen = seen.context(Preflight)?;
    let empty = stage.as_ref().is_ok_and(is_empty);
    let holds = seen.was_free_for(aws, began.elapsed(), empty);
    if !wait_for_lists(common, aws, &seen).await? && holds {
        return Ok((seen, stage?));
    }
    let stage = read().await?;
    let records = history::known(aws);
    let open = history::current(&records).is_some_and(|record| record.state != State::Live);
    Ok(match seen.handover(aws).filter(|_| open) {
        Some(left) => {
            crate::retry::pause(left, aws.stop()).await?;
            (seen, read().await?)
        }
        None => (seen, stage),
    })
}

/// Takes the lease on the stage; `seen` is how it was when the stage was read. Says whether what was
/// read still holds.
pub async fn take_lease(
    common: &Common,
    aws: &Run,
    seen: lease::Seen,
    intent: &lease::Intent<'_>,
) -> Result<bool> {
    let tell = |text| {
        if !common.quiet {
            say(paint(DIM, text));
        }
    };
    let taken = lease::take(aws, seen, intent, &tell).await;
    let undisturbed = taken.map_err(|error| {
        let early = error.is::<lease::Held>() || !aws.outage().has_changed();
        if early { error.context(Preflight) } else { error }
    })?;
    if !undisturbed {
        tell("another run has changed the stage since; reading it again".to_owned());
    }
    Ok(undisturbed)
}

/// Does what the plan says, and shows how it goes.
pub async fn carry_out(
    common: &Common,
    aws: &Run,
    survey: &Survey<'static, Run>,
    plan: &Plan,
) -> Report {
    let observer: Arc<dyn Observer> =
        if common.quiet { Arc::new(Silent) } else { Progress::of(plan) };
    let observer = Arc::new(StopWhenExpired { observer, stop: aws.stop().clone() });
    survey.carry_out(aws, aws.stop(), observer).await
}

/// The signal by which this run was asked to end.
static ENDED_BY: OnceLock<Exit> = OnceLock::new();

/// How a run ends that was asked to by a signal.
pub fn ended_by() -> Option<Exit> {
    ENDED_BY.get().copied()
}

/// From now on Ctrl-C, SIGTERM and SIGHUP only keep new requests from being sent; a second signal ends the process
/// at once, as the first does while nothing is being changed.
pub fn mind_interrupts(stop: &Stop) {
    if is_overheard() {
        return; // it runs inside a test, whose process is not its own
    }
    let under_nohup = ignores_hangup();
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
            _ = hangup.recv(), if !under_nohup => Exit::HungUp,
        }
    };
    let stop = stop.clone();
    tokio::spawn(async move {
        let exit = next().await;
        let _ = ENDED_BY.set(exit);
        stop.ask();
        let (why, again) = match exit {
            Exit::Terminated => (" (SIGTERM)", "a second signal ends it at once"),
            Exit::HungUp => (" (SIGHUP)", "a second signal ends it at once"),
            _ => ("", "press Ctrl-C again to end at once"),
        };
        say(format!("stopping{why}: what has been sent is finished; {again}"));
        std::process::exit(next().await as i32);
    });
}

/// Whether the caller wants this process to outlive its terminal, as `nohup` does. Only Linux tells.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1) // SIGHUP is number 1
}

/// Hears of a walk, and stops it where going on is vain: when the credentials have expired, every
/// other request would fail too.
struct StopWhenExpired {
    observer: Arc<dyn Observer>,
    stop: Stop,
}

impl Observer for StopWhenExpired {
    fn hear(&self, node: usize, event: Event) {
        if let Event::Failed(error) = &event
            && explain::failure(error).is_some_and(Failure::is_expired)
        {
            self.stop.ask();
        }
        self.observer.hear(node, event);
    }
}

/// Says that a release isn't finished.
pub fn stopped(common: &Common, aws: &Run) -> Exit {
    let number = history::current(&history::known(aws)).map_or(0, |record| record.number);
    say(format!("stopped: release {number} is not finished; run {} again to finish", common.verb));
    Exit::Interrupted
}

/// Changes the stage with the lease in hand. Should another run have taken it over meanwhile, says so.
pub async fn with_lease(
    common: &Common,
    aws: &Run,
    change: impl Future<Output = Result<Exit>>,
) -> Result<Exit> {
    let (exit, last) = lease::keep(aws, change, history::write_last(aws)).await;
    if let Some(holder) = aws.lease.get().and_then(lease::Lease::lost_to) {
        return match exit {
            Err(error) if !error.chain().any(|cause| cause.is::<Stopped>()) => Err(error),
            // `tell` has explained the outage.
            Ok(exit @ (Exit::PartlyDone | Exit::Preflight)) if aws.outage().has_begun() => Ok(exit),
            _ => Err(lost_lease(aws, holder.as_ref())),
        };
    }
    Ok(match (exit?, last) {
        (Exit::Done, Err(_)) if aws.stop().asked() => stopped(common, aws),
        (Exit::Done, Err(error)) => {
            explain::print(&error, common);
            say(format!("it serves; run {} again to finish", common.verb));
            Exit::PartlyDone
        }
        (exit, _) => exit,
    })
}

/// Why a run has stopped that could not renew its lease: another has it now, or S3 didn't answer.
fn lost_lease(aws: &Run, holder: Option<&String>) -> anyhow::Error {
    let error = match holder {
        Some(holder) => return anyhow!(LostLease(holder.clone())),
        None => aws.outage().failure("s3:PutObject", true),
    };
    anyhow::Error::new(error)
        .context("this run could not renew its lease on the stage, and stopped")
}

/// Says what a walk that didn't finish has left. The steps that were begun and not finished are named by
/// [`Progress`].
pub fn tell(report: &Report, common: &Common, verb: &str) -> Exit {
    // One outage fails everything that is under way, and is explained once.
    let mut explained = false;
    for (_, error) in &report.failed {
        let outage = explain::failure(error).is_some_and(|failure| failure.outage);
        if !(outage && explained) {
            explain::print(error, common);
        }
        explained |= outage;
    }
    for (step, cause) in &report.skipped {
        say(format!("  {} {}  skipped: it needs {cause}", paint(CHANGED, "-"), step.title()));
    }
    let Report { done, failed, skipped, stopped } = report;
    say(paint(
        BAD,
        format!(
            "{} done, {} failed, {} skipped, {} not finished; what is done stays, run {verb} again to \
             finish",
            done.len(),
            failed.len(),
            skipped.len(),
            stopped.len()
        ),
    ));
    let no_good = |error: &anyhow::Error| {
        error.chain().any(|cause| cause.is::<Disproved>() || cause.is::<Withdrawn>())
    };
    match failed.iter().any(|(_, error)| no_good(error)) {
        true => Exit::SmokeTestFailed,
        false if common.access.outage.came_first() => Exit::Preflight,
        false if !stopped.is_empty() && failed.is_empty() => Exit::Interrupted,
        false => Exit::PartlyDone,
    }
}
