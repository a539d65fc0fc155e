//! `deployer releases`: what served, and when.

use super::run::connect;
use super::screen::{BAD, BOLD, CHANGED, DIM, GOOD, paint, result};
use super::{Common, Exit};
use crate::resources::history::{self, Record, State};
use crate::resources::{CannotStart, cannot_start};
use anstyle::Style;
use anyhow::Result;
use std::collections::BTreeMap;

pub const EXAMPLES: &str = "\
The newest first. Those that once served well and are kept can be gone back to.

Examples:
  deployer releases
  deployer releases --json | jq '.[] | select(.live) | .git_sha'
  deployer rollback --to 7";

pub async fn run(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let records = history::read(&aws).await?;
    let current = history::current(&records).map(|record| record.number);
    let good: Vec<&Record> = records.iter().filter(|record| record.state.is_good()).collect();
    let unusable = cannot_start(&aws, &good).await?;
    if common.json {
        let json = |record: &Record| {
            serde_json::json!({
                "number": record.number,
                "state": record.state,
                "live": Some(record.number) == current,
                "time": record.time,
                "who": record.who,
                "version": record.version,
                "git_sha": record.git_sha,
                "changed": record.changed,
                "rollback_to": record.again,
                "why": record.why,
                "unusable": unusable.get(&record.number).map(CannotStart::reason),
                "functions": record.functions.iter().map(|(name, served)| (name, &served.version))
                    .collect::<BTreeMap<_, _>>(),
            })
        };
        let list: Vec<_> = records.iter().rev().map(json).collect();
        result(serde_json::to_string_pretty(&list)?);
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        result(format!("stage {} has no releases on record", common.stage));
    }
    for record in records.iter().rev() {
        let (style, what) = standing(record.state, Some(record.number) == current);
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
        if let Some(reason) = unusable.get(&record.number) {
            result(format!("       {}", paint(BAD, reason.reason())));
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
