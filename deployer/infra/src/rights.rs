//! The rights that the deployer needs: one table of every operation it calls, and the least policy that
//! follows from it.
//!
//! A policy is narrowed to one stage: by names where they follow from app and stage, and by tags in API
//! Gateway, where ids are AWS's. Two things it can't tell apart: functions and logs of a stage whose name
//! begins with this one's and a hyphen (`dev` and `dev-2`), and whose tags a `PUT` to API Gateway's
//! `/tags` sets, for while a thing is made it has no id yet.

mod question;
mod steps;
mod table;

use crate::env::Env;
use clap::ValueEnum;
pub use question::{Answer, Denial, Missing, Question, questions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
pub use steps::{Needs, needs};
pub use table::TABLE;

/// Service principal of API Gateway's service-linked role.
const GATEWAY_SERVICE: &str = "ops.apigateway.amazonaws.com";

/// What the rights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    // And rollback, and all that reads.
    Deploy,
    Destroy,
    // Plan compares the key, so whoever may read may read that.
    Read,
    // All of these, which is what `ci-role` gives.
    All,
    // Make and delete the role as which CI deploys.
    CiRole,
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
    /// Parameters that are made with tags.
    ParameterTags,
    LogGroups,
    /// One that isn't there has no path yet, so it is known by its name.
    Roles,
    /// Those that are made and given rights, under the boundary that `stack.rs` names; where it names
    /// none, they are [`On::Roles`] like any other.
    BoundedRoles,
    /// Roles that are handed to Lambda.
    LambdaRoles,
    Functions,
    /// Event source mappings of these functions.
    Mappings,
    /// APIs, keys and usage plans, whoever's: lists tell of all, and tags whose they are.
    AnyApi,
    /// All custom domains of the account and region: one may map to the API.
    DomainNames,
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
    /// Who deploys: a right to ask IAM what one may, without which a run finds out on its way.
    OwnRights,
    /// The role that API Gateway makes for itself with the first API of an account.
    ServiceLinkedRole,
    /// The role as which CI deploys.
    CiRole,
    /// The managed policies of that role.
    CiPolicies,
    /// GitHub, as an account knows it.
    OidcProvider,
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
            // For the tags of a new parameter SSM was seen to check the ARN with two slashes
            // (pepperize/cdk-ssm-parameters-cross-region#442); by its documentation it has one.
            Self::ParameterTags => {
                let path = env.parameter_path();
                let arn = |slash| {
                    format!("arn:{partition}:ssm:{region}:{account}:parameter{slash}{path}/*")
                };
                vec![arn(""), arn("/")]
            }
            // Some operations name the group, some its streams; `*` doesn't end at a colon.
            Self::LogGroups => {
                let access = env.log_group_arn(&env.access_log_group());
                vec![env.log_group_arn(&env.log_group("*")), format!("{access}:*"), access]
            }
            Self::Roles | Self::BoundedRoles => {
                vec![env.role_arn("*"), env.iam_arn(&format!("role/{}-*", env.name()))]
            }
            Self::LambdaRoles => vec![env.role_arn("*")],
            // With a version or an alias, too: `*` doesn't end at a colon.
            Self::Functions => vec![env.function_arn(&env.function("*"))],
            // Their ids are AWS's.
            Self::Mappings => {
                vec![format!("arn:{partition}:lambda:{region}:{account}:event-source-mapping:*")]
            }
            Self::AnyApi => gateway(&["/restapis*", "/apikeys*", "/usageplans*", "/tags/*"]),
            Self::DomainNames => gateway(&["/domainnames", "/domainnames/*"]),
            Self::NewApi => gateway(&["/restapis", "/apikeys", "/usageplans"]),
            Self::OurApi => gateway(&["/restapis/*", "/apikeys/*", "/usageplans/*"]),
            Self::ApiTags => gateway(&["/tags/*"]),
            Self::ApiAccount => gateway(&["/account"]),
            Self::LogRole | Self::LogRolePolicy | Self::LogRolePassed => {
                vec![env.iam_arn(&format!("role/{}", env.gateway_log_role()))]
            }
            // A policy can name the user who asks, and no role that does: so CI's alone.
            Self::OwnRights => {
                let ci = env.iam_arn(&format!("role{}*", env.ci_role_path()));
                vec![ci, env.iam_arn("user/${aws:username}")]
            }
            // It is known by its name as long as it isn't there.
            Self::CiRole => [&env.ci_role_path(), "/"]
                .map(|path| env.iam_arn(&format!("role{path}{}", env.ci_role())))
                .into(),
            Self::CiPolicies => vec![env.ci_policy_arn("*")],
            // API Gateway: "Using service-linked roles for API Gateway".
            Self::ServiceLinkedRole => {
                let role = format!("{GATEWAY_SERVICE}/AWSServiceRoleForAPIGateway");
                vec![env.iam_arn(&format!("role/aws-service-role/{role}"))]
            }
            Self::OidcProvider => vec![crate::ci::provider_arn(env)],
            Self::Alarms => vec![env.alarm_arn(&format!("{}-*", env.name()))],
            Self::Dashboard => vec![env.dashboard_arn(&env.dashboard())],
            Self::All => vec!["*".to_owned()],
        }
    }

    fn condition(self, env: &Env, boundary: Option<&str>) -> Option<Value> {
        let tags = |kind: &str| {
            let tag = |(key, value)| (format!("aws:{kind}/{key}"), value);
            env.tags().into_iter().map(tag).collect::<BTreeMap<_, _>>()
        };
        if self == Self::Mappings {
            let functions = env.function_arn(&env.function("*"));
            return Some(json!({ "ArnLike": { "lambda:FunctionArn": functions } }));
        }
        match self {
            Self::LambdaRoles => Some(json!({ "iam:PassedToService": "lambda.amazonaws.com" })),
            Self::LogRolePassed => {
                Some(json!({ "iam:PassedToService": "apigateway.amazonaws.com" }))
            }
            Self::BoundedRoles => boundary.map(|policy| {
                json!({ "iam:PermissionsBoundary": env.iam_arn(&format!("policy/{policy}")) })
            }),
            Self::LogRolePolicy => Some(json!({ "iam:PolicyARN": env.gateway_log_policy() })),
            Self::ServiceLinkedRole => Some(json!({ "iam:AWSServiceName": GATEWAY_SERVICE })),
            Self::NewApi => Some(json!(tags("RequestTag"))),
            Self::OurApi => Some(json!(tags("ResourceTag"))),
            _ => None,
        }
        .map(|equal| json!({ "StringEquals": equal }))
    }
}

