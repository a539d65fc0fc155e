//! A function's published versions, and the alias that says which of them serves.

use crate::aws::Missing;
use crate::env::ALIAS;
use crate::run::Run;
use anyhow::Result;
use aws_sdk_lambda::types::{AliasRoutingConfiguration, FunctionConfiguration};
use std::collections::HashMap;

/// The version that a function's alias serves: `7`, or `7 and, by weight, 8`. None without the alias.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn served(cx: &Run, name: &str) -> Result<Option<String>> {
    cx.lists.alias(name, read_alias(cx, name)).await
}

async fn read_alias(cx: &Run, name: &str) -> Result<Option<String>> {
    let request = || cx.lambda.get_alias().function_name(name).name(ALIAS).send();
    let Some(alias) = cx.call("lambda:GetAlias", request).await.or_missing()? else {
        return Ok(None);
    };
    let version = alias.function_version.unwrap_or_default();
    let routing = alias.routing_config.and_then(|routing| routing.additional_version_weights);
    let others = routing.unwrap_or_default().into_keys().collect::<Vec<_>>();
    Ok(Some(match others.is_empty() {
        true => version,
        false => format!("{version} and, by weight, {}", others.join(", ")),
    }))
}

/// Has a function's alias serve a version; with `share`, only this part of all calls (0 to 1), and the
/// rest a version before it. What serves must not be left half moved, so nobody can stop this.
///
/// # Errors
/// When Lambda refuses.
pub async fn serve(cx: &Run, name: &str, version: &str, share: Option<(f64, &str)>) -> Result<()> {
    let weights: HashMap<String, f64> =
        share.map(|(share, _)| (version.to_owned(), share)).into_iter().collect();
    let request = || {
        let request = cx.lambda.update_alias().function_name(name).name(ALIAS);
        // Without an empty one, weights that somebody set would stay.
        let routing = AliasRoutingConfiguration::builder();
        let routing = routing.set_additional_version_weights(Some(weights.clone()));
        let main = share.map_or(version, |(_, before)| before);
        request.function_version(main).routing_config(routing.build()).send()
    };
    cx.call_last("lambda:UpdateAlias", true, request).await?;
    Ok(())
}

/// The numbers of all published versions of a function, in no order.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn numbers(cx: &Run, name: &str) -> Result<Vec<u64>> {
    Ok(versions(cx, name).await?.iter().filter_map(number).collect())
}

/// Its number, if it was published.
pub fn number(version: &FunctionConfiguration) -> Option<u64> {
    version.version()?.parse().ok()
}

/// All published versions, in no order.
///
/// # Errors
/// When Lambda can't be asked.
pub async fn versions(cx: &Run, name: &str) -> Result<Vec<FunctionConfiguration>> {
    let (mut versions, mut marker) = (vec![], None);
    loop {
        let request = || {
            let request = cx.lambda.list_versions_by_function().function_name(name);
            request.set_marker(marker.clone()).send()
        };
        let page = cx.call("lambda:ListVersionsByFunction", request).await.or_missing()?;
        let Some(page) = page else { return Ok(versions) };
        let published = page.versions.unwrap_or_default().into_iter();
        versions.extend(published.filter(|version| version.version() != Some("$LATEST")));
        marker = page.next_marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(versions);
        }
    }
}
