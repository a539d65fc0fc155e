//! What people and clean-up tools delete or move in the console: releases that can't be restored are marked, and
//! everything says what serves, what is gone, and what to do.

use crate::account::Account;
use crate::deleted_role::served;
use crate::rollback::{deploy, releases, states};
use aws_sdk_lambda::types::AliasRoutingConfiguration;
use infra::aws::Aws;
use serde_json::{Value, json};

/// Three releases; `root` has other code in each.
async fn three_releases() -> (Account, Aws) {
    let account = Account::deployed();
    for commit in ["0123456789a", "0123456789b"] {
        account.packages.change_code("root");
        deploy(&account, commit).ends(0);
    }
    let aws = account.aws().await;
    (account, aws)
}

async fn delete_version(aws: &Aws, function: &str, version: &str) {
    let delete = aws.lambda.delete_function().function_name(aws.env.function(function));
    delete.qualifier(version).send().await.unwrap();
}

async fn delete_alias(aws: &Aws, function: &str) {
    let delete = aws.lambda.delete_alias().function_name(aws.env.function(function));
    delete.name("live").send().await.unwrap();
}

async fn move_alias(aws: &Aws, function: &str, version: &str) {
    let update = aws.lambda.update_alias().function_name(aws.env.function(function)).name("live");
    update.function_version(version).send().await.unwrap();
}

async fn delete_objects(aws: &Aws, prefix: &str) {
    let bucket = aws.env.bucket();
    let list = aws.s3.list_objects_v2().bucket(&bucket).prefix(prefix).send().await.unwrap();
    assert!(!list.contents().is_empty());
    for object in list.contents() {
        aws.s3.delete_object().bucket(&bucket).key(object.key().unwrap()).send().await.unwrap();
    }
}

async fn api(aws: &Aws) -> String {
    let apis = aws.apigateway.get_rest_apis().send().await.unwrap();
    apis.items()[0].id().unwrap().to_owned()
}

/// What `releases --json` tells of a release.
fn release(account: &Account, number: u64) -> Value {
    let list = account.run("releases --json").ends(0).json();
    let mut list = list.as_array().unwrap().iter();
    list.find(|release| release["number"] == number).unwrap().clone()
}

#[tokio::test]
async fn releases_without_their_versions_are_marked_and_passed_over() {
    let (account, aws) = three_releases().await;
    delete_version(&aws, "root", "2").await;
    let list = account.run("releases").ends(0);
    list.says("   2 can't be restored").says("version 2 of root was deleted").says("   1 kept");
    assert_eq!(release(&account, 2)["unusable"], "version 2 of root was deleted");
    assert_eq!(release(&account, 1)["unusable"], Value::Null);

    let (refused, wire) = account.run_heard("rollback --yes --to 2");
    let refused = refused.ends(6);
    refused
        .says("release 2 can't serve again: version 2 of root was deleted")
        .says("rollback --to 1; or check out the release's commit and run cargo xtask deploy");
    wire.assert_no_writes();
    let ran = account.run("rollback --yes").ends(0);
    let ran = ran.says("release 2 can't serve again: version 2 of root was deleted");
    ran.says("back to release 1").says("release 4 is live");
    assert_eq!(served(&aws, "root").await, "1");
    account.run("smoke-test").ends(0);

    // Without any that can serve again.
    delete_version(&aws, "health", "3").await;
    let refused = account.run("rollback --yes --to 3").ends(6);
    refused.says("version 3 of health was deleted").says("next: check out the release's commit");
}

/// A version keeps its code.
#[tokio::test]
async fn releases_are_restored_without_their_packages() {
    let (account, aws) = three_releases().await;
    delete_objects(&aws, "artifacts/").await;
    account.run("rollback --yes").ends(0).says("back to release 2").says("release 4 is live");
    account.run("smoke-test").ends(0);
    account.run("deploy --yes").ends(0).says("release 5 is live");
    account.assert_as_wanted();
}

#[tokio::test]
async fn release_without_the_deployment_of_its_routes_is_marked() {
    let account = Account::deployed();
    let world = crate::world::World::of(&account);
    world.set_endpoints(crate::rollback::MORE);
    world.run(&account, "deploy --yes").ends(0).says("release 2 is live");
    let (aws, world) = (account.aws().await, world);
    let api = api(&aws).await;
    let stage = aws.apigateway.get_stage().rest_api_id(&api).stage_name("dev").send().await;
    let live = stage.unwrap().deployment_id;
    let all = aws.apigateway.get_deployments().rest_api_id(&api).send().await.unwrap();
    for deployment in all.items().iter().filter(|deployment| deployment.id != live) {
        let delete = aws.apigateway.delete_deployment().rest_api_id(&api);
        delete.deployment_id(deployment.id().unwrap()).send().await.unwrap();
    }
    let lost = "the deployment of its routes was deleted";
    world.run(&account, "releases").ends(0).says("   1 can't be restored").says(lost);
    world.run(&account, "rollback --yes").ends(6).says(lost);
}

