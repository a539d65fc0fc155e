//! Whole stacks: none, all, and some of it.

use super::*;
use crate::world::{ACCOUNT, KEY, REGION};
use insta::assert_snapshot;
use serde_json::json;

/// What can't be known yet says where it will come from.
#[tokio::test(start_paused = true)]
async fn everything_is_to_be_made_in_an_empty_account() {
    let plan = plan(&Value::Null).await;
    assert!(plan.steps.iter().all(|step| step.action == Action::Create));
    assert_snapshot!(text(&plan));
    assert_snapshot!("everything_with_every_property", whole(&plan));
}

#[tokio::test(start_paused = true)]
async fn there_is_nothing_to_do_on_what_is_deployed() {
    let plan = plan(&deployed().await).await;
    assert!(plan.is_empty(), "{}", text(&plan));
    assert_snapshot!(format!("{}\n{}", whole(&plan), text(&plan)));
}

/// The permissions, the stage and the plan must follow the new API; nothing else is touched.
#[tokio::test(start_paused = true)]
async fn a_deleted_api_is_made_again_and_its_users_follow() {
    let mut world = deployed().await;
    world["apis"] = json!({});
    assert_snapshot!(text(&plan(&world).await));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_bucket_and_a_half_made_function_are_finished() {
    let mut world = deployed().await;
    world["buckets"] = json!({});
    let function = &mut world["functions"]["ops-api-dev-root"];
    (function["live"], function["policy"]) = (Value::Null, Value::Null);
    assert_snapshot!(text(&plan(&world).await));
}

/// What is shown, saved or printed as JSON holds no secret.
#[tokio::test(start_paused = true)]
async fn the_api_key_is_in_no_plan() {
    let mut world = deployed().await;
    world["keys"]["key1"]["value"] = json!("another-value-that-nobody-must-see");
    world["parameters"]["/ops-api/dev/api-key"]["Type"] = json!("String");
    let plan = plan(&world).await;
    let json = serde_json::to_string(&plan).unwrap();
    for text in [whole(&plan), json, format!("{plan:?}")] {
        assert!(text.contains("(secret "), "{text}");
        assert!(!text.contains(KEY) && !text.contains("nobody-must-see"), "{text}");
    }
}

/// What belongs to somebody else is never taken over: one error names all of it, and whose it is.
#[tokio::test(start_paused = true)]
async fn what_has_our_names_and_not_our_tags_is_refused() {
    let theirs = json!({ "app": "ops-api", "stage": "prod", "managed-by": "deployer" });
    let world = deployed().await;
    let mut report = String::new();
    for (path, tags) in [
        (&["log groups", "/aws/lambda/ops-api-dev-root"][..], json!({ "team": "blue" })),
        (&["roles", "ops-api-dev-root-ap-southeast-2"], json!({ "team": "blue" })),
        (&["parameters", "/ops-api/dev/version"], json!({})),
        (&["parameters", "/ops-api/dev/api-key"], theirs.clone()),
        (&["functions", "ops-api-dev-root"], theirs.clone()),
        (&["apis", "api1"], json!({})),
        (&["apis", "api1", "stages", "dev"], json!({})),
        (&["keys", "key1"], theirs.clone()),
        (&["alarms", "ops-api-dev-5xx"], theirs.clone()),
        (&["dashboards", "ops-api-dev-ap-southeast-2"], theirs.clone()),
        (&["usage plans", "plan1"], json!({ "app": "ops-api" })),
        (&["buckets", &format!("ops-api-dev-{ACCOUNT}-{REGION}")], json!({})),
    ] {
        let mut world = world.clone();
        path.iter().fold(&mut world, |at, key| &mut at[*key])["tags"] = tags;
        let error = try_plan(&world, &world::release()).await.unwrap_err();
        assert!(error.is::<infra::engine::Foreign>(), "{path:?}: {error:#}");
        report += &format!("{error}\n");
    }
    let mut world = world;
    world["buckets"][format!("ops-api-dev-{ACCOUNT}-{REGION}")] = json!("another account's");
    world["functions"]["ops-api-dev-health"]["tags"] = json!({});
    let error = try_plan(&world, &world::release()).await.unwrap_err();
    assert_snapshot!(format!("{report}\ntwo at once:\n{error}"));
}
