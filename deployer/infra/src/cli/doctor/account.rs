//! What the doctor asks of AWS: whose the credentials are, and how much room their account has.

use super::super::explain::{advise, failure};
use super::super::releases::utc;
use super::super::screen::time;
use super::{Common, Line, PATIENCE, within};
use crate::aws::{self, Access, Aws};
use crate::finding::Finding;
use crate::resources::room::{
    LambdaRoom, Room, api_room, key_room, lambda_room, plan_room, role_room,
};
use crate::resources::{Asked, ask_rights};
use crate::rights::{Missing, Mode, questions};
use crate::run::Run;
use anyhow::{Error, Result, anyhow};
use futures_util::future::{FutureExt, join_all};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Credentials that end sooner may end during a deploy.
const SOON: Duration = Duration::from_secs(15 * 60);

/// Calls at once with which a stage can live. New accounts begin with 10 for all functions together.
const FEW_CALLS: i64 = 50;

pub async fn look(common: &Common, access: &Access) -> Vec<Line> {
    let connecting =
        tokio::time::timeout(PATIENCE, Aws::connect(access, &common.app, &common.stage));
    let expiring = tokio::time::timeout(PATIENCE, aws::expiry(access));
    let (connected, expiry) = tokio::join!(connecting, expiring);
    let late = |_| Err(anyhow!("no answer in {} s", PATIENCE.as_secs()));
    let aws = match connected.unwrap_or_else(late) {
        Ok(aws) => Run::new(aws),
        Err(error) => return without_account(&error, common),
    };
    let credentials = credentials(&aws, expiry.ok().flatten(), common);
    let mut lines = vec![("credentials", credentials), ("stage", stage(&aws, common))];
    let looks = [
        async { ("rights", rights(&aws, common).await) }.boxed(),
        within("lambda", async { told(lambda_room(&aws).await.map(lambda), common) }),
        within("apis", async { room(api_room(&aws).await.map(Some), 1, common) }),
        within("api keys", async { room(key_room(&aws).await.map(Some), 2, common) }),
        within("usage plans", async { room(plan_room(&aws).await.map(Some), 1, common) }),
        within("roles", async {
            let needed = common.app.functions().len() + 1; // and one as which API Gateway writes logs
            room(role_room(&aws).await, i64::try_from(needed).unwrap_or(i64::MAX), common)
        }),
    ];
    lines.extend(join_all(looks).await);
    lines
}

fn without_account(error: &Error, common: &Common) -> Vec<Line> {
    let skipped = || Finding::skipped("not asked: see credentials");
    let names = ["stage", "rights", "lambda", "apis", "api keys", "usage plans", "roles"];
    let rest = names.into_iter().map(|name| (name, skipped()));
    [("credentials", bad(error, common))].into_iter().chain(rest).collect()
}

/// What went wrong, in a line, and the remedy that errors of this kind have everywhere.
fn bad(error: &Error, common: &Common) -> Finding {
    let failure = failure(error);
    let (cause, next) = advise(error, failure, common);
    let said = failure.map_or_else(|| format!("{error:#}"), ToString::to_string);
    let said = said.lines().next().unwrap_or_default();
    let said = said.trim_end_matches("Attempted:").trim_end();
    match (cause.is_empty(), next.is_empty()) {
        (_, true) => Finding::failed(said, common.command("doctor -vv")),
        (true, false) => Finding::failed(said, next),
        (false, false) => Finding::failed(format!("{cause} ({said})"), next),
    }
}

fn credentials(aws: &Run, expiry: Option<SystemTime>, common: &Common) -> Finding {
    let who = aws.caller.splitn(6, ':').last().unwrap_or_default();
    let mut found = format!("{who} of account {} in {}", aws.env.account, aws.env.region);
    if let Some(elsewhere) = &aws.elsewhere {
        found += &format!(", by {elsewhere}, not AWS");
    }
    let Some(until) = expiry.and_then(|expiry| expiry.duration_since(UNIX_EPOCH).ok()) else {
        return Finding::ok(found);
    };
    let left = until.as_secs().saturating_sub(aws.clock.now().max(0).unsigned_abs());
    let left = Duration::from_secs(left);
    let seconds = i64::try_from(until.as_secs()).unwrap_or(i64::MAX);
    found += &format!(", until {}, for {}", utc(seconds), time(left));
    let profile = common.profile.as_ref().map(|profile| format!(" --profile {profile}"));
    match left < SOON {
        true => Finding::warning(
            found,
            format!(
                "aws sso login{}, or renew them as you got them: a deploy may take longer",
                profile.unwrap_or_default()
            ),
        ),
        false => Finding::ok(found),
    }
}