/// A deploy creates an alias again, with its permission; a rollback creates nothing.
#[tokio::test]
async fn deleted_alias_is_named_and_created_by_a_deploy() {
    let (account, aws) = three_releases().await;
    delete_alias(&aws, "root").await;
    account.run("releases").ends(0).says("alias live of root was deleted");
    let (refused, wire) = account.run_heard("rollback --yes");
    let refused =
        refused.ends(6).says("release 2 can't serve again: alias live of root was deleted");
    refused
        .says("next: cargo xtask deploy, which creates it again; after that, cargo xtask rollback");
    wire.assert_no_writes();
    let status = account.run("status").ends(0).says("drift    yes").says("callers get errors");
    status.says("no version of root, whose alias was deleted; cargo xtask deploy creates it again");
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    account.run("rollback --yes").ends(0).says("back to release 2");
    account.run("smoke-test").ends(0);
}

#[tokio::test]
async fn deleted_stage_is_named_and_created_by_a_deploy() {
    let (account, aws) = three_releases().await;
    let api = api(&aws).await;
    aws.apigateway.delete_stage().rest_api_id(&api).stage_name("dev").send().await.unwrap();
    account.run("releases").ends(0).says("the stage of the API was deleted");
    let (refused, wire) = account.run_heard("rollback --yes");
    refused.ends(6).says("the stage of the API was deleted").says("next: cargo xtask deploy");
    wire.assert_no_writes();
    account.run("deploy --yes").ends(0).says("release 4 is live");
    account.assert_as_wanted();
}

#[tokio::test]
async fn deleted_newest_record_doesnt_hide_what_serves() {
    let (account, aws) = three_releases().await;
    delete_objects(&aws, "releases/00000003").await;
    account.run("releases").ends(0).says("what serves is on no record");
    account.run("rollback --yes --to 3").ends(6).says("there is no release 3; kept are 1, 2");
    account.run("rollback --yes").ends(0).says("back to release 2").says("release 3 is live");
    assert_eq!(served(&aws, "root").await, "2");
    assert_eq!(releases(&account), states(&[(3, "live"), (2, "live"), (1, "live")]));
    account.run("rollback --yes").ends(0).says("back to release 1");
}

#[tokio::test]
async fn status_says_that_an_alias_was_moved_by_hand() {
    let (account, aws) = three_releases().await;
    assert_eq!(account.run("status --json").ends(0).json()["serving"]["release"], 3);
    for function in ["root", "health", "metadata"] {
        move_alias(&aws, function, "2").await;
    }
    let status = account.run("status").ends(0).says("release  3, since").says("drift    yes");
    status
        .says("serving  release 2 serves instead, moved by hand: version 2 of health instead of 3")
        .says("version 2 of root instead of 3; cargo xtask deploy, or cargo xtask rollback --to 3, moves it back")
        .says("rollback --to 2 puts it on record");
    account.run("releases").ends(0).says("release 2 serves instead, moved by hand");
    assert_eq!(release(&account, 3)["serves"], false);
    assert_eq!(release(&account, 2)["serves"], true);

    account.run("rollback --yes --to 2").ends(0).says("release 4 is live");
    account.run("rollback --yes --to 3").ends(0).says("release 5 is live");

    // Of code that no setting tells of, the stack alone shows no difference.
    move_alias(&aws, "root", "2").await;
    let status = account.run("status").ends(0).says("what serves is on no record");
    status.says("drift    yes: what serves isn't the live release");
    let status = account.run("status --json").ends(0).json();
    assert_eq!(status["drift"], true);
    let differences = json!(["version 2 of root instead of 3"]);
    assert_eq!(status["serving"], json!({ "release": null, "differences": differences }));
    account.run("rollback --yes --to 3").ends(0).says("release 6 is live");

    // By weight, as a canary in the console.
    let update = aws.lambda.update_alias().function_name(aws.env.function("root")).name("live");
    let routing = AliasRoutingConfiguration::builder().additional_version_weights("1", 0.5);
    update.routing_config(routing.build()).send().await.unwrap();
    account.run("status").ends(0).says("version 3 and, by weight, 1 of root instead of 3");
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    account.run("status").ends(0).says("drift    none");
}

#[tokio::test]
async fn deploy_says_that_the_records_were_deleted() {
    let account = Account::new();
    let plan = account.run("plan --json").ends(0).json();
    assert_eq!(plan["history_lost"], false);
    account.run("deploy --yes").ends(0);
    let aws = account.aws().await;
    delete_objects(&aws, "releases/").await;
    let lost = "the history of releases was lost";
    account.run("status").ends(0).says("release  none on record").says(lost);
    account.run("releases").ends(0).says(lost);
    account.run("rollback --yes").ends(6).says(lost);
    account.run("plan").ends(0).says(lost).says("earlier releases can't be restored");
    assert_eq!(account.run("plan --json").ends(0).json()["history_lost"], true);

    deploy(&account, "0123456789a").ends(0).says(lost).says("release 1 is live");
    let ran = account.run("releases").ends(0).says(lost);
    assert!(!ran.out.contains("first release"), "{}", ran.out);
    account.assert_as_wanted();
    let ran = deploy(&account, "0123456789b").ends(0).says("release 2 is live");
    assert!(!ran.err.contains(lost), "{}", ran.err);
}

