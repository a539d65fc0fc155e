//! What GetFunction tells of a live function.

use super::attached::attached;
use super::config::Config;
use super::ownership::is_ours;
use crate::aws::{Aws, Failure, Missing};
use crate::env::{ALIAS, Tags};
use anyhow::{Result, bail};
use aws_sdk_lambda::types::FunctionConfiguration;
use aws_types::request_id::RequestId;
use std::collections::{BTreeMap, BTreeSet};

/// The code that a function serves, as Lambda names it, and its architecture.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn served_code(cx: &Aws, name: &str) -> Result<Option<(String, String)>> {
    let config = get_config(cx, name, Some(ALIAS)).await?;
    Ok(config.map(|config| {
        let architecture = Config::of(&config, name, &BTreeMap::new()).architecture;
        (config.code_sha256.unwrap_or_default(), architecture)
    }))
}

/// What is attached to a function that no stack declares, each in one line: to `$LATEST`, which the next version would
/// be published from, and to the version that serves.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn attached_by_hand(cx: &Aws, name: &str) -> Result<BTreeSet<String>> {
    let (latest, live) =
        tokio::try_join!(get_config(cx, name, None), get_config(cx, name, Some(ALIAS)))?;
    let lines = [latest, live].into_iter().flatten().flat_map(|config| {
        let version = config.version().unwrap_or_default().to_owned();
        let line = move |(what, value)| format!("{what} of version {version}: {value}");
        attached(&config).into_iter().map(line)
    });
    Ok(lines.collect())
}

pub(super) async fn get_config(
    cx: &Aws,
    name: &str,
    qualifier: Option<&str>,
) -> Result<Option<FunctionConfiguration>> {
    let request = || {
        let request = cx.lambda.get_function().function_name(name);
        request.set_qualifier(qualifier.map(ToOwned::to_owned)).send()
    };
    // GetFunction, not GetFunctionConfiguration: its quota is ten times as large.
    let answer = cx.call("lambda:GetFunction", request).await.or_missing()?;
    Ok(answer.and_then(|answer| answer.configuration))
}

/// What one answer tells of a function.
pub(super) struct Found {
    /// Of `$LATEST`.
    pub config: FunctionConfiguration,
    pub tags: Tags,
    pub reserved_concurrency: Option<i32>,
}

/// Lambda returns tags only to those who may `lambda:ListTags`; to others GetFunction answers 200 without tags and
/// with `TagsError` (Lambda: "Permissions required for working with tags"). A function whose tags are unknown must
/// not be taken for one without tags.
pub(super) async fn get(cx: &Aws, name: &str) -> Result<Option<Found>> {
    let request = || cx.lambda.get_function().function_name(name).send();
    let Some(answer) = cx.call("lambda:GetFunction", request).await.or_missing()? else {
        return Ok(None);
    };
    if let Some(error) = answer.tags_error() {
        let id = answer.request_id();
        bail!(Failure::within("lambda:ListTags", error.error_code(), error.message(), id));
    }
    let tags = answer.tags.unwrap_or_default().into_iter().collect();
    let reserved_concurrency =
        answer.concurrency.and_then(|concurrency| concurrency.reserved_concurrent_executions);
    Ok(answer.configuration.map(|config| Found { config, tags, reserved_concurrency }))
}

/// Whether the function of this short name is ours or does not exist.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn is_ours_or_absent(cx: &Aws, short: &str) -> Result<bool> {
    let found = get(cx, &cx.env.function(short)).await?;
    Ok(found.is_none_or(|found| is_ours(&cx.env, &found.tags)))
}
