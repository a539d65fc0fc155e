//! What was logged: the lines of a log group, as often as somebody asks.

use super::log_group::LogGroup;
use crate::aws::Missing;
use crate::engine::Resource;
use crate::run::Run;
use anyhow::Result;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;

/// One line of a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The same each time it is read; no other line has it.
    pub id: String,
    /// When it was written, in milliseconds since 1970. It may be there to be read only later.
    pub time: i64,
    pub message: String,
}

/// The lines of a group from a time on (milliseconds since 1970). A group that isn't there has none.
///
/// # Errors
/// When CloudWatch Logs can't be asked.
pub async fn log_lines(cx: &Run, group: &str, from: i64) -> Result<Vec<LogLine>> {
    let (mut lines, mut token) = (vec![], None);
    loop {
        let Some(page) = page(cx, group, from, None, token).await? else { return Ok(lines) };
        lines.extend(page.events.unwrap_or_default().into_iter().map(|event| LogLine {
            id: event.event_id.unwrap_or_default(),
            time: event.timestamp.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        }));
        token = page.next_token;
        if token.is_none() {
            return Ok(lines);
        }
    }
}

/// What a search of a group finds, a piece at a time; none if the group isn't there. A page may be empty and
/// have others after it (CloudWatch Logs, FilterLogEvents).
pub(super) async fn page(
    cx: &Run,
    group: &str,
    from: i64,
    pattern: Option<&str>,
    token: Option<String>,
) -> Result<Option<FilterLogEventsOutput>> {
    let request = || {
        let request = cx.logs.filter_log_events().log_group_name(group).start_time(from);
        let request = request.set_filter_pattern(pattern.map(ToOwned::to_owned));
        request.set_next_token(token.clone()).send()
    };
    Ok(cx.call("logs:FilterLogEvents", request).await.or_missing()?)
}

/// The stage's log groups: the name of the function, or `gateway`, and that of its group.
///
/// # Errors
/// When CloudWatch Logs can't be asked.
pub async fn log_sources(cx: &Run) -> Result<Vec<(String, String)>> {
    let owned = LogGroup::owned(cx).await?.into_iter();
    let source = |group: String| {
        let function = group.strip_prefix(&cx.env.log_group("")).map(ToOwned::to_owned);
        (function.unwrap_or_else(|| "gateway".to_owned()), group)
    };
    Ok(owned.map(|group| source(group.name)).collect())
}
