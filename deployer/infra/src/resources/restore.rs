//! Whether a release that is on record can serve again. A rollback creates nothing, so all that it moves must exist;
//! and tools that delete old Lambda versions, or people in the console, don't know which versions releases need.
//!
//! Packages aren't looked for, because a published version keeps its code.

use super::deployments::{definition, deployments, describe};
use super::grant::is_void;
use super::history::{Record, Served};
use super::serving::Serving;
use super::{role, versions};
use crate::aws::Missing;
use crate::env::ALIAS;
use crate::ids::ApiId;
use crate::run::Run;
use anyhow::Result;
use aws_sdk_lambda::types::FunctionConfiguration;
use futures_util::future::try_join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a release lacks to serve again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A version of a function, by the function's short name; or it exists and has other code.
    Version {
        function: String,
        version: String,
    },
    /// Lambda's grant to decrypt the variables of a version ([`super::grant`]).
    Grant {
        function: String,
        version: String,
    },
    /// The deployment of its routes.
    Routes,
    /// What calls a function.
    Alias {
        function: String,
    },
    Stage,
    Api,
}

impl Lost {
    /// Whether a deploy of any release creates it again.
    pub fn is_created_by_a_deploy(&self) -> bool {
        matches!(self, Self::Alias { .. } | Self::Stage | Self::Api)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Version { function, version } => {
                write!(f, "version {version} of {function} was deleted")
            }
            Self::Grant { function, version } => write!(
                f,
                "version {version} of {function} can't start: its role was deleted, and with it the \
                 grant to decrypt its environment variables"
            ),
            Self::Routes => f.write_str("the deployment of its routes was deleted"),
            Self::Alias { function } => write!(f, "alias {ALIAS} of {function} was deleted"),
            Self::Stage => f.write_str("the stage of the API was deleted"),
            Self::Api => f.write_str("the API was deleted (a new one has a new URL)"),
        }
    }
}

/// What serves, and which releases can't serve again.
pub struct Restorable {
    /// By the number of the release.
    pub lost: BTreeMap<u64, Lost>,
    /// None without a stage.
    pub serving: Option<Serving>,
}

impl Restorable {
    /// Compares these releases with what exists.
    ///
    /// # Errors
    /// When AWS can't be asked.
    pub async fn read(cx: &Run, api: Option<&ApiId>, records: &[&Record]) -> Result<Self> {
        let aliases = try_join_all(functions(records).into_iter().map(async |short| {
            let served = versions::served(cx, &cx.env.function(short)).await?;
            Ok((short.clone(), served))
        }));
        let (mut lost, aliases, stage) =
            tokio::try_join!(lost_versions(cx, records), aliases, stage(cx, api))?;
        let aliases: BTreeMap<String, Option<String>> = aliases.into_iter().collect();
        let without_alias = |record: &Record| {
            let mut functions = record.functions.keys();
            functions.find(|short| aliases.get(*short).is_none_or(Option::is_none)).cloned()
        };
        for record in records {
            let also_lost = match &stage {
                _ if lost.contains_key(&record.number) => continue,
                _ if api.is_none() => Some(Lost::Api),
                None => Some(Lost::Stage),
                Some((_, held)) if !held.contains(&describe(&record.deployment)) => {
                    Some(Lost::Routes)
                }
                Some(_) => without_alias(record).map(|function| Lost::Alias { function }),
            };
            lost.extend(also_lost.map(|lost| (record.number, lost)));
        }
        let serving = stage.map(|(deployment, _)| Serving { deployment, functions: aliases });
        Ok(Self { lost, serving })
    }
}

/// The definition that the stage serves, and the descriptions of all deployments.
async fn stage(cx: &Run, api: Option<&ApiId>) -> Result<Option<(String, BTreeSet<String>)>> {
    let Some(api) = api.map(ApiId::as_str) else { return Ok(None) };
    let request = || cx.apigateway.get_stage().rest_api_id(api).stage_name(&cx.env.stage).send();
    let stage = async { Ok(cx.call("apigateway:GetStage", request).await.or_missing()?) };
    let (stage, deployments) = tokio::try_join!(stage, deployments(cx, api))?;
    let served = stage.map(|stage| {
        definition(&deployments, stage.deployment_id()).unwrap_or_default().to_owned()
    });
    Ok(served.zip(Some(deployments.into_iter().map(|held| held.description).collect())))
}

fn functions<'a>(records: &[&'a Record]) -> BTreeSet<&'a String> {
    records.iter().flat_map(|record| record.functions.keys()).collect()
}

/// A published version.
struct Published {
    code_sha256: String,
    is_void: bool,
}

/// Of these releases, those of which a version was deleted or can't be started, by the release's number.
///
/// # Errors
/// When Lambda or IAM can't be asked.
pub async fn lost_versions(cx: &Run, records: &[&Record]) -> Result<BTreeMap<u64, Lost>> {
    let published = functions(records).into_iter().map(async |short| {
        let name = cx.env.role(short);
        let function = cx.env.function(short);
        let (versions, role) =
            tokio::try_join!(versions::versions(cx, &function), role::identity(cx, &name))?;
        let arn = cx.env.role_arn(&name);
        let published = |version: FunctionConfiguration| {
            let is_void = version.role() == Some(arn.as_str()) && is_void(&version, role.as_ref());
            let code_sha256 = version.code_sha256.unwrap_or_default();
            Some((version.version?, Published { code_sha256, is_void }))
        };
        let published: BTreeMap<_, _> = versions.into_iter().filter_map(published).collect();
        Ok::<_, anyhow::Error>((short, published))
    });
    let published: BTreeMap<_, _> = try_join_all(published).await?.into_iter().collect();
    let lost = |(short, served): (&String, &Served)| {
        let (function, version) = (short.clone(), served.version.clone());
        match published.get(short).and_then(|versions| versions.get(&version)) {
            Some(found) if found.code_sha256 != served.code_sha256 => {
                Some(Lost::Version { function, version })
            }
            Some(found) if found.is_void => Some(Lost::Grant { function, version }),
            Some(_) => None,
            None => Some(Lost::Version { function, version }),
        }
    };
    let lost = |record: &&Record| Some((record.number, record.functions.iter().find_map(lost)?));
    Ok(records.iter().filter_map(lost).collect())
}

/// A release that can't serve again.
#[derive(Clone, Debug)]
pub struct Unrestorable {
    pub release: u64,
    pub lost: Lost,
    /// Releases that can, without the one that serves.
    pub others: Vec<u64>,
}

impl fmt::Display for Unrestorable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "release {} can't serve again: {}", self.release, self.lost)
    }
}

impl std::error::Error for Unrestorable {}
