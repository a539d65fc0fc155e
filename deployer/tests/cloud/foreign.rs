//! What bears our names and not our tags is somebody else's, and stays theirs.

use crate::account::{Account, TRUST};
use aws_sdk_iam::types::Tag;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_ssm::types::ParameterType;
use infra::aws::Aws;

/// Makes one, without our tags.
async fn make(kind: &str, aws: &Aws, account: &Account) {
    let env = &aws.env;
    match kind {
        "bucket" => {
            let here = BucketLocationConstraint::from(env.region.as_str());
            let here = CreateBucketConfiguration::builder().location_constraint(here).build();
            let create = aws.s3.create_bucket().bucket(env.bucket());
            drop(create.create_bucket_configuration(here).send().await.unwrap());
        }
        "parameter" => {
            let put = aws.ssm.put_parameter().name(env.parameter("api-key")).value("short");
            drop(put.r#type(ParameterType::SecureString).send().await.unwrap());
        }
        "log group" => {
            let create = aws.logs.create_log_group().log_group_name(env.log_group("root"));
            drop(create.tags("team", "blue").send().await.unwrap());
        }
        "role" => {
            let create = aws.iam.create_role().role_name(env.role("root"));
            drop(create.assume_role_policy_document(TRUST).send().await.unwrap());
        }
        "function" => {
            let role = aws.iam.create_role().role_name("somebody");
            let role = role.assume_role_policy_document(TRUST).send().await.unwrap().role.unwrap();
            let zip = std::fs::read(account.packages.path().join("root.zip")).unwrap();
            let create = aws.lambda.create_function().function_name(env.function("root"));
            let create = create.role(role.arn).runtime(Runtime::Providedal2023);
            let create = create.handler("bootstrap");
            let code = FunctionCode::builder().zip_file(zip.into()).build();
            drop(create.code(code).send().await.unwrap());
        }
        "rest api" => {
            drop(aws.apigateway.create_rest_api().name(env.name()).send().await.unwrap());
        }
        "dashboard" => {
            let put = aws.cloudwatch.put_dashboard().dashboard_name(env.dashboard());
            drop(put.dashboard_body(r#"{"widgets": []}"#).send().await.unwrap());
        }
        "api key" => {
            drop(aws.apigateway.create_api_key().name(env.name()).send().await.unwrap());
        }
        "usage plan" => {
            drop(aws.apigateway.create_usage_plan().name(env.name()).send().await.unwrap());
        }
        _ => panic!("what is a {kind}?"),
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused_whatever_it_is() {
    for (kind, name) in [
        ("bucket", "ops-api-dev-ACCOUNT-ap-southeast-2"),
        ("parameter", "/ops-api/dev/api-key"),
        ("log group", "/aws/lambda/ops-api-dev-root"),
        ("role", "ops-api-dev-root-ap-southeast-2"),
        ("function", "ops-api-dev-root"),
        ("rest api", "ops-api-dev"),
        ("dashboard", "ops-api-dev-ap-southeast-2"),
        ("api key", "ops-api-dev"),
        ("usage plan", "ops-api-dev"),
    ] {
        let account = Account::new();
        make(kind, &account.aws().await, &account).await;
        let before = account.inventory().await;
        let name = name.replace("ACCOUNT", &account.id);

        let (ran, wire) = account.run_heard("deploy --yes");
        ran.ends(6)
            .says(&format!("{kind} {name} exists and is not ours: it"))
            .says("ours would be app=ops-api managed-by=deployer stage=dev")
            .says("nothing was changed");
        wire.assert_no_writes();
        account.run("plan").ends(6).says("is not ours");
        account.run("destroy --yes").ends(0).says("stage dev isn't there");
        assert_eq!(account.inventory().await, before, "{kind}");
    }
}

#[tokio::test]
async fn whose_it_is_is_said() {
    let account = Account::new();
    let aws = account.aws().await;
    let mut tags = aws.env.tags();
    tags.insert("stage".to_owned(), "prod".to_owned());
    let tag = |(key, value)| Tag::builder().key(key).value(value).build().unwrap();
    let role = aws.iam.create_role().role_name(aws.env.role("root"));
    let role = role.assume_role_policy_document(TRUST);
    role.set_tags(Some(tags.into_iter().map(tag).collect())).send().await.unwrap();
    make("log group", &aws, &account).await;

    let ran = account.run("deploy --yes").ends(6);
    ran.says("its tags are app=ops-api managed-by=deployer stage=prod")
        .says("log group /aws/lambda/ops-api-dev-root exists and is not ours"); // all at once
}

/// Lambda makes such a group itself when a function writes before the group is there, or after.
#[tokio::test]
async fn a_log_group_that_lambda_made_is_taken_over_and_goes_with_the_stage() {
    let account = Account::new();
    let aws = account.aws().await;
    let group = aws.env.log_group("root");
    aws.logs.create_log_group().log_group_name(&group).send().await.unwrap();
    account.run("plan").ends(0).says(&format!("~ log group {group}  to update"));
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    account.run("destroy --yes").ends(0);

    aws.logs.create_log_group().log_group_name(&group).send().await.unwrap();
    account.run("destroy --yes").ends(0).says("deleted 1, remaining 0");
    assert_eq!(account.inventory().await, Vec::<String>::new());

    // But not where the function is somebody else's.
    make("function", &aws, &account).await;
    aws.logs.create_log_group().log_group_name(&group).send().await.unwrap();
    let ran = account.run("deploy --yes").ends(6);
    ran.says(&format!("log group {group} exists and is not ours: it has no tags"));
}

/// API Gateway creates the group again for lines that it has buffered, at any time after the group was deleted.
#[tokio::test]
async fn access_log_group_that_api_gateway_recreated_is_adopted_and_destroyed() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let group = aws.env.access_log_group();
    aws.logs.delete_log_group().log_group_name(&group).send().await.unwrap();
    assert_eq!(account.get("/health").await, 200);
    let update = format!("log group {group}");
    let changes = ["made_by_aws", "retention_days"].map(|change| format!("{update}: {change}"));
    assert_eq!(account.drift(), changes);
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    account.run("destroy --yes").ends(0);

    // A new connection: the local cloud may have closed one that was idle for as long as these runs took.
    let aws = account.aws().await;
    aws.logs.create_log_group().log_group_name(&group).send().await.unwrap();
    account.run("destroy --yes").ends(0).says("deleted 1, remaining 0");
    assert_eq!(account.inventory().await, Vec::<String>::new());

    // A group with a retention was not created by API Gateway, and the API may be another's.
    let account = Account::new();
    let aws = account.aws().await;
    aws.logs.create_log_group().log_group_name(&group).send().await.unwrap();
    let retain = aws.logs.put_retention_policy().log_group_name(&group).retention_in_days(7);
    retain.send().await.unwrap();
    let foreign = format!("log group {group} exists and is not ours: it has no tags");
    account.run("deploy --yes").ends(6).says(&foreign);
    aws.logs.delete_retention_policy().log_group_name(&group).send().await.unwrap();
    make("rest api", &aws, &account).await;
    account.run("deploy --yes").ends(6).says(&foreign);
}

#[tokio::test]
async fn a_tag_that_was_taken_away_makes_it_somebody_elses() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let arn = aws.env.function_arn(&aws.env.function("root"));
    aws.lambda.untag_resource().resource(arn).tag_keys("managed-by").send().await.unwrap();
    let before = account.inventory().await;

    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(6).says("its tags are app=ops-api stage=dev");
    wire.assert_no_writes();
    assert_eq!(account.inventory().await, before);
}
