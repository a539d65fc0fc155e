//! Destroying: all that is ours, and nothing that isn't.

use crate::account::{Account, DELETED, TRUST};
use aws_sdk_iam::types::Tag;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_ssm::types::{ParameterType, Tag as SsmTag};

const NOTHING: [String; 0] = [];

#[tokio::test]
async fn destroy_leaves_nothing_in_any_service() {
    let account = Account::deployed();
    account
        .run("destroy --yes")
        .ends(0)
        .says(&format!("deleted {DELETED}, remaining 0"))
        .says("nothing remains");
    assert_eq!(account.inventory().await, NOTHING);
    account.run("status").ends(0).says("is not deployed");
}

#[tokio::test]
async fn the_receipt_names_what_was_deleted() {
    let account = Account::deployed();
    let receipt = account.run("destroy --yes --json").ends(0).json();
    assert_eq!(receipt["remaining"], serde_json::json!([]));
    let deleted: Vec<&str> = receipt["deleted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|title| title.as_str().unwrap())
        .collect();
    assert_eq!(deleted.len(), DELETED);
    for title in ["function ops-api-dev-root", "rest api ops-api-dev", "usage plan ops-api-dev"] {
        assert!(deleted.contains(&title), "{deleted:?}");
    }
}

#[test]
fn a_stage_that_is_not_there_is_destroyed_already() {
    let account = Account::new();
    let (ran, wire) = account.run_heard("destroy --yes --stage nowhere");
    ran.ends(0).says("stage nowhere isn't there");
    wire.assert_no_writes();
    let receipt = account.run("destroy --yes --json").ends(0).json();
    assert_eq!(receipt, serde_json::json!({ "deleted": [], "remaining": [] }));
}

#[tokio::test]
async fn destroy_takes_along_what_the_code_mentions_no_more_and_leaves_what_is_not_ours() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let env = &aws.env;
    let tags = || env.tags().into_iter();

    // An endpoint that an older stack had.
    let tag = |(key, value)| Tag::builder().key(key).value(value).build().unwrap();
    let role = aws.iam.create_role().role_name(env.role("old")).path(env.role_path());
    let role = role.assume_role_policy_document(TRUST).set_tags(Some(tags().map(tag).collect()));
    let role = role.send().await.unwrap().role.unwrap().arn;
    let group = aws.logs.create_log_group().log_group_name(env.log_group("old"));
    group.set_tags(Some(tags().collect())).send().await.unwrap();
    let zip = std::fs::read(account.packages.path().join("root.zip")).unwrap();
    let function = aws.lambda.create_function().function_name(env.function("old")).role(role);
    let function = function.runtime(Runtime::Providedal2023).handler("bootstrap");
    let function = function.code(FunctionCode::builder().zip_file(zip.into()).build());
    function.set_tags(Some(tags().collect())).send().await.unwrap();
    let tag = |(key, value)| SsmTag::builder().key(key).value(value).build().unwrap();
    let parameter = aws.ssm.put_parameter().name(env.parameter("old")).value("x");
    let parameter = parameter.r#type(ParameterType::String);
    parameter.set_tags(Some(tags().map(tag).collect())).send().await.unwrap();
    // Somebody's own, by names like ours.
    aws.logs.create_log_group().log_group_name(env.log_group("theirs")).send().await.unwrap();

    let mut drift = account.drift();
    drift.sort();
    assert_eq!(
        drift,
        [
            "function ops-api-dev-old: delete",
            "log group /aws/lambda/ops-api-dev-old: delete",
            "parameter /ops-api/dev/old: delete",
            "role ops-api-dev-old-ap-southeast-2: delete",
        ]
    );
    account.run("destroy --yes").ends(0).says(&format!("deleted {}, remaining 0", DELETED + 4));
    assert_eq!(account.inventory().await, ["log group /aws/lambda/ops-api-dev-theirs"]);
}

/// What AWS would refuse half-way is found before anything is deleted.
#[tokio::test]
async fn what_aws_refuses_to_delete_is_told_before_anything_is_deleted() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let api =
        aws.apigateway.get_rest_apis().send().await.unwrap().items()[0].id().unwrap().to_owned();
    let domain = "api.example.com";
    aws.apigateway.create_domain_name().domain_name(domain).send().await.unwrap();
    let mapping = aws.apigateway.create_base_path_mapping().domain_name(domain).rest_api_id(&api);
    mapping.base_path("v1").stage("dev").send().await.unwrap();
    let group = aws.env.log_group("root");
    let protect = |on| {
        let request = aws.logs.put_log_group_deletion_protection().log_group_identifier(&group);
        request.deletion_protection_enabled(on).send()
    };
    protect(true).await.unwrap();

    let (ran, wire) = account.run_heard("destroy --yes");
    let ran = ran.ends(6).says("nothing was changed");
    ran.says("rest api ops-api-dev: the custom domain api.example.com uses it (base path v1)")
        .says("log group /aws/lambda/ops-api-dev-root: its deletion protection is on")
        .says("next: aws logs put-log-group-deletion-protection")
        .says("aws apigateway delete-base-path-mapping --domain-name api.example.com --base-path 'v1'; then");
    wire.assert_no_writes();

    protect(false).await.unwrap();
    let mapping = aws.apigateway.delete_base_path_mapping().domain_name(domain).base_path("v1");
    mapping.send().await.unwrap();
    account.run("destroy --yes").ends(0).says("remaining 0");
}
