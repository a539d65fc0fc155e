//! The IAM role that a function runs as.

use super::grant::Identity;
use super::ownership::{adopt, gone, is_ours, owner};
use crate::aws::{Failure, Missing};
use crate::engine::{Live, Owned, Resource};
use crate::env::{Env, Tags};
use crate::ids::RoleArn;
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::{Context, Result};
use aws_sdk_iam::types::Tag;
use futures_util::future::{join_all, try_join_all};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A role with the policies that are written into it, and nothing else.
#[derive(Clone, Debug, Serialize)]
pub struct Role {
    #[serde(skip)]
    pub name: String,
    /// Which a role has from the beginning and for good.
    #[serde(skip)]
    pub path: String,
    /// Who may take the role on.
    pub trust: Value,
    /// Inline policies by name.
    pub policies: BTreeMap<String, Value>,
    /// ARNs of the managed policies that are attached, in order. A function's role has none.
    pub attached: Vec<String>,
    /// ARN of the policy beyond which no other can give it rights. Where we want none, one that somebody
    /// has set stays, and isn't looked at.
    pub boundary: Option<String>,
}

impl Role {
    /// The role of a function that may write to its own log group, send traces and do nothing else. It may
    /// not even create the group: a late log line must not bring back one that was deleted. Traces are
    /// nobody's in particular: AWS knows no narrower resource for them (Service Authorization Reference).
    pub fn for_function(env: &Env, function: &str, boundary: Option<String>) -> Self {
        let log_group_arn = env.log_group_arn(&env.log_group(function));
        let write = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [format!("{log_group_arn}:*")],
            }],
        });
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["sts:AssumeRole"],
                "Principal": { "Service": ["lambda.amazonaws.com"] },
            }],
        });
        let trace = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
                "Resource": ["*"],
            }],
        });
        let policies = [("write-logs", write), ("send-traces", trace)]
            .map(|(name, policy)| (name.to_owned(), canonical(policy)))
            .into();
        let (name, path) = (env.role(function), env.role_path());
        Self { name, path, trust: canonical(trust), policies, attached: vec![], boundary }
    }

    async fn attach(&self, cx: &Run, arn: &str) -> Result<()> {
        let request = || cx.iam.attach_role_policy().role_name(&self.name).policy_arn(arn).send();
        cx.call_new("iam:AttachRolePolicy", request).await?;
        Ok(())
    }

    /// A role without any rights that `$LATEST` of a function has for a moment, so that the one that is its own
    /// is set anew. One that a run has left behind is deleted by the next, as every role of the stage that isn't
    /// declared.
    pub fn stand_in(env: &Env, function: &str, boundary: Option<String>) -> Self {
        let policies = BTreeMap::new();
        let role = Self::for_function(env, function, boundary);
        Self { name: env.stand_in_role(function), policies, ..role }
    }

    async fn put_policy(&self, cx: &Run, name: &str, policy: &Value) -> Result<()> {
        let request = || {
            let request = cx.iam.put_role_policy().role_name(&self.name).policy_name(name);
            request.policy_document(policy.to_string()).send()
        };
        cx.call_new("iam:PutRolePolicy", request).await?;
        Ok(())
    }
}

/// A policy in one of its many spellings: IAM takes and returns single strings for lists of one,
/// and lists of actions in any order.
pub(super) fn canonical(policy: Value) -> Value {
    const LISTS: [&str; 6] = ["Action", "NotAction", "Resource", "NotResource", "Service", "AWS"];
    match policy {
        Value::Object(fields) => {
            let field = |(key, value)| match value {
                Value::String(text) if LISTS.contains(&String::as_str(&key)) => {
                    (key, json!([text]))
                }
                Value::Array(mut list) if LISTS.contains(&String::as_str(&key)) => {
                    list.sort_by_key(Value::to_string);
                    (key, Value::Array(list))
                }
                Value::Object(one) if key == "Statement" => {
                    (key, Value::Array(vec![canonical(Value::Object(one))]))
                }
                other => (key, canonical(other)),
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(canonical).collect()),
        other => other,
    }
}

/// IAM hands out its documents percent-encoded.
pub(super) fn decode(document: &str) -> Result<Value> {
    let text = percent_decode_str(document).decode_utf8().context("decoding an IAM policy")?;
    Ok(canonical(serde_json::from_str(&text).context("reading an IAM policy")?))
}

async fn attached(cx: &Run, role: &str) -> Result<Vec<String>> {
    let (mut arns, mut marker) = (vec![], None);
    loop {
        let list = || cx.iam.list_attached_role_policies().role_name(role);
        let request = || list().set_marker(marker.clone()).send();
        let page = cx.call("iam:ListAttachedRolePolicies", request).await.or_missing()?;
        let Some(page) = page else { return Ok(arns) };
        let policies = page.attached_policies.unwrap_or_default().into_iter();
        arns.extend(policies.filter_map(|policy| policy.policy_arn));
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            arns.sort();
            return Ok(arns);
        }
    }
}

