//! Plans as people read them: the real stack against an AWS that is answered from memory, at the
//! wire. Read the snapshots as a reviewer would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod cloudwatch;
mod drift;
mod fuzz;
mod orphans;
mod release;
mod whole;
mod wire;
mod world;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use deployer::APP;
use infra::app::App;
use infra::aws::{Access, Aws, Local};
use infra::cli::show_plan;
use infra::constructs::stack;
use infra::engine::{Action, Plan, Silent, Step, Stop};
use infra::env::Env;
use infra::release::Release;
use infra::resources::kinds;
use infra::run::Run;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Connected to a world in memory, whatever this machine's environment says.
async fn connect(world: &Value) -> Run {
    connect_by(wire::client(world.clone())).await.unwrap()
}

/// The stack of this world.
fn app() -> App {
    App { endpoints: world::endpoints(), ..APP }
}

/// The same, by another way to it.
async fn connect_by(http: SharedHttpConnector) -> anyhow::Result<Run> {
    let local = Local {
        endpoint: "http://aws.invalid".to_owned(),
        access_key: "test".to_owned(),
        secret_key: "test".to_owned(),
    };
    let region = Some(world::REGION.to_owned());
    let access = Access { region, local: Some(local), http: Some(http), ..Access::default() };
    Aws::connect(&access, &app(), "dev").await.map(Run::new)
}

/// What must be done for `release` to be what is there.
async fn try_plan(world: &Value, release: &Release) -> anyhow::Result<Plan> {
    let (aws, kinds) = (connect(world).await, kinds());
    let graph = stack(&aws.env, release, &app()).graph;
    let survey = graph.survey(&aws, &kinds, &Stop::default(), Arc::new(Silent)).await?;
    let Env { app, stage, account, region, .. } = aws.env.clone();
    let target = [("app", app), ("stage", stage), ("account", account), ("region", region)];
    let target = target.map(|(key, value)| (key.to_owned(), value));
    Ok(survey.plan(BTreeMap::from(target)))
}

async fn plan(world: &Value) -> Plan {
    try_plan(world, &world::release()).await.unwrap()
}

/// A stage on which [`plan`] has nothing to do.
async fn deployed() -> Value {
    let plan = plan(&Value::Null).await;
    let stage = plan.steps.iter().find(|step| step.kind == "stage").unwrap();
    // The one value that nobody could write down by hand: a hash of the API's definition.
    let change = stage.changes.iter().find(|change| change.path == "deployment").unwrap();
    world::everything(change.to.as_ref().unwrap().as_str().unwrap())
}

/// The plan as it is printed, without colours.
fn text(plan: &Plan) -> String {
    let text = show_plan::show(plan, false);
    let gap = if text.is_empty() { "" } else { "\n" };
    let text = format!("{text}{gap}{}", show_plan::summary(plan));
    anstream::adapter::strip_str(&text).to_string()
}

/// The plan with `-v`.
fn whole(plan: &Plan) -> String {
    anstream::adapter::strip_str(&show_plan::show(plan, true)).to_string()
}

fn steps(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|step| step.action != Action::Keep)
}
