//! A CloudWatch log group with an end to its memory.

use super::ownership::{adopt, gone, is_ours, owner};
use super::{live_function, rest_api};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Owned, Owner, Resource, turn};
use crate::env::Tags;
use crate::ids::LogGroupName;
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::Result;
use futures_util::future::try_join_all;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

/// Created before what writes there: AWS would create it itself, without retention or tags.
#[derive(Debug, Serialize)]
pub struct LogGroup {
    #[serde(skip)]
    pub name: String,
    /// One of the numbers that PutRetentionPolicy allows. None on a live group: kept for ever.
    pub retention_days: Option<i32>,
    /// On a live group without tags and retention: Lambda or API Gateway created it, because it had lines to write
    /// before the group was created, or after the group was deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub made_by_aws: bool,
}

impl LogGroup {
    pub fn new(name: String, retention_days: i32) -> Self {
        Self { name, retention_days: Some(retention_days), made_by_aws: false }
    }

    async fn tag(&self, cx: &Run) -> Result<()> {
        let request = || {
            let request = cx.logs.tag_resource().resource_arn(cx.env.log_group_arn(&self.name));
            request.set_tags(Some(cx.env.tags().into_iter().collect())).send()
        };
        cx.call_new("logs:TagResource", request).await?;
        Ok(())
    }

    async fn retain(&self, cx: &Run) -> Result<()> {
        let request = || cx.logs.put_retention_policy().log_group_name(&self.name);
        if let Some(days) = self.retention_days {
            cx.call_new("logs:PutRetentionPolicy", || request().retention_in_days(days).send())
                .await?;
        }
        Ok(())
    }
}

/// A group as a list shows it.
struct Listed {
    name: String,
    retention_days: Option<i32>,
    /// The form without `:*`, the only one that the tagging calls take.
    arn: String,
    protected: bool,
}