async fn policy_names(cx: &Run, role: &str) -> Result<Vec<String>> {
    let (mut names, mut marker) = (vec![], None);
    loop {
        let list = || cx.iam.list_role_policies().role_name(role);
        let request = || list().set_marker(marker.clone()).send();
        let page = cx.call("iam:ListRolePolicies", request).await.or_missing()?;
        let Some(page) = page else { return Ok(names) };
        names.extend(page.policy_names);
        marker = page.marker.filter(|_| page.is_truncated);
        if marker.is_none() {
            return Ok(names);
        }
    }
}

async fn policies(cx: &Run, role: &str) -> Result<BTreeMap<String, Value>> {
    let policies = policy_names(cx, role).await?.into_iter().map(async |name| {
        let request = || cx.iam.get_role_policy().role_name(role).policy_name(&name).send();
        match cx.call("iam:GetRolePolicy", request).await.or_missing()? {
            Some(answer) => Ok(Some((name, decode(&answer.policy_document)?))),
            None => Ok::<_, anyhow::Error>(None),
        }
    });
    Ok(try_join_all(policies).await?.into_iter().flatten().collect())
}

/// The role itself and its tags; lists don't tell the tags.
pub(super) async fn get(cx: &Run, name: &str) -> Result<Option<(aws_sdk_iam::types::Role, Tags)>> {
    let request = || cx.iam.get_role().role_name(name).send();
    let answer = cx.call("iam:GetRole", request).await.or_missing()?;
    let Some(role) = answer.and_then(|answer| answer.role) else { return Ok(None) };
    let tags = role.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    Ok(Some((role, tags)))
}

/// Which role bears this name, or is the last part of this ARN. None where there is none.
///
/// # Errors
/// When IAM can't be asked.
pub(super) async fn identity(cx: &Run, role: &str) -> Result<Option<Identity>> {
    let found = get(cx, role.rsplit('/').next().unwrap_or_default()).await?;
    Ok(found.map(|(role, _)| Identity { id: role.role_id, created: role.create_date }))
}