#[tokio::test]
async fn status_says_that_the_api_was_deleted() {
    let (account, aws) = three_releases().await;
    let api = api(&aws).await;
    aws.apigateway.delete_rest_api().rest_api_id(&api).send().await.unwrap();
    let status = account.run("status").ends(0).says("the API was deleted, so callers get errors");
    let status =
        status.says("release  3").says("gone     rest api ops-api-dev, ").says("stage dev");
    status
        .says("left     ")
        .says("cargo xtask deploy creates what is gone; the new API has a new URL");
    let status = account.run("status --json").ends(0).json();
    assert_eq!((&status["deployed"], &status["release"]), (&json!(false), &json!(3)));
    assert!(status["left"].as_u64().unwrap() > 20, "{status}");
    assert!(status["gone"].as_array().unwrap().contains(&json!("rest api ops-api-dev")));
    account.run("outputs").ends(1).says("the API of stage dev was deleted").says("its URL is new");
    account.run("releases").ends(0).says("the API was deleted");
    let refused = account.run("rollback --yes").ends(6).says("the API was deleted");
    refused
        .says("next: cargo xtask deploy, which creates it again; after that, cargo xtask rollback");
    account.run("plan").ends(0).says("the API was deleted: the new one has a new URL");
    assert_eq!(account.run("plan --json").ends(0).json()["new_url"], true);
    account.run("deploy --yes").ends(0).says("has a new URL").says("release 4 is live");
    account.assert_as_wanted();
    assert_eq!(account.run("plan --json").ends(0).json()["new_url"], false);
    account.run("rollback --yes").ends(0).says("back to release 2");
}

/// The stage serves all the same.
#[tokio::test]
async fn stage_without_its_parameters_is_deployed() {
    let (account, aws) = three_releases().await;
    for leaf in ["version", "git-sha"] {
        aws.ssm.delete_parameter().name(aws.env.parameter(leaf)).send().await.unwrap();
    }
    let status = account.run("status").ends(0).says("commit 0123456789b").says("drift    yes");
    status.says("parameter /ops-api/dev/version");
    assert_eq!(account.outputs()["git_sha"], "0123456789b");
    account.run("smoke-test").ends(0);
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
}

#[test]
fn status_says_that_the_first_deploy_is_not_finished() {
    let account = Account::new();
    let (op, how) = (("apigateway:CreateStage", 1), crate::world::fault::Break::KillAnswered);
    crate::world::World::broken(&account, "deploy --yes", op, how);
    let unfinished = "stage dev is not deployed: its first deploy isn't finished";
    let status = account.run("status").ends(0).says(unfinished);
    status.says("cargo xtask destroy deletes what exists");
    assert_eq!(account.run("status --json").ends(0).json()["deployed"], false);
    account.run("outputs").ends(1).says(unfinished);
    account.run("destroy --yes").ends(0);
    account.run("status").ends(0).says("stage dev is not deployed");
}

#[tokio::test]
async fn release_without_its_record_is_marked_and_passed_over() {
    let (account, aws) = three_releases().await;
    delete_objects(&aws, "releases/00000002").await;
    let gap = "not on record: its record was deleted, or it isn't kept any longer";
    account.run("releases").ends(0).says(&format!("   2 {gap}\n   1 kept"));
    assert_eq!(release(&account, 2)["unusable"], gap);
    account.run("rollback --yes --to 2").ends(6).says("there is no release 2; kept are 1, 3");
    let ran = account.run("rollback --yes").ends(0);
    ran.says(&format!("release 2 is {gap}")).says("back to release 1").says("release 4 is live");
}

#[tokio::test]
async fn deleted_bucket_is_lost_history() {
    let (account, aws) = three_releases().await;
    let bucket = aws.env.bucket();
    delete_objects(&aws, "").await;
    aws.s3.delete_bucket().bucket(bucket).send().await.unwrap();
    let lost = "the history of releases was lost";
    account.run("status").ends(0).says(lost);
    account.run("releases").ends(0).says(lost);
    account.run("rollback --yes").ends(6).says(lost);
    account.run("deploy --yes").ends(0).says(lost).says("release 1 is live");
    account.assert_as_wanted();
}

/// Lambda counts on; the local cloud doesn't, so that a version of that number has other code.
#[tokio::test]
async fn releases_are_lost_with_their_function() {
    let (account, aws) = three_releases().await;
    let function = aws.env.function("root");
    aws.lambda.delete_function().function_name(&function).send().await.unwrap();
    account.run("status").ends(0).says("drift    yes").says("no version of root");
    account.run("rollback --yes").ends(6).says("version 2 of root was deleted");
    account.run("deploy --yes").ends(0).says("release 4 is live");
    account.assert_as_wanted();
    for number in 1..=2 {
        let lost = format!("version {number} of root was deleted");
        assert_eq!(release(&account, number)["unusable"], lost);
    }
    account.run("rollback --yes").ends(6).says("can't serve again");
}