/// Groups whose name begins so.
async fn groups(cx: &Run, prefix: &str) -> Result<Vec<Listed>> {
    let (mut found, mut token) = (vec![], None);
    loop {
        let request = || {
            let request = cx.logs.describe_log_groups().log_group_name_prefix(prefix);
            request.set_next_token(token.clone()).send()
        };
        let page = cx.call("logs:DescribeLogGroups", request).await?;
        for group in page.log_groups() {
            let name = group.log_group_name().unwrap_or_default().to_owned();
            let arn = cx.env.log_group_arn(&name);
            let (retention_days, protected) =
                (group.retention_in_days(), group.deletion_protection_enabled());
            found.push(Listed {
                name,
                retention_days,
                arn,
                protected: protected.unwrap_or_default(),
            });
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
}

async fn tags(cx: &Run, arn: &str) -> Result<Option<Tags>> {
    let request = || cx.logs.list_tags_for_resource().resource_arn(arn).send();
    let answer = cx.call("logs:ListTagsForResource", request).await.or_missing()?;
    Ok(answer.map(|answer| answer.tags.unwrap_or_default().into_iter().collect()))
}

/// Whether AWS created the group for this stage: it has neither tags nor retention, and its name is that of the access
/// log, of a function of this stack, or of a function whose group this run has deleted. A group that belongs to a foreign
/// function or API is foreign too.
///
/// Lambda creates its function's group with the first line. API Gateway does so for the access log, because the
/// account's role may, and goes on for lines that it has buffered (github.com/hashicorp/terraform/issues/32693).
async fn is_made_by_aws(
    cx: &Run,
    name: &str,
    retention_days: Option<i32>,
    tags: &Tags,
) -> Result<bool> {
    if !tags.is_empty() || retention_days.is_some() {
        return Ok(false);
    }
    if name == cx.env.access_log_group() {
        return rest_api::is_ours_or_absent(cx).await;
    }
    let Some(function) = name.strip_prefix(&cx.env.log_group("")) else { return Ok(false) };
    if !cx.functions.contains(function) && !deleted(cx).contains(name) {
        return Ok(false);
    }
    live_function::is_ours_or_absent(cx, function).await
}

/// The groups that may belong to the stage: those with a function's prefix, and the access log's.
async fn candidates(cx: &Run) -> Result<Vec<Listed>> {
    let (functions, access) = (cx.env.log_group(""), cx.env.access_log_group());
    let (mut found, mut gateway) = tokio::try_join!(groups(cx, &functions), groups(cx, &access))?;
    gateway.retain(|group| group.name == access);
    found.extend(gateway);
    Ok(found)
}

/// The names of those that may belong to the stage and have deletion protection.
///
/// # Errors
/// When CloudWatch Logs can't be asked.
pub async fn protected(cx: &Run) -> Result<Vec<String>> {
    let groups = candidates(cx).await?.into_iter().filter(|group| group.protected);
    Ok(groups.map(|group| group.name).collect())
}

/// Deletes the log groups that AWS has created again since this run deleted them.
///
/// # Errors
/// When CloudWatch Logs can't be asked.
pub async fn delete_again(cx: &Run) -> Result<()> {
    let names = deleted(cx).clone();
    for Listed { name, retention_days, arn, .. } in candidates(cx).await? {
        if !names.contains(&name) {
            continue;
        }
        let Some(tags) = tags(cx, &arn).await? else { continue };
        if is_made_by_aws(cx, &name, retention_days, &tags).await? {
            LogGroup::delete(cx, &name).await?;
        }
    }
    Ok(())
}

fn deleted(cx: &Run) -> MutexGuard<'_, BTreeSet<String>> {
    cx.deleted_log_groups.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resource<Run> for LogGroup {
    const KIND: &'static str = "log group";
    type Output = LogGroupName;
    const EARLY: bool = true;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Run) -> Option<LogGroupName> {
        Some(LogGroupName(self.name.clone()))
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, LogGroupName>>> {
        // DescribeLogGroups matches prefixes: `…-root` finds `…-root-2` too.
        let arn = cx.env.log_group_arn(&self.name);
        let (groups, tags) = tokio::try_join!(groups(cx, &self.name), tags(cx, &arn))?;
        let found = groups.into_iter().find(|group| group.name == self.name);
        let (Some(Listed { name, retention_days, .. }), Some(tags)) = (found, tags) else {
            return Ok(None);
        };
        let made_by_aws = is_made_by_aws(cx, &name, retention_days, &tags).await?;
        Ok(Some(Live {
            owner: if made_by_aws { Owner::Ours } else { owner(&cx.env, &tags) },
            output: LogGroupName(name.clone()),
            id: name.clone(),
            props: Self { name, retention_days, made_by_aws },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<LogGroupName> {
        let tags = || Some(cx.env.tags().into_iter().collect());
        let request =
            || cx.logs.create_log_group().log_group_name(&self.name).set_tags(tags()).send();
        let make = || cx.call("logs:CreateLogGroup", request);
        let exists = |failure: &Failure| failure.is("ResourceAlreadyExistsException");
        if let Made::Adopted(name) = make_or_adopt(make, exists, || adopt(self, cx)).await? {
            return Ok(name);
        }
        self.retain(cx).await?;
        Ok(LogGroupName(self.name.clone()))
    }

    async fn update(&self, cx: &Run, live: &Live<Self, LogGroupName>) -> Result<LogGroupName> {
        if live.props.made_by_aws {
            self.tag(cx).await?;
        }
        if live.props.retention_days != self.retention_days {
            self.retain(cx).await?;
        }
        Ok(live.output.clone())
    }

    async fn delete(cx: &Run, id: &str) -> Result<()> {
        turn().await?; // what wrote there must be gone
        deleted(cx).insert(id.to_owned());
        let request = || cx.logs.delete_log_group().log_group_name(id).send();
        gone(cx.call("logs:DeleteLogGroup", request).await)
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let groups = candidates(cx).await?.into_iter().map(
            async |Listed { name, retention_days: days, arn, .. }| {
                let Some(tags) = tags(cx, &arn).await? else { return Ok::<_, anyhow::Error>(None) };
                let ours =
                    is_ours(&cx.env, &tags) || is_made_by_aws(cx, &name, days, &tags).await?;
                Ok(ours.then(|| Owned { id: name.clone(), name }))
            },
        );
        Ok(try_join_all(groups).await?.into_iter().flatten().collect())
    }
}
