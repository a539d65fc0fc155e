//! What releases leave behind: versions, deployments, packages and records that no kept release needs.

use super::history::{self, Record};
use super::stage::{deployments, describe};
use super::{Aws, gone, versions};
use crate::aws::Missing;
use anyhow::Result;
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// Deletes all of it. What serves is never among it, whatever the records say, nor a function's newest
/// version, which may be about to serve.
///
/// # Errors
/// The first thing that couldn't be deleted; the others are tried all the same.
pub async fn prune(cx: &Aws, api: &str, kept: &[&Record]) -> Result<()> {
    let Some(oldest) = kept.iter().map(|record| record.number).min() else { return Ok(()) };
    let functions: BTreeSet<&String> = kept.iter().flat_map(|r| r.functions.keys()).collect();
    let versions = functions.iter().map(|function| prune_versions(cx, function, kept));
    let (versions, deployments, packages, records) = tokio::join!(
        join_all(versions),
        prune_deployments(cx, api, kept),
        packages(cx, kept),
        records(cx, oldest),
    );
    versions.into_iter().collect::<Result<()>>().and(deployments).and(packages).and(records)
}

async fn prune_versions(cx: &Aws, short: &str, kept: &[&Record]) -> Result<()> {
    let name = cx.env.function(short);
    let mut there = versions::numbers(cx, &name).await?;
    there.sort_unstable();
    there.pop();
    let needed: BTreeSet<u64> = (kept.iter())
        .filter_map(|record| record.functions.get(short)?.version.parse().ok())
        .collect();
    for version in there.into_iter().filter(|version| !needed.contains(version)) {
        let request = || {
            let request = cx.lambda.delete_function().function_name(&name);
            request.qualifier(version.to_string()).send()
        };
        match cx.call("lambda:DeleteFunction", request).await {
            // An alias of somebody else's calls it: that is theirs to mend.
            Err(failure) if failure.is("ResourceConflictException") => {}
            result => gone(result)?,
        }
    }
    Ok(())
}

async fn prune_deployments(cx: &Aws, api: &str, kept: &[&Record]) -> Result<()> {
    let request = || cx.apigateway.get_stages().rest_api_id(api).send();
    let stages = async { cx.call("apigateway:GetStages", request).await.or_missing() };
    let (there, stages) = tokio::join!(deployments(cx, api), stages);
    let stages = stages?.and_then(|answer| answer.item).unwrap_or_default();
    for deployment in there? {
        let served = stages.iter().any(|stage| stage.deployment_id() == Some(&deployment.id));
        let needed = kept.iter().any(|r| describe(&r.deployment) == deployment.description);
        if served || needed {
            continue;
        }
        let request = || {
            let request = cx.apigateway.delete_deployment().rest_api_id(api);
            request.deployment_id(&deployment.id).send()
        };
        gone(cx.call("apigateway:DeleteDeployment", request).await)?;
    }
    Ok(())
}

async fn packages(cx: &Aws, kept: &[&Record]) -> Result<()> {
    let mut needed = BTreeSet::new();
    for record in kept {
        let release = record.release();
        let key = |short: &String| super::artifact::key(short, &release.package(short));
        needed.extend(record.functions.keys().map(key));
    }
    let there = history::objects(cx, super::artifact::PREFIX).await?;
    delete(cx, there.into_iter().filter(|key| !needed.contains(key)).collect()).await
}

async fn records(cx: &Aws, oldest: u64) -> Result<()> {
    let old = history::known(cx).into_iter().filter(|record| record.number < oldest);
    delete(cx, old.map(|record| record.key()).collect()).await?;
    history::forget_before(cx, oldest);
    Ok(())
}

async fn delete(cx: &Aws, keys: Vec<String>) -> Result<()> {
    let (bucket, account) = (cx.env.bucket(), &cx.env.account);
    let deletes = keys.iter().map(async |key| {
        let request =
            || cx.s3.delete_object().bucket(&bucket).key(key).expected_bucket_owner(account).send();
        gone(cx.call("s3:DeleteObject", request).await)
    });
    join_all(deletes).await.into_iter().collect()
}
