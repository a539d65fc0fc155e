//! What releases leave behind: versions, deployments, packages and records that no kept release needs.

use super::deployments::{self, deployments, describe};
use super::history::{self, Record};
use super::ownership::gone;
use super::versions;
use crate::aws::Missing;
use crate::run::Run;
use anyhow::Result;
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// All of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needless {
    api: String,
    /// Function and number.
    versions: Vec<(String, u64)>,
    deployments: Vec<String>,
    /// By their keys in the bucket, as the records.
    packages: Vec<String>,
    records: Vec<String>,
}

impl Needless {
    /// Looks for what none of the kept releases needs. A function's newest version is never among it: it
    /// may be about to serve. What an alias or a stage serves AWS refuses to delete, whatever records say.
    ///
    /// # Errors
    /// When AWS can't be asked.
    pub async fn find(cx: &Run, api: &str, kept: &[&Record]) -> Result<Self> {
        if kept.is_empty() {
            return Ok(Self::default());
        }
        let functions: BTreeSet<&String> = kept.iter().flat_map(|r| r.functions.keys()).collect();
        let versions = functions.iter().map(|function| needless_versions(cx, function, kept));
        let (versions, deployments, packages) = tokio::join!(
            join_all(versions),
            needless_deployments(cx, api, kept),
            needless_packages(cx, kept),
        );
        let versions: Vec<_> = versions.into_iter().collect::<Result<_>>()?;
        let all = history::known(cx);
        Ok(Self {
            api: api.to_owned(),
            records: history::forgotten(&all, kept).into_iter().map(Record::key).collect(),
            versions: versions.into_iter().flatten().collect(),
            deployments: deployments?,
            packages: packages?,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
            && self.deployments.is_empty()
            && self.packages.is_empty()
            && self.records.is_empty()
    }

    /// The records first: what has none is gone back to by nobody.
    ///
    /// # Errors
    /// The first thing that couldn't be deleted.
    pub async fn delete(&self, cx: &Run) -> Result<()> {
        delete_objects(cx, &self.records).await?;
        let versions = self.versions.iter().map(async |(name, version)| {
            let request = || {
                let request = cx.lambda.delete_function().function_name(name);
                request.qualifier(version.to_string()).send()
            };
            match cx.call("lambda:DeleteFunction", request).await {
                // An alias of somebody else's calls it: that is theirs to mend.
                Err(failure) if failure.is("ResourceConflictException") => Ok(()),
                result => gone(result),
            }
        });
        let deployments = async {
            // One after the other, as all changes of an API.
            for id in &self.deployments {
                deployments::delete(cx, &self.api, id).await?;
            }
            Ok(())
        };
        let (packages, versions, deployments) =
            tokio::join!(delete_objects(cx, &self.packages), join_all(versions), deployments);
        versions.into_iter().collect::<Result<()>>().and(packages).and(deployments)
    }
}

pub(super) async fn delete_objects(cx: &Run, keys: &[String]) -> Result<()> {
    let (bucket, account) = (cx.env.bucket(), &cx.env.account);
    let deletes = keys.iter().map(async |key| {
        let request =
            || cx.s3.delete_object().bucket(&bucket).key(key).expected_bucket_owner(account).send();
        gone(cx.call("s3:DeleteObject", request).await)
    });
    join_all(deletes).await.into_iter().collect()
}

async fn needless_versions(cx: &Run, short: &str, kept: &[&Record]) -> Result<Vec<(String, u64)>> {
    let name = cx.env.function(short);
    let mut there = versions::numbers(cx, &name).await?;
    there.sort_unstable();
    there.pop();
    let needed: BTreeSet<u64> = (kept.iter())
        .filter_map(|record| record.functions.get(short)?.version.parse().ok())
        .collect();
    there.retain(|version| !needed.contains(version));
    Ok(there.into_iter().map(|version| (name.clone(), version)).collect())
}

async fn needless_deployments(cx: &Run, api: &str, kept: &[&Record]) -> Result<Vec<String>> {
    let request = || cx.apigateway.get_stages().rest_api_id(api).send();
    let stages = async { cx.call("apigateway:GetStages", request).await.or_missing() };
    let (there, stages) = tokio::join!(deployments(cx, api), stages);
    let stages = stages?.and_then(|answer| answer.item).unwrap_or_default();
    let served = |id: &String| stages.iter().any(|stage| stage.deployment_id() == Some(id));
    let there = there?;
    // Of two with one description, the one that serves is right.
    let better = |what: &String| there.iter().any(|d| d.description == *what && served(&d.id));
    let needed =
        |what: &String| kept.iter().any(|r| describe(&r.deployment) == *what) && !better(what);
    let needless = there.iter().filter(|d| !served(&d.id) && !needed(&d.description));
    Ok(needless.map(|deployment| deployment.id.clone()).collect())
}

async fn needless_packages(cx: &Run, kept: &[&Record]) -> Result<Vec<String>> {
    let mut needed = BTreeSet::new();
    for record in kept {
        let release = record.release();
        let key = |short: &String| super::artifact::key(short, &release.package(short));
        needed.extend(record.functions.keys().map(key));
    }
    let mut there = history::objects(cx, super::artifact::PREFIX).await?;
    there.retain(|key| !needed.contains(key));
    Ok(there)
}