/// Actions of IAM by what they are about, for one mode.
pub fn needed(mode: Mode, boundary: Option<&str>) -> BTreeMap<On, BTreeSet<&'static str>> {
    let of_mode = |operation: &&Operation| match mode {
        Mode::All => [Mode::Deploy, Mode::Destroy, Mode::Read]
            .iter()
            .any(|mode| operation.modes.contains(mode)),
        _ => operation.modes.contains(&mode),
    };
    let operations = TABLE.iter().filter(of_mode).flat_map(|operation| operation.needs);
    let of_ci_role = table::CI_ROLE.iter().filter(|_| mode == Mode::CiRole);
    let mut needed: BTreeMap<On, BTreeSet<&'static str>> = BTreeMap::new();
    for (action, on) in operations.chain(of_ci_role) {
        if let Some(on) = within(boundary, action, *on) {
            needed.entry(on).or_default().insert(*action);
        }
    }
    needed
}

/// Without a boundary its roles are like others, and nobody sets one.
fn within(boundary: Option<&str>, action: &str, on: On) -> Option<On> {
    match (on, boundary) {
        (On::BoundedRoles, None) if action == "iam:PutRolePermissionsBoundary" => None,
        (On::BoundedRoles, None) => Some(On::Roles),
        _ => Some(on),
    }
}

/// The least policies with which a verb of `mode` does all that it may have to do, by a short name. A managed policy
/// has at most 6,144 characters (IAM quotas), so there are several.
pub fn policies(env: &Env, mode: Mode, boundary: Option<&str>) -> BTreeMap<&'static str, Value> {
    let mut policies: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (on, actions) in needed(mode, boundary) {
        let mut parts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for action in actions {
            parts.entry(policy_of(action)).or_default().insert(action);
        }
        for (policy, actions) in parts {
            let mut statement = json!({
                "Sid": format!("{on:?}"),
                "Effect": "Allow",
                "Action": actions,
                "Resource": on.resources(env),
            });
            if let Some(condition) = on.condition(env, boundary) {
                statement["Condition"] = condition;
            }
            policies.entry(policy).or_default().push(statement);
        }
    }
    let document = |statements| json!({ "Version": "2012-10-17", "Statement": statements });
    policies.into_iter().map(|(name, statements)| (name, document(statements))).collect()
}

/// The policy that holds the actions of a service: all of one service are in one. They are few, because a user or a
/// role takes ten (IAM quotas), and a user who deploys several stages needs those of each.
fn policy_of(action: &str) -> &'static str {
    match service(action) {
        "apigateway" | "lambda" => "api",
        "iam" => "iam",
        _ => "data", // S3, SSM, CloudWatch and its Logs
    }
}

/// `lambda` of `lambda:GetFunction`.
fn service(action: &str) -> &str {
    action.split(':').next().unwrap_or(action)
}

#[cfg(test)]
mod tests;
