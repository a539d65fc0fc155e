//! What bears our tags and is no longer declared.

use super::*;
use crate::world::*;
use insta::assert_snapshot;
use serde_json::json;

/// One of every kind that AWS keeps by itself.
fn leave(world: &mut Value, tags: &Value) {
    let mut function = function("old", "GET /old", &json!({}));
    function["tags"] = tags.clone();
    world["functions"]["ops-api-dev-old"] = function;
    world["roles"][format!("ops-api-dev-old-{REGION}")] = role();
    world["roles"][format!("ops-api-dev-old-{REGION}")]["tags"] = tags.clone();
    world["log groups"]["/aws/lambda/ops-api-dev-old"] = log_group();
    world["log groups"]["/aws/lambda/ops-api-dev-old"]["tags"] = tags.clone();
    world["parameters"]["/ops-api/dev/old"] = parameter("String", "1");
    world["parameters"]["/ops-api/dev/old"]["tags"] = tags.clone();
    let mut api = api("0");
    (api["name"], api["tags"]) = (json!("an old name"), tags.clone());
    world["apis"]["api2"] = api;
    world["alarms"]["ops-api-dev-old-errors"] = world["alarms"]["ops-api-dev-5xx"].clone();
    world["alarms"]["ops-api-dev-old-errors"]["tags"] = tags.clone();
    // Of one name, as a lost answer leaves them.
    world["keys"]["key2"] = key("a-second-key-of-the-same-name");
    world["keys"]["key2"]["tags"] = tags.clone();
    world["usage plans"]["plan2"] = usage_plan();
    world["usage plans"]["plan2"]["tags"] = tags.clone();
}

#[tokio::test(start_paused = true)]
async fn what_is_ours_and_not_declared_is_to_be_deleted() {
    let mut world = deployed().await;
    leave(&mut world, &tags());
    let plan = plan(&world).await;
    assert!(steps(&plan).all(|step| step.action == Action::Delete), "{}", text(&plan));
    assert_snapshot!(text(&plan));
}

/// The same things, of another stage or nobody's: not a word of them.
#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_left_alone() {
    for tags in [json!({}), json!({ "app": "ops-api", "stage": "dev2", "managed-by": "deployer" })]
    {
        let mut world = deployed().await;
        leave(&mut world, &tags);
        let plan = plan(&world).await;
        assert!(plan.is_empty(), "{}", text(&plan));
    }
}

/// A key that was rotated is declared nowhere; it is left alone until its time is over.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_rotated_is_left_until_its_time_is_over() {
    for (time, kept) in
        [("2100-01-01T00:00:00Z", true), ("2026-01-01T00:00:00Z", false), ("tomorrow", false)]
    {
        let mut world = deployed().await;
        world["keys"]["key2"] = key("a-second-key-of-the-same-name");
        world["keys"]["key2"]["tags"]["retire-at"] = json!(time);
        world["usage plans"]["plan1"]["keys"] = json!(["key1", "key2"]);
        let plan = kept_plan(&world).await;
        assert_eq!(plan.is_empty(), kept, "{time}: {}", text(&plan));
    }
}

/// As the verbs plan: without what is still needed.
async fn kept_plan(world: &Value) -> Plan {
    let (aws, kinds) = (connect(world).await, kinds());
    let graph = stack(&aws.env, &release(), &app()).graph;
    let mut survey = graph.survey(&aws, &kinds, &Stop::default(), Arc::new(Silent)).await.unwrap();
    survey.spare(|kind, owned| infra::resources::needed(&aws, 5, kind, owned));
    survey.plan(BTreeMap::new())
}

/// The same stage in another region has roles on the same path, with the same tags.
#[tokio::test(start_paused = true)]
async fn roles_of_another_region_are_left_alone() {
    let mut world = deployed().await;
    world["roles"]["ops-api-dev-root-eu-central-1"] = role();
    assert!(plan(&world).await.is_empty());
}

/// Everything that bears our tags, and nothing else, whatever the stack declares.
#[tokio::test(start_paused = true)]
async fn a_destroy_lists_everything_of_ours() {
    let mut world = deployed().await;
    leave(&mut world, &tags());
    world["roles"]["ops-api-dev-root-eu-central-1"] = role();
    world["log groups"]["/aws/lambda/ops-api-dev-theirs"] = json!({ "tags": {} });
    let (aws, kinds) = (connect(&world).await, kinds());
    let stop = Stop::default();
    let survey = infra::engine::survey_owned(&aws, &kinds, &stop, Arc::new(Silent)).await;
    assert_snapshot!(text(&survey.unwrap().plan(BTreeMap::new())));
}