fn stage(aws: &Run, common: &Common) -> Finding {
    match aws.env.check(common.app.functions()) {
        Ok(()) => Finding::ok(format!("every name of {} is short enough", aws.env.name())),
        Err(error) => Finding::failed(format!("{error:#}"), "choose another --stage"),
    }
}

/// Whether the credentials may do what a deploy does. That IAM doesn't answer is no failure: a deploy doesn't need it.
async fn rights(aws: &Run, common: &Common) -> Finding {
    let policy = common.command("policy");
    let questions =
        questions(&aws.env, common.app.functions(), Mode::Deploy, common.app.permissions_boundary);
    let late = |_| Asked::Untold(format!("no answer in {} s", PATIENCE.as_secs()));
    let asked = tokio::time::timeout(PATIENCE, ask_rights(aws, &questions)).await;
    match asked.unwrap_or_else(late) {
        Asked::Unasked => Finding::ok("nothing is denied to the account's root"),
        Asked::Untold(why) => {
            Finding::skipped(format!("could not ask: {why}; {policy} prints what is needed"))
        }
        Asked::Told(missing) if missing.is_empty() => Finding::ok("all that a deploy may need"),
        Asked::Told(missing) => {
            let (doubtful, certain): (Vec<_>, Vec<_>) =
                missing.iter().partition(|missing| missing.is_doubtful());
            let names = |missing: &[&Missing]| {
                let actions: Vec<_> = missing.iter().map(|missing| missing.action).collect();
                actions.join(", ")
            };
            let next = format!("have allowed what {policy} prints");
            if certain.is_empty() {
                let number = doubtful.len();
                Finding::warning(format!("{number} may be refused: {}", names(&doubtful)), next)
            } else {
                let number = certain.len();
                Finding::failed(format!("{number} are missing: {}", names(&certain)), next)
            }
        }
    }
}

fn lambda(LambdaRoom { unreserved, concurrency, code }: LambdaRoom) -> Finding {
    let megabytes = |bytes: i64| bytes / 1_000_000;
    let reserved = unreserved.map_or_else(
        || "an unknown number".to_owned(),
        |unreserved| (concurrency - unreserved).to_string(),
    );
    let found = format!(
        "{concurrency} calls at once, {reserved} of them reserved; {} of {} MB of code",
        megabytes(code.used),
        megabytes(code.limit)
    );
    let raise = "aws service-quotas list-service-quotas --service-code lambda tells which can be \
                 raised, and how";
    let few_calls = unreserved.is_some_and(|unreserved| unreserved < FEW_CALLS);
    if few_calls || code.used > code.limit / 10 * 9 {
        Finding::warning(found, raise)
    } else {
        Finding::ok(found)
    }
}

/// Whether another stage, which needs so many, finds room.
fn room(room: Result<Option<Room>>, needed: i64, common: &Common) -> Finding {
    let judge = |room: Option<Room>| {
        let Some(Room { used, limit }) = room else {
            return Finding::warning(
                "unknown: AWS doesn't say",
                "see Service Quotas in the console",
            );
        };
        let found = format!("{used} of {limit}");
        match limit.saturating_sub(used) < needed {
            true => Finding::warning(
                format!("{found}: no room for another stage, which needs {needed}"),
                "delete some that nobody needs; what is deployed can still be updated",
            ),
            false => Finding::ok(found),
        }
    };
    told(room.map(judge), common)
}

/// What can't be asked isn't known; a deploy may go well all the same.
fn told(finding: Result<Finding>, common: &Common) -> Finding {
    finding.unwrap_or_else(|error| {
        let bad = bad(&error, common).unless_needed(false);
        Finding { found: format!("unknown: {}", bad.found), ..bad }
    })
}