impl Resource<Run> for Role {
    const KIND: &'static str = "role";
    type Output = RoleArn;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, cx: &Run) -> Option<RoleArn> {
        Some(RoleArn::new(cx.env.iam_arn(&format!("role{}{}", self.path, self.name))))
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, RoleArn>>> {
        let (role, policies, attached) =
            tokio::join!(get(cx, &self.name), policies(cx, &self.name), attached(cx, &self.name));
        let Some((role, tags)) = role? else { return Ok(None) };
        let trust = decode(role.assume_role_policy_document().unwrap_or("null"))?;
        let boundary = role.permissions_boundary().and_then(|set| set.permissions_boundary_arn());
        let boundary = boundary.filter(|_| self.boundary.is_some()).map(ToOwned::to_owned);
        let (policies, attached) = (policies?, attached?);
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            id: role.role_name.clone(),
            props: Self {
                name: role.role_name.clone(),
                path: role.path.clone(),
                trust,
                policies,
                attached,
                boundary,
            },
            output: RoleArn::with_id(role.arn, role.role_id),
        }))
    }

    async fn create(&self, cx: &Run) -> Result<RoleArn> {
        let tag = |(k, v): (&String, &String)| Tag::builder().key(k).value(v).build().ok();
        let tags: Vec<Tag> = cx.env.tags().iter().filter_map(tag).collect();
        let request = || {
            let request = cx.iam.create_role().role_name(&self.name).path(&self.path);
            let request = request.set_permissions_boundary(self.boundary.clone());
            let request = request.assume_role_policy_document(self.trust.to_string());
            request.set_tags(Some(tags.clone())).send()
        };
        let make = || cx.call("iam:CreateRole", request);
        let exists = |failure: &Failure| failure.is("EntityAlreadyExists");
        let created = match make_or_adopt(make, exists, || adopt(self, cx)).await? {
            Made::Adopted(arn) => return Ok(arn),
            Made::New(created) => created,
        };
        let put = self.policies.iter().map(|(name, policy)| self.put_policy(cx, name, policy));
        let attach = self.attached.iter().map(|arn| self.attach(cx, arn));
        let (put, attached) = tokio::join!(join_all(put), join_all(attach));
        put.into_iter().chain(attached).collect::<Result<()>>()?;
        let arn = created.role.map(|role| RoleArn::with_id(role.arn, role.role_id));
        arn.or_else(|| self.foretell(cx)).context("IAM told no ARN of the new role")
    }

    async fn update(&self, cx: &Run, live: &Live<Self, RoleArn>) -> Result<RoleArn> {
        let (name, is) = (&self.name, &live.props);
        if is.trust != self.trust {
            let request = || {
                let request = cx.iam.update_assume_role_policy().role_name(name);
                request.policy_document(self.trust.to_string()).send()
            };
            cx.call("iam:UpdateAssumeRolePolicy", request).await?;
        }
        // Before any right that it might have to hold back.
        if let Some(boundary) = self.boundary.as_ref().filter(|_| is.boundary != self.boundary) {
            let request = || {
                let request = cx.iam.put_role_permissions_boundary().role_name(name);
                request.permissions_boundary(boundary).send()
            };
            cx.call("iam:PutRolePermissionsBoundary", request).await?;
        }
        for (policy, document) in &self.policies {
            if is.policies.get(policy) != Some(document) {
                self.put_policy(cx, policy, document).await?;
            }
        }
        for arn in self.attached.iter().filter(|arn| !is.attached.contains(arn)) {
            self.attach(cx, arn).await?;
        }
        // What goes, goes last: the role must have its permissions all the time.
        for policy in is.policies.keys().filter(|policy| !self.policies.contains_key(*policy)) {
            let request = || cx.iam.delete_role_policy().role_name(name).policy_name(policy).send();
            gone(cx.call("iam:DeleteRolePolicy", request).await)?;
        }
        for policy in is.attached.iter().filter(|policy| !self.attached.contains(policy)) {
            let request = || cx.iam.detach_role_policy().role_name(name).policy_arn(policy).send();
            gone(cx.call("iam:DetachRolePolicy", request).await)?;
        }
        Ok(live.output.clone())
    }

    async fn delete(cx: &Run, id: &str) -> Result<()> {
        let (inline, attached) = tokio::try_join!(policy_names(cx, id), attached(cx, id))?;
        let delete = inline.iter().map(async |policy| {
            let request = || cx.iam.delete_role_policy().role_name(id).policy_name(policy).send();
            gone(cx.call("iam:DeleteRolePolicy", request).await)
        });
        let detach = attached.iter().map(async |policy| {
            let request = || cx.iam.detach_role_policy().role_name(id).policy_arn(policy).send();
            gone(cx.call("iam:DetachRolePolicy", request).await)
        });
        let (deleted, detached) = tokio::join!(join_all(delete), join_all(detach));
        deleted.into_iter().chain(detached).collect::<Result<()>>()?;
        gone(cx.call("iam:DeleteRole", || cx.iam.delete_role().role_name(id).send()).await)
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let (mut names, mut marker) = (vec![], None);
        loop {
            let request = || {
                let request = cx.iam.list_roles().path_prefix(cx.env.role_path());
                request.set_marker(marker.clone()).send()
            };
            let page = cx.call("iam:ListRoles", request).await?;
            names.extend(page.roles.into_iter().map(|role| role.role_name));
            marker = page.marker.filter(|_| page.is_truncated);
            if marker.is_none() {
                break;
            }
        }
        // IAM knows no regions: leave those of the same stage elsewhere alone.
        let is_here = |name: &String| {
            let rest = name.strip_suffix(&cx.env.region);
            rest.is_some_and(|rest| rest.ends_with(['-', '.']))
        };
        let here = names.into_iter().filter(is_here).map(async |name| {
            let ours = get(cx, &name).await?.is_some_and(|(_, tags)| is_ours(&cx.env, &tags));
            Ok::<_, anyhow::Error>(ours.then(|| Owned { id: name.clone(), name }))
        });
        Ok(try_join_all(here).await?.into_iter().flatten().collect())
    }
}
