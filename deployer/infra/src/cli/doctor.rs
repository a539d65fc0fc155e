//! `deployer doctor`: whether everything is there that a deploy needs, a line each, with the remedy.
//! All are looked at at once, none for long, and nothing is changed.

mod account;

use super::advice::HAVE_CERTIFICATES;
use super::run::access;
use super::screen::{BAD, CHANGED, DIM, GOOD, count, paint, result};
use super::{Common, Exit};
use crate::aws::{Access, Local, clock_url};
use crate::finding::{Finding, Level};
use crate::http::{self, Clock, WrongClock};
use crate::machine;
use crate::release::Release;
use anyhow::Result;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use serde_json::json;
use std::time::Duration;

pub const EXAMPLES: &str = "\
Nothing is changed, here or in AWS. The exit code is 0 unless something failed (6); warnings are for
what works, or what not everybody needs.

Examples:
  deployer doctor
  deployer doctor --local
  deployer doctor --json | jq '.checks[] | select(.level != \"ok\")'";

/// How long a look may take: longer than the slowest way to credentials, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds by which a clock may be off before people are told.
const NOTABLE: i64 = 60;

/// What was looked at, and what was found.
type Line = (&'static str, Finding);

pub async fn run(common: &Common) -> Result<Exit> {
    let access = access(common);
    let (here, there) =
        tokio::join!(join_all(on_this_machine(common, &access)), account::look(common, &access));
    let lines: Vec<Line> = here.into_iter().chain(there).collect();
    match common.json {
        true => result(format!("{:#}", as_json(&lines))),
        false => print(&lines),
    }
    let failed = lines.iter().any(|(_, finding)| finding.level == Level::Failed);
    Ok(if failed { Exit::Preflight } else { Exit::Done })
}

/// What can be looked at without an account.
fn on_this_machine<'a>(common: &'a Common, access: &'a Access) -> Vec<BoxFuture<'a, Line>> {
    let needed = access.local.is_some();
    vec![
        within("toolchain", machine::toolchain()),
        within("targets", machine::targets()),
        within("checkout", machine::checkout()),
        within("packages", packages(common)),
        within("python", async move { machine::python().await.unless_needed(needed) }),
        within("local cloud", local_cloud(access)),
        within("certificates", certificates(access)),
        within("clock", clock(access)),
    ]
}

/// A look that ends, one way or the other.
fn within<'a>(
    name: &'static str,
    look: impl Future<Output = Finding> + Send + 'a,
) -> BoxFuture<'a, Line> {
    let late = |_| {
        let found = format!("no answer in {} s", PATIENCE.as_secs());
        Finding::failed(found, "run it again with -vv, which shows every call to AWS")
    };
    async move { (name, tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(late)) }.boxed()
}

async fn packages(common: &Common) -> Finding {
    let next = "cargo xtask package";
    if !common.packages.join("manifest.json").exists() {
        return Finding::warning(format!("none in {}", common.packages.display()), next);
    }
    let (directory, functions) = (common.packages.clone(), common.app.functions());
    let load = move || Release::load(&directory, functions);
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(Release { version, git_sha, arch, .. })) => {
            Finding::ok(format!("{version} of commit {git_sha} for {arch}"))
        }
        Ok(Err(error)) => Finding::failed(format!("{error:#}"), next),
        Err(_) => Finding::skipped("they couldn't be read"),
    }
}

async fn local_cloud(access: &Access) -> Finding {
    let Some(Local { endpoint, .. }) = &access.local else {
        return Finding::skipped("only --local needs it");
    };
    let http = access.http.clone().unwrap_or_else(http::connector);
    machine::local_cloud(&http, endpoint.trim_end_matches('/')).await
}

/// By which servers are believed. The local cloud needs none.
async fn certificates(access: &Access) -> Finding {
    let needed = clock_url(access).await.starts_with("https://");
    let finding = match &http::trust().found {
        Ok(found) => Finding::ok(found),
        Err(why) => Finding::failed(why, HAVE_CERTIFICATES),
    };
    finding.unless_needed(needed)
}

/// By the date of an answer for which nobody has to be known.
async fn clock(access: &Access) -> Finding {
    let clock = Clock::new(access.clock.clone().unwrap_or_default());
    let http = clock.heard_from(access.http.clone().unwrap_or_else(http::connector));
    let url = clock_url(access).await;
    let answer = http::get(&http, &format!("{url}/"), &[]).await;
    let set = "sudo timedatectl set-ntp true (macOS: sudo sntp -sS time.apple.com)";
    match (clock.heard(), answer) {
        (Some(behind), _) if clock.check().is_err() => {
            Finding::failed(format!("{}, which refuses requests", WrongClock { behind }), set)
        }
        (Some(behind), _) if behind.abs() > NOTABLE => {
            Finding::warning(WrongClock { behind }.to_string(), set)
        }
        (Some(_), _) => Finding::ok(format!("less than {NOTABLE} s from that of {url}")),
        (None, Ok(_)) => Finding::warning(format!("unknown: {url} doesn't tell the time"), set),
        (None, Err(_)) if access.local.is_some() => Finding::skipped("not asked: see local cloud"),
        (None, Err(error)) => Finding::warning(
            format!("unknown: no answer from {url}: {error}"),
            "see that curl https://aws.amazon.com answers",
        ),
    }
}

fn print(lines: &[Line]) {
    for (name, Finding { level, found, next }) in lines {
        let (style, mark) = match level {
            Level::Ok => (GOOD, "✓ ok     "),
            Level::Warning => (CHANGED, "! warning"),
            Level::Failed => (BAD, "✗ FAILED "),
            Level::Skipped => (DIM, "- skipped"),
        };
        result(format!("{}  {name:<12} {found}", paint(style, mark)));
        next.iter().for_each(|next| result(format!("{:24}next: {next}", "")));
    }
    let number = |level| lines.iter().filter(|(_, finding)| finding.level == level).count();
    let (failed, warnings) = (number(Level::Failed), number(Level::Warning));
    let style = if failed > 0 { BAD } else { GOOD };
    let (ok, skipped) = (number(Level::Ok), number(Level::Skipped));
    let warnings = count(warnings, "warning");
    result(paint(style, format!("{ok} ok, {warnings}, {failed} failed, {skipped} skipped")));
}

fn as_json(lines: &[Line]) -> serde_json::Value {
    let one = |(name, Finding { level, found, next }): &Line| {
        json!({
            "check": name, "level": level, "found": found, "next": next,
        })
    };
    let failed = lines.iter().any(|(_, finding)| finding.level == Level::Failed);
    json!({ "healthy": !failed, "checks": lines.iter().map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_look_lasts_for_ever() {
        let (name, finding) = within("silence", std::future::pending()).await;
        assert_eq!((name, finding.level), ("silence", Level::Failed));
        assert_eq!(finding.found, "no answer in 20 s");
    }
}
