//! What the verbs share: connecting, reading, and minding Ctrl-C.

use super::explain::Preflight;
use super::progress::Spinner;
use super::screen::{DIM, paint, say, time};
use super::{Common, Exit};
use crate::aws::{Access, Aws, Failure, Local};
use crate::engine::{Plan, Silent, Stop, Survey, survey_owned};
use crate::env::Env;
use crate::release::Release;
use crate::resources::{api_id, fact, kinds, served_code};
use crate::stack::{APP, ENDPOINTS, Stack, stack};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

static KINDS: LazyLock<Vec<crate::engine::Kind<Aws>>> = LazyLock::new(kinds);

/// The short names of all functions in the table of endpoints, each once.
pub fn functions() -> BTreeSet<&'static str> {
    ENDPOINTS.iter().map(|endpoint| endpoint.function).collect()
}

/// Connects, and says where to: the first line of every run.
pub async fn connect(common: &Common) -> Result<Aws> {
    let access = Access {
        region: common.region.clone(),
        profile: common.profile.clone(),
        local: common.access.local.clone().or_else(|| common.local.then(Local::default)),
        trace: (common.verbose >= 2).then_some(trace),
        ..common.access.clone()
    };
    let connecting = Aws::connect(&access, APP, &common.stage);
    let aws = connecting.await.context(Preflight)?;
    aws.env.check(functions()).context(Preflight)?;
    if !common.quiet {
        let Env { app, stage, region, account, .. } = &aws.env;
        let place = aws.endpoint.as_ref().map(|endpoint| format!(" · {endpoint}, not AWS"));
        let place = place.unwrap_or_default();
        say(paint(DIM, format!("{app} · stage {stage} · account {account} · {region}{place}")));
    }
    Ok(aws)
}

fn trace(op: &str, took: Duration, failure: Option<&Failure>) {
    let answer = failure.map(|f| format!("  {}", f.code.as_deref().unwrap_or(&f.message)));
    say(paint(DIM, format!("  {:>7}  {op}{}", time(took), answer.unwrap_or_default())));
}

/// The packages that the stack needs.
pub fn load_release(common: &Common) -> Result<Release> {
    Release::load(&common.packages, functions()).context(Preflight)
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
    pub survey: Survey<'static, Aws>,
    pub plan: Plan,
    pub api: crate::engine::Handle<crate::resources::ApiId>,
}

/// Reads everything that the stack declares, and everything that is left over.
pub async fn survey(common: &Common, aws: &Aws, release: &Release) -> Result<Surveyed> {
    let spinner = Spinner::new("reading what is live", common.quiet);
    let Stack { graph, api } = stack(&aws.env, release, ENDPOINTS);
    let survey =
        graph.survey(aws, &KINDS, &Stop::default(), Arc::new(Silent)).await.context(Preflight)?;
    drop(spinner);
    let plan = survey.plan(target(&aws.env, release));
    Ok(Surveyed { survey, plan, api })
}

/// Lists everything that bears the stage's tags.
pub async fn survey_for_destroy(
    common: &Common,
    aws: &Aws,
) -> Result<(Survey<'static, Aws>, Plan)> {
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

/// What is deployed, as AWS tells it; `None` where nothing is, or not yet all.
pub async fn deployed(aws: &Aws) -> Result<Option<Deployed>> {
    let (version, git_sha) = (aws.env.parameter("version"), aws.env.parameter("git-sha"));
    let code = |function: &'static str| async move {
        Ok::<_, anyhow::Error>((function, served_code(aws, &aws.env.function(function)).await?))
    };
    let (api, version, git_sha, code) = tokio::try_join!(
        api_id(aws),
        fact(aws, &version),
        fact(aws, &git_sha),
        futures_util::future::try_join_all(functions().into_iter().map(code)),
    )?;
    let (Some(api), Some((version, _)), Some((git_sha, since))) = (api, version, git_sha) else {
        return Ok(None);
    };
    let mut release = Release::stated(&version, &git_sha);
    for (function, code) in code {
        if let Some((code_sha256, arch)) = code {
            release = release.with_code(function, &code_sha256);
            release.arch = arch;
        }
    }
    Ok(Some(Deployed { api: api.0, release, since }))
}

/// From now on Ctrl-C only keeps new things from being begun; at the second time it ends the process
/// at once, as it does at the first time while nothing is being changed.
pub fn mind_interrupts() -> Stop {
    let stop = Stop::default();
    let asked = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.ask();
            say("stopping: what has begun is finished; press Ctrl-C again to end at once");
            let _ = tokio::signal::ctrl_c().await;
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    stop
}
