//! A CloudWatch log group with an end to its memory.

use super::{Aws, adopt, gone, is_ours, outputs, owner};
use crate::aws::Missing;
use crate::engine::{Live, Owned, Resource};
use crate::env::Tags;
use anyhow::Result;
use serde::Serialize;

outputs! { LogGroupName }

/// Made before its function: Lambda would make it itself, without retention or tags.
#[derive(Debug, Serialize)]
pub struct LogGroup {
    #[serde(skip)]
    pub name: String,
    /// One of the numbers that PutRetentionPolicy allows. None on a live group: kept for ever.
    pub retention_days: Option<i32>,
}

impl LogGroup {
    async fn retain(&self, cx: &Aws) -> Result<()> {
        let request = || cx.logs.put_retention_policy().log_group_name(&self.name);
        if let Some(days) = self.retention_days {
            cx.call_new("logs:PutRetentionPolicy", || request().retention_in_days(days).send())
                .await?;
        }
        Ok(())
    }
}

/// Groups whose name begins so, with name, retention and ARN (the form without `:*`, the only one
/// that the tagging calls take).
async fn groups(cx: &Aws, prefix: &str) -> Result<Vec<(String, Option<i32>, String)>> {
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
            found.push((name, group.retention_in_days(), arn));
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
}

async fn tags(cx: &Aws, arn: &str) -> Result<Option<Tags>> {
    let request = || cx.logs.list_tags_for_resource().resource_arn(arn).send();
    let answer = cx.call("logs:ListTagsForResource", request).await.or_missing()?;
    Ok(answer.map(|answer| answer.tags.unwrap_or_default().into_iter().collect()))
}

impl Resource<Aws> for LogGroup {
    const KIND: &'static str = "log group";
    type Output = LogGroupName;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Aws) -> Option<LogGroupName> {
        Some(LogGroupName(self.name.clone()))
    }

    async fn read(&self, cx: &Aws) -> Result<Option<Live<Self, LogGroupName>>> {
        // DescribeLogGroups matches prefixes: `…-root` finds `…-root-2` too.
        let groups = groups(cx, &self.name).await?;
        let Some((name, retention_days, arn)) = groups.into_iter().find(|(n, ..)| *n == self.name)
        else {
            return Ok(None);
        };
        let Some(tags) = tags(cx, &arn).await? else { return Ok(None) };
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: LogGroupName(name.clone()),
            id: name.clone(),
            props: Self { name, retention_days },
        }))
    }

    async fn create(&self, cx: &Aws) -> Result<LogGroupName> {
        let tags = || Some(cx.env.tags().into_iter().collect());
        let request =
            || cx.logs.create_log_group().log_group_name(&self.name).set_tags(tags()).send();
        match cx.call("logs:CreateLogGroup", request).await {
            Err(failure) if failure.is("ResourceAlreadyExistsException") => {
                return adopt(self, cx, failure).await;
            }
            result => result?,
        };
        self.retain(cx).await?;
        Ok(LogGroupName(self.name.clone()))
    }

    async fn update(&self, cx: &Aws, live: &Live<Self, LogGroupName>) -> Result<LogGroupName> {
        if live.props.retention_days != self.retention_days {
            self.retain(cx).await?;
        }
        Ok(live.output.clone())
    }

    async fn delete(cx: &Aws, id: &str) -> Result<()> {
        let request = || cx.logs.delete_log_group().log_group_name(id).send();
        gone(cx.call("logs:DeleteLogGroup", request).await)
    }

    async fn owned(cx: &Aws) -> Result<Vec<Owned>> {
        let mut owned = vec![];
        for (name, _, arn) in groups(cx, &cx.env.log_group("")).await? {
            if tags(cx, &arn).await?.is_some_and(|tags| is_ours(&cx.env, &tags)) {
                owned.push(Owned { id: name.clone(), name });
            }
        }
        Ok(owned)
    }
}
