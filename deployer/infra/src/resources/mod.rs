//! Every AWS call of the deployer, one kind of resource a file, simplest first.
//!
//! Each file has the wish (a struct; what serialises is compared), then the five verbs of
//! [`Resource`]. Each wish reads itself back from AWS, so there is no code for differences here.
//! What AWS does that one wouldn't expect stands where it is dealt with.

mod alarm;
mod api_key;
mod artifact;
mod attached;
mod bucket;
mod canary;
mod ci_policy;
mod ci_role;
mod cold_starts;
mod concurrency;
mod config;
mod dashboard;
pub mod deployments;
mod encryption;
mod foreign_access;
mod function;
mod gateway_account;
mod grant;
pub mod history;
mod in_flight;
pub mod keys;
mod latest;
mod listed;
mod lists;
mod live_function;
mod log_group;
mod log_lines;
mod method_names;
mod metrics;
mod observation;
mod obstacles;
mod ownership;
mod parameter;
mod permission;
mod proof;
mod prune;
mod pulse;
mod rest_api;
mod restore;
mod role;
pub mod room;
mod serving;
mod simulation;
mod stage;
mod together;
mod usage_plan;
mod versions;

pub use alarm::{Alarm, Measure, ringing};
pub use api_key::{ApiKey, retiring};
pub use artifact::{Artifact, upload_ahead};
pub use attached::Attached;
pub use bucket::Bucket;
pub use canary::{Canary, Withdrawn};
pub use ci_policy::CiPolicy;
pub use ci_role::{CiRole, OidcProvider};
pub use cold_starts::{ColdStarts, cold_starts};
pub use concurrency::{TooMuchReserved, check_reservations, turns_off};
pub use config::Config;
pub use dashboard::Dashboard;
pub use foreign_access::{ForeignAccess, foreign_access, is_foreign, of_api, of_function};
pub use function::Function;
pub use gateway_account::GatewayAccount;
pub use grant::renewal;
pub use in_flight::InFlight;
pub use listed::listed_ids;
pub use lists::Lists;
pub use live_function::{attached_by_hand, is_ours_or_absent, served_code};
pub use log_group::{LogGroup, delete_again};
pub use log_lines::{LogLine, log_lines, log_sources};
pub use observation::Observation;
pub use obstacles::{Blocked, Obstacles};
pub use parameter::{Parameter, SecretParameter, fact};
pub use permission::Permission;
pub use proof::{Disproved, Proof};
pub use prune::Needless;
pub use pulse::{Calls, Pulse, pulse};
pub use rest_api::{RestApi, Route, api_id};
pub use restore::{Lost, Restorable, Unrestorable, lost_versions};
pub use role::Role;
pub use serving::{Otherwise, Serving, serving};
pub use simulation::{Asked, ask_rights};
pub use stage::{Entry, Stage, standing};
pub use together::Together;
pub use usage_plan::{Limits, UsagePlan, gone_stages, stage_of};

use crate::engine::{Action, Kind, Owned, Resource, Step};
use crate::run::Run;

/// Every kind, after those that it may use: what is no longer declared goes after all that might
/// still use it. A function, for one, goes when the API has no route to it, and before its role
/// and its logs. The bucket goes last of all: it holds the lease, under which everything else goes.
pub fn kinds() -> Vec<Kind<Run>> {
    vec![
        Kind::of::<Bucket>(&[]),
        Kind::of::<LogGroup>(&["bucket"]),
        Kind::of::<Parameter>(&["bucket"]),
        Kind::of::<Role>(&["bucket"]),
        Kind::of::<Artifact>(&["bucket"]),
        Kind::of::<Function>(&["artifact", "log group", "role"]),
        Kind::of::<RestApi>(&["function"]),
        Kind::of::<Permission>(&["function", "rest api"]),
        Kind::of::<GatewayAccount>(&[]),
        Kind::of::<Stage>(&["rest api", "permission", "function", "api gateway account"]),
        Kind::of::<Alarm>(&["bucket"]),
        Kind::of::<Dashboard>(&["bucket"]),
        Kind::of::<ApiKey>(&["bucket"]),
        Kind::of::<UsagePlan>(&["stage", "api key"]),
    ]
}

/// Whether this is needed, though the stack doesn't declare it any more: a function, with its role,
/// its logs and its alarms, which a release that is kept served; a key that was rotated, until its time is over.
pub fn needed(cx: &Run, releases_kept: usize, kind: &str, Owned { name, id }: &Owned) -> bool {
    if kind == ApiKey::KIND {
        return retiring(cx).contains_key(id);
    }
    let records = history::known(cx);
    let kept = history::kept(&records, releases_kept);
    let mut functions = kept.iter().flat_map(|record| record.functions.keys());
    functions.any(|short| match kind {
        "function" => cx.env.function(short) == *name,
        "role" => cx.env.role(short) == *name,
        "log group" => cx.env.log_group(short) == *name,
        "alarm" => name.rsplit_once('-').is_some_and(|(of, _)| cx.env.function(short) == of),
        _ => false,
    })
}

/// Kinds that are found again by lists alone, which AWS may bring up to date seconds later.
pub const LISTED: &[&str] = &["rest api", "api key", "usage plan"];

/// The operations of a step of which AWS allows few: what a plan's estimate of its time counts.
pub fn scarce_calls(step: &Step) -> &'static [&'static str] {
    match (step.kind.as_str(), step.action) {
        ("api gateway account", Action::Create) => &["apigateway:UpdateAccount"],
        ("rest api", Action::Create) => &["apigateway:CreateRestApi", "apigateway:PutRestApi"],
        ("rest api", Action::Update) => &["apigateway:PutRestApi"],
        ("rest api", Action::Delete) => &["apigateway:DeleteRestApi"],
        ("stage", Action::Create) => &["apigateway:CreateDeployment"],
        ("stage", Action::Update) if step.changes.iter().any(|c| c.path == "deployment") => {
            &["apigateway:CreateDeployment"]
        }
        ("usage plan", Action::Update | Action::Delete) => &["apigateway:UpdateUsagePlan"],
        ("function", Action::Create) => {
            &["lambda:CreateFunction", "lambda:PublishVersion", "lambda:CreateAlias"]
        }
        ("permission", Action::Create) => &["lambda:AddPermission"],
        ("function", Action::Update) => &["lambda:UpdateFunctionCode", "lambda:PublishVersion"],
        ("function", Action::Delete) => &["lambda:DeleteFunction"],
        ("parameter", Action::Create | Action::Update) => &["ssm:PutParameter"],
        ("alarm", Action::Create | Action::Update) => &["cloudwatch:PutMetricAlarm"],
        _ => &[],
    }
}
