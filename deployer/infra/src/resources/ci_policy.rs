//! The managed policies of the role as which CI deploys. Together they are more than a role's own policies hold.

use super::ownership::{adopt, gone, is_ours, owner};
use super::role::{canonical, decode};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Owned, Resource};
use crate::env::{Env, Tags};
use crate::ids::PolicyArn;
use crate::retry::make_or_adopt;
use crate::run::Run;
use anyhow::{Context, Result};
use aws_sdk_iam::types::{Policy, PolicyScopeType, Tag};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::Value;

/// So many versions a policy has at most (IAM and AWS STS quotas).
const VERSIONS: usize = 5;

/// A managed policy under the CI role's path.
#[derive(Debug, Serialize)]
pub struct CiPolicy {
    #[serde(skip)]
    name: String,
    /// Its default version, which is the one that counts.
    document: Value,
}

/// The policy itself and its tags.
async fn get(cx: &Run, arn: &str) -> Result<Option<(Policy, Tags)>> {
    let request = || cx.iam.get_policy().policy_arn(arn).send();
    let answer = cx.call("iam:GetPolicy", request).await.or_missing()?;
    let Some(policy) = answer.and_then(|answer| answer.policy) else { return Ok(None) };
    let tags = policy.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    Ok(Some((policy, tags)))
}

/// The versions of a policy other than its default one, oldest first.
async fn other_versions(cx: &Run, arn: &str) -> Result<Vec<String>> {
    let (mut others, mut marker) = (vec![], None);
    loop {
        let list = || cx.iam.list_policy_versions().policy_arn(arn);
        let request = || list().set_marker(marker.clone()).send();
        let page = cx.call("iam:ListPolicyVersions", request).await.or_missing()?;
        let Some(page) = page else { break };
        let versions = page.versions.unwrap_or_default().into_iter();
        let versions = versions.filter(|version| !version.is_default_version);
        others.extend(versions.filter_map(|version| version.version_id));
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            break;
        }
    }
    others.sort_by_key(|version| number(version));
    Ok(others)
}

/// The number of `v12`.
fn number(version: &str) -> u64 {
    version.trim_start_matches('v').parse().unwrap_or_default()
}

async fn delete_version(cx: &Run, arn: &str, version: &str) -> Result<()> {
    let request = || cx.iam.delete_policy_version().policy_arn(arn).version_id(version).send();
    gone(cx.call("iam:DeletePolicyVersion", request).await)
}

impl CiPolicy {
    pub fn new(env: &Env, name: &str, document: Value) -> Self {
        Self { name: env.ci_policy(name), document: canonical(document) }
    }
}

impl Resource<Run> for CiPolicy {
    const KIND: &'static str = "ci policy";
    type Output = PolicyArn;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, cx: &Run) -> Option<PolicyArn> {
        Some(PolicyArn(cx.env.ci_policy_arn(&self.name)))
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, PolicyArn>>> {
        let arn = cx.env.ci_policy_arn(&self.name);
        let Some((policy, tags)) = get(cx, &arn).await? else { return Ok(None) };
        let version = policy.default_version_id.unwrap_or_default();
        let request = || cx.iam.get_policy_version().policy_arn(&arn).version_id(&version).send();
        let answer = cx.call("iam:GetPolicyVersion", request).await.or_missing()?;
        let version = answer.and_then(|answer| answer.policy_version);
        let document = version.and_then(|version| version.document);
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: PolicyArn(arn.clone()),
            id: arn,
            props: Self {
                name: self.name.clone(),
                document: decode(document.as_deref().unwrap_or("null"))?,
            },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<PolicyArn> {
        let tag = |(k, v): (&String, &String)| Tag::builder().key(k).value(v).build().ok();
        let tags: Vec<Tag> = cx.env.tags().iter().filter_map(tag).collect();
        let request = || {
            let request = cx.iam.create_policy().policy_name(&self.name);
            let request = request.path(cx.env.ci_role_path());
            let request = request.policy_document(self.document.to_string());
            request.set_tags(Some(tags.clone())).send()
        };
        let make = || cx.call("iam:CreatePolicy", request);
        let exists = |failure: &Failure| failure.is("EntityAlreadyExists");
        make_or_adopt(make, exists, || adopt(self, cx)).await?;
        self.foretell(cx).context("a policy's ARN follows from its name")
    }

    /// A new version, which counts from then on. The oldest goes before it if there are as many as there may be.
    async fn update(&self, cx: &Run, live: &Live<Self, PolicyArn>) -> Result<PolicyArn> {
        let arn = live.output.as_str();
        if live.props.document == self.document {
            return Ok(live.output.clone());
        }
        let others = other_versions(cx, arn).await?;
        if let Some(oldest) = others.first().filter(|_| others.len() + 1 >= VERSIONS) {
            delete_version(cx, arn, oldest).await?;
        }
        let request = || {
            let request = cx.iam.create_policy_version().policy_arn(arn).set_as_default(true);
            request.policy_document(self.document.to_string()).send()
        };
        match cx.call_new("iam:CreatePolicyVersion", request).await {
            // An answer was lost: the version is there, and the repeat was one too many.
            Err(failure) if failure.is("LimitExceeded") => match self.read(cx).await? {
                Some(now) if now.props.document == self.document => {}
                _ => return Err(failure.into()),
            },
            result => drop(result?),
        }
        Ok(live.output.clone())
    }

    /// All versions, for IAM deletes only a policy that has no other than the default one (DeletePolicy).
    async fn delete(cx: &Run, id: &str) -> Result<()> {
        for version in other_versions(cx, id).await? {
            delete_version(cx, id, &version).await?;
        }
        gone(cx.call("iam:DeletePolicy", || cx.iam.delete_policy().policy_arn(id).send()).await)
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let (mut found, mut marker) = (vec![], None);
        loop {
            let request = || {
                let request = cx.iam.list_policies().scope(PolicyScopeType::Local);
                let request = request.path_prefix(cx.env.ci_role_path());
                request.set_marker(marker.clone()).send()
            };
            let page = cx.call("iam:ListPolicies", request).await?;
            found.extend(page.policies.unwrap_or_default());
            marker = page.marker.filter(|_| page.is_truncated);
            if marker.is_none() {
                break;
            }
        }
        // IAM knows no regions: those of the same stage elsewhere stay.
        let here = cx.env.ci_policy("");
        let named = found.into_iter().filter_map(|policy| policy.policy_name.zip(policy.arn));
        let named = named.filter(|(name, _)| name.starts_with(&here)).map(async |(name, arn)| {
            let ours = get(cx, &arn).await?.is_some_and(|(_, tags)| is_ours(&cx.env, &tags));
            Ok::<_, anyhow::Error>(ours.then_some(Owned { name, id: arn }))
        });
        Ok(try_join_all(named).await?.into_iter().flatten().collect())
    }
}
