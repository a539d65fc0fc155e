//! How often of late a call had to wait for its function to start. Lambda measures that nowhere for free, but
//! says it in the log: `Init Duration` in the line with which a call ends (AWS Lambda, "Understanding the
//! Lambda execution environment lifecycle").

use super::log_lines::page;
use super::pulse::HOUR;
use crate::run::Run;
use anyhow::Result;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::collections::BTreeMap;

/// So many requests for all functions together: CloudWatch Logs allows five a second, and nobody waits longer
/// for `status` than a few seconds. Busy logs are searched only in part, and those of many functions not at all.
const REQUESTS: usize = 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ColdStarts {
    pub found: usize,
    /// Whether all of the hour's log was searched: else there may be more.
    pub all: bool,
}

/// Of the last hour, by function; none of those whose logs weren't searched. Calls by a deploy's proof count too.
///
/// # Errors
/// When CloudWatch Logs can't be asked.
pub async fn cold_starts(cx: &Run, functions: &[&str]) -> Result<BTreeMap<String, ColdStarts>> {
    let pages = (REQUESTS / functions.len().max(1)).max(1);
    let one = async |short: &&str| Ok((String::from(*short), of_function(cx, short, pages).await?));
    let all = try_join_all(functions.iter().take(REQUESTS).map(one)).await;
    all.map(|all| all.into_iter().collect())
}

async fn of_function(cx: &Run, short: &str, pages: usize) -> Result<ColdStarts> {
    let (group, from) = (cx.env.log_group(short), (cx.clock.now() - HOUR) * 1000);
    let (mut starts, mut token) = (ColdStarts::default(), None);
    for _ in 0..pages {
        let Some(page) = page(cx, &group, from, Some("\"Init Duration\""), token).await? else {
            return Ok(ColdStarts { all: true, ..starts });
        };
        // A function may write these words as well.
        let begins = |message: &str| message.starts_with("REPORT RequestId: ");
        let lines = page.events().iter().filter_map(|event| event.message());
        starts.found += lines.filter(|line| begins(line) && line.contains("Init Duration")).count();
        token = page.next_token;
        if token.is_none() {
            return Ok(ColdStarts { all: true, ..starts });
        }
    }
    Ok(starts)
}
