//! `deployer releases`: what served, and when.

use super::run::connect;
use super::screen::{BAD, BOLD, CHANGED, DIM, GOOD, paint, result};
use super::{Common, Exit};
use crate::resources::history::{self, Record, State};
use crate::resources::{Otherwise, Restorable, api_id};
use anstyle::Style;
use anyhow::Result;
use std::collections::BTreeMap;

pub const EXAMPLES: &str = "\
The newest first. Those that once served well and are kept can be gone back to.

Examples:
  deployer releases
  deployer releases --json | jq '.[] | select(.live) | .git_sha'
  deployer rollback --to 7";

/// What is known of a release without a record.
pub const GAP: &str = "not on record: its record was deleted, or it isn't kept any longer";

pub async fn run(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let (records, api) = tokio::try_join!(history::read(&aws), api_id(&aws))?;
    let current = history::current(&records).map(|record| record.number);
    let good: Vec<&Record> = records.iter().filter(|record| record.state.is_good()).collect();
    let Restorable { lost, serving } = Restorable::read(&aws, api.as_ref(), &good).await?;
    let has_stage = serving.is_some();
    let otherwise = serving.and_then(|serving| serving.otherwise(&records));
    let serves = otherwise.as_ref().map_or(current, |otherwise| otherwise.serves);
    if common.json {
        let json = |record: &Record| {
            serde_json::json!({
                "number": record.number,
                "state": record.state,
                "live": Some(record.number) == current,
                "serves": Some(record.number) == serves,
                "time": record.time,
                "who": record.who,
                "version": record.version,
                "git_sha": record.git_sha,
                "changed": record.changed,
                "rollback_to": record.again,
                "why": record.why,
                "unusable": lost.get(&record.number).map(ToString::to_string),
                "functions": record.functions.iter().map(|(name, served)| (name, &served.version))
                    .collect::<BTreeMap<_, _>>(),
            })
        };
        let gap = |number: &u64| {
            serde_json::json!({
                "number": number, "state": "missing", "live": false, "serves": false, "unusable": GAP,
            })
        };
        let gaps = history::gaps(&records);
        let mut list: Vec<_> = records.iter().map(json).chain(gaps.iter().map(gap)).collect();
        list.sort_by_key(|release| std::cmp::Reverse(release["number"].as_u64()));
        result(serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        let lost = if has_stage { format!(": {}", history::LOST) } else { String::new() };
        result(format!("stage {} has no releases on record{lost}", common.stage));
    }
    let mut gaps = history::gaps(&records);
    for record in records.iter().rev() {
        while let Some(number) = gaps.pop_if(|number| *number > record.number) {
            result(format!("{} {}", paint(BOLD, format!("{number:>4}")), paint(BAD, GAP)));
        }
        let is_live = Some(record.number) == current;
        let lost = lost.get(&record.number);
        let (style, what) = match lost {
            Some(_) if !is_live => (BAD, "can't be restored"),
            _ => standing(record.state, is_live),
        };
        let Record { number, time, who, version, git_sha, .. } = record;
        result(format!(
            "{} {}  {}  {version} {git_sha}  {}",
            paint(BOLD, format!("{number:>4}")),
            paint(style, what),
            utc(*time),
            paint(DIM, shown(who)),
        ));
        let mut lines = record.changed.clone();
        lines.extend(record.again.map(|again| format!("release {again} again")));
        if !lines.is_empty() {
            result(format!("       {}", shown(&lines.join(", "))));
        }
        if let Some(why) = &record.why {
            result(format!("       {}", paint(BAD, shown(why))));
        }
        if let Some(lost) = lost {
            result(format!("       {}", paint(BAD, lost)));
        }
        if let Some(otherwise) = otherwise.as_ref().filter(|_| is_live) {
            result(format!("       {}", paint(BAD, moved(common, otherwise))));
        }
    }
    Ok(Exit::Done)
}

/// How a release stands, and what is to be done; `current` is whether none came after it.
pub fn standing(state: State, current: bool) -> (Style, &'static str) {
    match (state, current) {
        (State::Live | State::Passed, true) => (GOOD, "live"),
        (State::Live | State::Passed, false) => (DIM, "kept"),
        (State::Unfinished, true) => (CHANGED, "unfinished: deploy again, or roll back"),
        (State::Unfinished, false) => (DIM, "overtaken"),
        (State::Returning, _) => (CHANGED, "being withdrawn: deploy again to end it"),
        (State::Failed, _) => (BAD, "withdrawn"),
    }
}

/// That what serves isn't the live release, and how to mend it.
pub fn moved(common: &Common, otherwise: &Otherwise) -> String {
    let Otherwise { live, differences, serves, is_broken } = otherwise;
    let (deploy, differences) = (common.command("deploy"), differences.join(", "));
    if *is_broken {
        return format!("callers get errors: {differences}; {deploy} creates it again");
    }
    let rollback = |number: &u64| common.command(&format!("rollback --to {number}"));
    let what = match serves {
        Some(serves) => format!("release {serves} serves instead, moved by hand"),
        None => "what serves is on no record".to_owned(),
    };
    let keep = serves.map(|serves| format!("; {} puts it on record", rollback(&serves)));
    let keep = keep.unwrap_or_default();
    format!("{what}: {differences}; {deploy}, or {}, moves it back{keep}", rollback(live))
}

/// Anybody who may write the bucket may have written it.
pub fn shown(text: &str) -> String {
    crate::object::shown(text, 200)
}

/// `2026-11-24 18:05 UTC`.
pub fn utc(seconds: i64) -> String {
    let date = aws_smithy_types::DateTime::from_secs(seconds);
    let text = date.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap_or_default();
    text.get(..16)
        .map_or_else(|| "?".to_owned(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_told_to_the_minute() {
        assert_eq!(super::utc(1_767_225_600), "2026-01-01 00:00 UTC");
        assert_eq!(super::utc(i64::MAX), "?");
    }
}
