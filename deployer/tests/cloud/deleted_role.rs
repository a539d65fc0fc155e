//! A function's role deleted by hand: the function, its versions, its alias and its history stay.

use crate::account::{Account, TRUST};
use crate::rollback::{answer, deploy, healthy};
use aws_sdk_iam::types::Tag;
use infra::aws::Aws;
use serde_json::json;

/// Deletes the role of a function, as by hand.
pub async fn delete_role(aws: &Aws, function: &str) {
    let role = aws.env.role(function);
    let policies = aws.iam.list_role_policies().role_name(&role).send().await.unwrap();
    for policy in policies.policy_names() {
        let request = aws.iam.delete_role_policy().role_name(&role).policy_name(policy);
        request.send().await.unwrap();
    }
    aws.iam.delete_role().role_name(role).send().await.unwrap();
}

/// The version that the alias of a function names.
pub async fn served(aws: &Aws, function: &str) -> String {
    let alias = aws.lambda.get_alias().function_name(aws.env.function(function)).name("live");
    alias.send().await.unwrap().function_version.unwrap()
}

/// The inventory without versions, records of releases and what aliases name.
async fn lasting(account: &Account) -> Vec<String> {
    let mut things = account.inventory().await;
    let changes = ["object releases/", "version ", "alias "];
    things.retain(|thing| !changes.iter().any(|start| thing.starts_with(start)));
    things
}

/// Lambda's grant on its key is the deleted role's: the function needs another, and another version.
#[tokio::test]
async fn deploy_recreates_a_deleted_role_and_publishes_its_function_anew() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let things = lasting(&account).await;
    delete_role(&aws, "health").await;
    assert_eq!(account.get("/health").await, 500);
    let plan = account.run("plan").ends(0);
    plan.says("(deleted) → arn:aws:iam::").says(
        "role ops-api-dev-health-ap-southeast-2 was deleted: it is created again, and function \
         ops-api-dev-health is published anew",
    );

    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0).says("release 2 is live");
    let writes = wire.writes();
    assert!(!writes.iter().any(|write| write.contains("DELETE /2015-03-31")), "{writes:#?}");
    assert_eq!(served(&aws, "health").await, "2");
    assert_eq!(served(&aws, "metadata").await, "1");
    assert_eq!(lasting(&account).await, things);
    account.assert_as_wanted();

    // Versions published before cannot start any more, and no rollback restores them.
    account.run("releases").ends(0).says("version 1 of health can't start");
    let refused = account.run("rollback --yes").ends(6);
    let refused = refused.says("release 1 can't serve again: version 1 of health can't start");
    refused.says("next: check out the release's commit");
    assert_eq!(served(&aws, "health").await, "2");

    // Later changes keep the grant, and a rollback restores versions published from now on.
    deploy(&account, "0123456789a").ends(0).says("release 3 is live");
    account.run("rollback --yes").ends(0).says("back to release 2");
    account.run("smoke-test").ends(0);
    account.run("destroy --yes").ends(0).says("remaining 0");
}

/// Without environment variables there is no grant: a new role of the same name is enough.
#[tokio::test]
async fn deploy_recreates_a_deleted_role_and_leaves_a_function_without_variables() {
    let account = Account::deployed();
    let aws = account.aws().await;
    delete_role(&aws, "root").await;
    assert_eq!(account.get("/").await, 500);
    assert_eq!(account.drift(), ["role ops-api-dev-root-ap-southeast-2: create"]);
    account.run("deploy --yes").ends(0);
    assert_eq!(served(&aws, "root").await, "1");
    account.assert_as_wanted();
}

/// Its id is another, though its name is the same.
#[tokio::test]
async fn deploy_publishes_anew_after_a_role_was_recreated_by_hand() {
    let account = Account::deployed();
    let aws = account.aws().await;
    delete_role(&aws, "health").await;
    let tags = aws.env.tags().into_iter();
    let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build().unwrap());
    let role = aws.iam.create_role().role_name(aws.env.role("health")).path(aws.env.role_path());
    let role = role.set_tags(Some(tags.collect())).assume_role_policy_document(TRUST);
    role.send().await.unwrap();
    assert_eq!(account.get("/health").await, 500);

    account.run("plan").ends(0).says("(created again) → arn:aws:iam::").says("is published anew");
    account.run("deploy --yes").ends(0);
    assert_eq!(served(&aws, "health").await, "2");
    account.assert_as_wanted();
}

#[tokio::test]
async fn deploy_recreates_all_deleted_roles_at_once() {
    let account = Account::deployed();
    let aws = account.aws().await;
    for function in ["root", "health", "metadata"] {
        delete_role(&aws, function).await;
    }
    account.packages.change_commit("0123456789a");
    account.packages.change_code("root");
    account.run("deploy --yes").ends(0).says("release 2 is live");
    account.assert_as_wanted();
}

/// The release before can't start: to put it back would make things worse.
#[tokio::test]
async fn deploy_does_not_return_to_versions_that_cannot_start() {
    let account = Account::deployed();
    let aws = account.aws().await;
    delete_role(&aws, "health").await;
    let (proven, used) = (healthy("0123456789a"), answer(500, &json!({})));
    account.packages.put_two_faced_code("health", Some(&proven), Some(&used));
    account.packages.change_commit("0123456789a");
    let ran = account.run("deploy --yes --smoke-timeout 1").ends(5);
    ran.says("release 2 serves on: release 1 can't serve again: version 1 of health can't start");
    assert_eq!(served(&aws, "health").await, "2");
    account.packages.put_code("health", Some(&proven));
    account.run("deploy --yes").ends(0).says("release 3 is live");
    account.assert_as_wanted();
}
