//! API Gateway's settings in this account and region, of which there is one copy for everybody: the
//! role as which it writes logs.

use crate::aws::Failure;
use crate::engine::{Live, Owner, Resource};
use crate::retry::{Made, make_or_adopt};
use crate::run::Run;
use anyhow::{Result, bail};
use aws_sdk_apigateway::types::{Op, PatchOperation};
use aws_sdk_iam::types::Tag;
use serde::Serialize;
use serde_json::json;

/// That API Gateway may write logs. Where a role is set, whoever set it, it is left as it is. Where none
/// is, one is made that belongs to account and region instead of a stage: it bears no stage's tags, so no
/// `destroy` finds it, for other stages and other people's APIs write their logs with it by then.
#[derive(Debug, Serialize)]
pub struct GatewayAccount {
    pub may_write_logs: bool,
}

/// On the role, so that people see where it comes from. It is not among a stage's tags.
const MADE_BY: (&str, &str) = ("managed-by", "deployer");

async fn role_is_set(cx: &Run) -> Result<Option<String>> {
    let answer = cx.call("apigateway:GetAccount", || cx.apigateway.get_account().send()).await?;
    Ok(answer.cloudwatch_role_arn.filter(|arn| !arn.is_empty()))
}

/// The ARN of the role of that name, if it is one that was made here.
async fn our_role(cx: &Run, name: &str) -> Result<Option<String>> {
    let Some((role, tags)) = super::role::get(cx, name).await? else { return Ok(None) };
    if tags.get(MADE_BY.0).map(String::as_str) != Some(MADE_BY.1) {
        bail!(
            "API Gateway has no role to write logs as in this account, and the one that would be made for it, \
             {name}, exists and is not ours; give API Gateway a role (Settings in its console), or delete \
             that one"
        );
    }
    Ok(Some(role.arn))
}

async fn make_role(cx: &Run, name: &str) -> Result<String> {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": { "Service": "apigateway.amazonaws.com" },
        }],
    });
    let tag = Tag::builder().key(MADE_BY.0).value(MADE_BY.1).build()?;
    let request = || {
        let request = cx.iam.create_role().role_name(name).tags(tag.clone());
        request.assume_role_policy_document(trust.to_string()).send()
    };
    let make = || cx.call("iam:CreateRole", request);
    let exists = |failure: &Failure| failure.is("EntityAlreadyExists");
    let arn = match make_or_adopt(make, exists, || our_role(cx, name)).await? {
        Made::Adopted(arn) => arn,
        Made::New(made) => made.role.map(|role| role.arn).unwrap_or_default(),
    };
    let policy = cx.env.gateway_log_policy();
    let attach = || cx.iam.attach_role_policy().role_name(name).policy_arn(&policy).send();
    cx.call_new("iam:AttachRolePolicy", attach).await?;
    Ok(arn)
}

impl Resource<Run> for GatewayAccount {
    const KIND: &'static str = "api gateway account";
    type Output = ();

    fn name(&self) -> String {
        "logging role".to_owned()
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ()>>> {
        let role = role_is_set(cx).await?;
        Ok(role.map(|arn| Live {
            props: Self { may_write_logs: true },
            output: (),
            id: arn,
            owner: Owner::Ours, // nothing about it is ever changed
        }))
    }

    async fn create(&self, cx: &Run) -> Result<()> {
        let arn = make_role(cx, &cx.env.gateway_log_role()).await?;
        if role_is_set(cx).await?.is_some() {
            return Ok(()); // somebody was quicker
        }
        let set = PatchOperation::builder().op(Op::Replace).path("/cloudwatchRoleArn").value(arn);
        let set = set.build();
        let request = || cx.apigateway.update_account().patch_operations(set.clone()).send();
        cx.call("apigateway:UpdateAccount", request).await?;
        Ok(())
    }

    async fn update(&self, _: &Run, _: &Live<Self, ()>) -> Result<()> {
        Ok(())
    }

    /// Never: it is everybody's.
    async fn delete(_: &Run, _: &str) -> Result<()> {
        Ok(())
    }
}
