//! The rights that the deployer needs: one table of every operation it calls, and the least policy that
//! follows from it.
//!
//! A policy is narrowed to one stage: by names where they follow from app and stage, and by tags in API
//! Gateway, where ids are AWS's. Two things it can't tell apart: functions and logs of a stage whose name
//! begins with this one's and a hyphen (`dev` and `dev-2`), and whose tags a `PUT` to API Gateway's
//! `/tags` sets, for while a thing is made it has no id yet.

mod table;

use crate::env::Env;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
pub use table::TABLE;

/// What the rights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    // And rollback, and all that reads.
    Deploy,
    Destroy,
    // Plan compares the key, so whoever may read may read that.
    Read,
}

/// An operation as calls name it, what asks for it, and what IAM wants for it.
pub struct Operation {
    pub name: &'static str,
    pub modes: &'static [Mode],
    pub needs: &'static [(&'static str, On)],
}

/// What a right is about. Each is one statement of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    Bucket,
    Objects,
    Parameters,
    LogGroups,
    /// One that isn't there has no path yet, so it is known by its name.
    Roles,
    /// Roles that are handed to Lambda.
    LambdaRoles,
    Functions,
    /// APIs, keys and usage plans, whoever's: lists tell of all, and tags whose they are.
    AnyApi,
    /// Those that are being made.
    NewApi,
    /// Those that bear our tags; what is below one bears them too (API Gateway: "Tag inheritance").
    OurApi,
    ApiTags,
    /// API Gateway's settings, one copy for everybody in account and region.
    ApiAccount,
    /// The role as which API Gateway writes logs, everybody's too.
    LogRole,
    /// The one policy that it may be given.
    LogRolePolicy,
    /// That role, handed to API Gateway.
    LogRolePassed,
    Alarms,
    Dashboard,
    /// What has no ARN to narrow it by.
    All,
}

impl On {
    fn resources(self, env: &Env) -> Vec<String> {
        let Env { partition, region, account, .. } = env;
        let gateway = |paths: &[&str]| paths.iter().map(|path| env.gateway_arn(path)).collect();
        match self {
            Self::Bucket => vec![env.bucket_arn()],
            Self::Objects => vec![format!("{}/*", env.bucket_arn())],
            Self::Parameters => {
                let path = env.parameter_path();
                let arn = format!("arn:{partition}:ssm:{region}:{account}:parameter{path}");
                vec![format!("{arn}/*"), arn]
            }
            // Some operations name the group, some its streams.
            Self::LogGroups => {
                let functions = env.log_group_arn(&env.log_group("*"));
                let access = env.log_group_arn(&env.access_log_group());
                let groups = [functions, access];
                groups.into_iter().flat_map(|arn| [format!("{arn}:*"), arn]).collect()
            }
            Self::Roles => {
                let named = format!("arn:{partition}:iam::{account}:role/{}-*", env.name());
                vec![env.role_arn("*"), named]
            }
            Self::LambdaRoles => vec![env.role_arn("*")],
            // With a version or an alias, too: `*` doesn't end at a colon.
            Self::Functions => vec![env.function_arn(&env.function("*"))],
            Self::AnyApi => gateway(&["/restapis*", "/apikeys*", "/usageplans*", "/tags/*"]),
            Self::NewApi => gateway(&["/restapis", "/apikeys", "/usageplans"]),
            Self::OurApi => gateway(&["/restapis/*", "/apikeys/*", "/usageplans/*"]),
            Self::ApiTags => gateway(&["/tags/*"]),
            Self::ApiAccount => gateway(&["/account"]),
            Self::LogRole | Self::LogRolePolicy | Self::LogRolePassed => {
                vec![format!("arn:{partition}:iam::{account}:role/{}", env.gateway_log_role())]
            }
            Self::Alarms => vec![env.alarm_arn(&format!("{}-*", env.name()))],
            Self::Dashboard => vec![env.dashboard_arn(&env.dashboard())],
            Self::All => vec!["*".to_owned()],
        }
    }

    fn condition(self, env: &Env) -> Option<Value> {
        let tags = |kind: &str| {
            let tag = |(key, value)| (format!("aws:{kind}/{key}"), value);
            env.tags().into_iter().map(tag).collect::<BTreeMap<_, _>>()
        };
        match self {
            Self::LambdaRoles => Some(json!({ "iam:PassedToService": "lambda.amazonaws.com" })),
            Self::LogRolePassed => {
                Some(json!({ "iam:PassedToService": "apigateway.amazonaws.com" }))
            }
            Self::LogRolePolicy => Some(json!({ "iam:PolicyARN": env.gateway_log_policy() })),
            Self::NewApi => Some(json!(tags("RequestTag"))),
            Self::OurApi => Some(json!(tags("ResourceTag"))),
            _ => None,
        }
        .map(|equal| json!({ "StringEquals": equal }))
    }
}

/// Actions of IAM by what they are about, for one mode.
pub fn needed(mode: Mode) -> BTreeMap<On, BTreeSet<&'static str>> {
    let mut needed: BTreeMap<On, BTreeSet<&'static str>> = BTreeMap::new();
    for operation in TABLE.iter().filter(|operation| operation.modes.contains(&mode)) {
        for (action, on) in operation.needs {
            needed.entry(*on).or_default().insert(*action);
        }
    }
    needed
}

/// The least policy with which a verb of `mode` does all that it may have to do.
pub fn policy(env: &Env, mode: Mode) -> Value {
    let statement = |(on, actions): (On, BTreeSet<&str>)| {
        let mut statement = json!({
            "Sid": format!("{on:?}"),
            "Effect": "Allow",
            "Action": actions,
            "Resource": on.resources(env),
        });
        if let Some(condition) = on.condition(env) {
            statement["Condition"] = condition;
        }
        statement
    };
    let statements: Vec<Value> = needed(mode).into_iter().map(statement).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[cfg(test)]
mod tests;
