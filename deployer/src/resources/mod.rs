//! Every AWS call of the deployer, one kind of resource a file, simplest first.
//!
//! Each file has the wish (a struct; what serialises is compared), then the five verbs of
//! [`Resource`]. Each wish reads itself back from AWS, so there is no code for differences here.
//! What AWS does that one wouldn't expect stands where it is dealt with.

mod api_key;
mod artifact;
mod bucket;
mod function;
mod log_group;
mod parameter;
mod permission;
mod rest_api;
mod role;
mod stage;
mod usage_plan;

pub use api_key::{ApiKey, ApiKeyId};
pub use artifact::{Artifact, ArtifactKey};
pub use bucket::{Bucket, BucketName};
pub use function::{AliasArn, CURRENT, Config, Function, served_code};
pub use log_group::{LogGroup, LogGroupName};
pub use parameter::{Parameter, SecretParameter, fact};
pub use permission::Permission;
pub use rest_api::{ApiId, RestApi, Route, api_id};
pub use role::{Role, RoleArn};
pub use stage::{Stage, StageName, Throttle};
pub use usage_plan::{Limits, UsagePlan, stage_of};

use crate::aws::{Aws, Failure};
use crate::engine::{Kind, Owner, Resource};
use crate::env::{Env, Tags};
use anyhow::Result;

/// Every kind, after those that it may use: what is no longer declared goes after all that might
/// still use it. A function, for one, goes when the API has no route to it, and before its role
/// and its logs.
pub fn kinds() -> Vec<Kind<Aws>> {
    vec![
        Kind::of::<LogGroup>(&[]),
        Kind::of::<Parameter>(&[]),
        Kind::of::<Role>(&[]),
        Kind::of::<Bucket>(&[]),
        Kind::of::<Artifact>(&["bucket"]),
        Kind::of::<Function>(&["artifact", "log group", "role"]),
        Kind::of::<RestApi>(&["function"]),
        Kind::of::<Permission>(&["function", "rest api"]),
        Kind::of::<Stage>(&["rest api", "permission"]),
        Kind::of::<ApiKey>(&[]),
        Kind::of::<UsagePlan>(&["stage", "api key"]),
    ]
}

/// Declares the outputs that others may use, each its own type: passing the wrong one must not
/// compile.
macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}
use outputs;

/// Whose a resource is: ours if it bears all our tags.
fn owner(env: &Env, tags: &Tags) -> Owner {
    let ours = env.tags();
    if ours.iter().all(|(key, value)| tags.get(key) == Some(value)) {
        return Owner::Ours;
    }
    let show = |(key, value): (&String, &String)| format!("{key}={value}");
    let list = |tags: &Tags| tags.iter().map(show).collect::<Vec<_>>().join(" ");
    Owner::Other(match tags.is_empty() {
        true => format!("it has no tags (ours would be {})", list(&ours)),
        false => format!("its tags are {} (ours would be {})", list(tags), list(&ours)),
    })
}

fn is_ours(env: &Env, tags: &Tags) -> bool {
    owner(env, tags) == Owner::Ours
}

/// After "it exists already": an answer of AWS was lost, or somebody was quicker. If what is there
/// is ours, it is brought up to date; if not, it isn't touched.
async fn adopt<R: Resource<Aws>>(wanted: &R, cx: &Aws, failure: Failure) -> Result<R::Output> {
    match wanted.read(cx).await? {
        Some(live) if live.owner == Owner::Ours => wanted.update(cx, &live).await,
        _ => Err(failure.into()),
    }
}

/// Deleting what is gone already is success.
fn gone<T>(result: Result<T, Failure>) -> Result<()> {
    match result {
        Err(failure) if !failure.is_missing() => Err(failure.into()),
        _ => Ok(()),
    }
}

/// Tags of an API Gateway object: those that a list told, else asked for.
async fn gateway_tags(
    cx: &Aws,
    path: &str,
    told: Option<std::collections::HashMap<String, String>>,
) -> Result<Tags> {
    if let Some(tags) = told.filter(|tags| !tags.is_empty()) {
        return Ok(tags.into_iter().collect());
    }
    let arn = cx.env.gateway_arn(path);
    let answer =
        cx.call("apigateway:GetTags", || cx.apigateway.get_tags().resource_arn(&arn).send());
    let answer = crate::aws::Missing::or_missing(answer.await)?;
    Ok(answer.and_then(|answer| answer.tags).unwrap_or_default().into_iter().collect())
}
