//! Changes by hand, one property a kind: each is seen, and mended.

use crate::account::Account;
use aws_sdk_apigateway::types::{Op, PatchOperation};
use aws_sdk_s3::types::{
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule,
};
use aws_sdk_ssm::types::ParameterType;
use infra::aws::Aws;

fn replace(path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
}

async fn change_log_groups(aws: &Aws) {
    let group = |function| aws.env.log_group(function);
    let shorter = aws.logs.put_retention_policy().log_group_name(group("root"));
    shorter.retention_in_days(3).send().await.unwrap();
    let endless = aws.logs.delete_retention_policy().log_group_name(group("health"));
    endless.send().await.unwrap();
}

async fn change_roles(aws: &Aws) {
    const ALL: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let (iam, role) = (&aws.iam, |function| aws.env.role(function));
    let put = |function, name| {
        iam.put_role_policy().role_name(role(function)).policy_name(name).policy_document(ALL)
    };
    put("root", "write-logs").send().await.unwrap();
    put("root", "more").send().await.unwrap();
    let policy = iam.create_policy().policy_name("all").policy_document(ALL).send().await.unwrap();
    let arn = policy.policy.unwrap().arn.unwrap();
    iam.attach_role_policy().role_name(role("health")).policy_arn(arn).send().await.unwrap();
    let trust = iam.update_assume_role_policy().role_name(role("metadata"));
    let anyone =
        ALL.replace(r#""Action":"*","Resource":"*""#, r#""Action":"sts:*","Principal":"*""#);
    trust.policy_document(anyone).send().await.unwrap();
}

/// Sets the memory as soon as Lambda is ready for it.
async fn set_memory(aws: &Aws, function: &str, megabytes: i32) {
    loop {
        let update = aws.lambda.update_function_configuration();
        let update = update.function_name(aws.env.function(function)).memory_size(megabytes);
        match update.send().await {
            Ok(_) => return,
            Err(error) => assert!(format!("{error:?}").contains("in progress"), "{error:?}"),
        }
    }
}

async fn change_functions(aws: &Aws) {
    set_memory(aws, "root", 512).await;
    let reserve = aws.lambda.put_function_concurrency().function_name(aws.env.function("root"));
    reserve.reserved_concurrent_executions(7).send().await.unwrap();

    // A version of other memory, which the alias serves; what is configured is as wanted.
    let name = aws.env.function("health");
    set_memory(aws, "health", 512).await;
    let version = loop {
        if let Ok(version) = aws.lambda.publish_version().function_name(&name).send().await {
            break version.version.unwrap();
        }
    };
    set_memory(aws, "health", 256).await;
    let alias = aws.lambda.update_alias().function_name(name).name("live");
    alias.function_version(version).send().await.unwrap();

    let open = aws.lambda.add_permission().function_name(aws.env.function("metadata"));
    let open = open.qualifier("live").statement_id("anybody").principal("*");
    open.action("lambda:InvokeFunction").send().await.unwrap();
    let shut = aws.lambda.remove_permission().function_name(aws.env.function("root"));
    shut.qualifier("live").statement_id("api-gateway").send().await.unwrap();
}

async fn change_api(aws: &Aws, api: &str) {
    let gateway = &aws.apigateway;
    let resources = gateway.get_resources().rest_api_id(api).send().await.unwrap();
    let health = resources.items().iter().find(|resource| resource.path() == Some("/health"));
    let method = gateway.update_method().rest_api_id(api).http_method("GET");
    let method = method.resource_id(health.unwrap().id().unwrap());
    method.patch_operations(replace("/apiKeyRequired", "false")).send().await.unwrap();

    let older = gateway.update_rest_api().rest_api_id(api);
    older.patch_operations(replace("/securityPolicy", "TLS_1_0")).send().await.unwrap();

    let deployment = gateway.create_deployment().rest_api_id(api).send().await.unwrap();
    let stage = gateway.update_stage().rest_api_id(api).stage_name("dev");
    let stage = stage.patch_operations(replace("/deploymentId", deployment.id().unwrap()));
    let stage = stage.patch_operations(replace("/accessLogSettings/format", "$context.requestId"));
    stage.patch_operations(replace("/*/*/throttling/rateLimit", "7")).send().await.unwrap();
}

async fn change_key_and_plan(aws: &Aws, api: &str) {
    let gateway = &aws.apigateway;
    let keys = gateway.get_api_keys().send().await.unwrap();
    let ours = Some(aws.env.name());
    let key = keys.items().iter().find(|key| key.name == ours).unwrap().id().unwrap();
    let off = gateway.update_api_key().api_key(key).patch_operations(replace("/enabled", "false"));
    off.send().await.unwrap();
    let plans = gateway.get_usage_plans().send().await.unwrap();
    let plan = plans.items().iter().find(|plan| plan.name == ours).unwrap().id().unwrap();
    let limits = gateway.update_usage_plan().usage_plan_id(plan);
    let limits = limits.patch_operations(replace("/throttle/burstLimit", "7"));
    let limits = limits.patch_operations(replace("/quota/limit", "7"));
    let open = PatchOperation::builder().op(Op::Remove);
    let open = open.path(format!("/apiStages/{api}:dev/throttle")).build();
    limits.patch_operations(open).send().await.unwrap();
    gateway.delete_usage_plan_key().usage_plan_id(plan).key_id(key).send().await.unwrap();
}

async fn change_alarms(aws: &Aws) {
    let silent = aws.cloudwatch.disable_alarm_actions().alarm_names("ops-api-dev-5xx");
    silent.send().await.unwrap();
    let gone = aws.cloudwatch.delete_alarms().alarm_names("ops-api-dev-root-errors");
    gone.send().await.unwrap();
}

async fn change_dashboard(aws: &Aws) {
    let put = aws.cloudwatch.put_dashboard().dashboard_name(aws.env.dashboard());
    put.dashboard_body(r#"{"widgets": []}"#).send().await.unwrap();
}

async fn change_parameters(aws: &Aws) {
    let version = aws.ssm.put_parameter().name(aws.env.parameter("version")).value("9.9.9");
    version.overwrite(true).send().await.unwrap();
    let sha = aws.env.parameter("git-sha");
    aws.ssm.delete_parameter().name(sha).send().await.unwrap();

    // The secret one in clear: its value and tags stay.
    let name = aws.env.parameter("api-key");
    let secret = aws.ssm.get_parameter().name(&name).with_decryption(true).send().await.unwrap();
    aws.ssm.delete_parameter().name(&name).send().await.unwrap();
    let tag =
        |(key, value)| aws_sdk_ssm::types::Tag::builder().key(key).value(value).build().unwrap();
    let put = aws.ssm.put_parameter().name(name).value(secret.parameter.unwrap().value.unwrap());
    let put = put.r#type(ParameterType::String);
    put.set_tags(Some(aws.env.tags().into_iter().map(tag).collect())).send().await.unwrap();
}

async fn change_bucket(aws: &Aws, artifact: &str) {
    let bucket = aws.env.bucket();
    aws.s3.delete_bucket_policy().bucket(&bucket).send().await.unwrap();
    aws.s3.delete_public_access_block().bucket(&bucket).send().await.unwrap();
    let by = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let rule = ServerSideEncryptionRule::builder();
    let rule = rule.apply_server_side_encryption_by_default(by.build().unwrap()).build();
    let all = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let put = aws.s3.put_bucket_encryption().bucket(&bucket);
    put.server_side_encryption_configuration(all).send().await.unwrap();
    aws.s3.delete_object().bucket(&bucket).key(artifact).send().await.unwrap();
}

/// Changes something about each kind of resource.
pub async fn change_everything(account: &Account) {
    let aws = account.aws().await;
    let sha256 = account.packages.release().package("root").sha256;
    let apis = aws.apigateway.get_rest_apis().send().await.unwrap();
    change_log_groups(&aws).await;
    change_roles(&aws).await;
    change_functions(&aws).await;
    let api = apis.items().iter().find(|api| api.name == Some(aws.env.name())).unwrap();
    change_api(&aws, api.id().unwrap()).await;
    change_bucket(&aws, &format!("artifacts/root/{sha256}.zip")).await;
    change_alarms(&aws).await;
    change_dashboard(&aws).await;
    change_parameters(&aws).await;
    change_key_and_plan(&aws, api.id().unwrap()).await;
}

#[tokio::test]
async fn every_change_by_hand_is_seen_and_mended() {
    let account = Account::deployed();
    change_everything(&account).await;
    let sha256 = account.packages.release().package("root").sha256;

    let drift = account.drift().join("\n");
    let drift = drift.replace(&account.id, "ACCOUNT").replace(&sha256[..12], "SHA256");
    insta::assert_snapshot!(drift);

    // Some of it was closed by hand.
    account.run("deploy --yes").ends(6).says("calls with a key that was disabled");
    account.run("deploy --yes --allow-widening").ends(0);
    account.assert_as_wanted();
    assert_eq!(account.run("status --json").ends(0).json()["drift"], false);
}

#[tokio::test]
async fn status_tells_of_drift() {
    let account = Account::deployed();
    change_log_groups(&account.aws().await).await;
    account.run("status").ends(0).says("drift    yes").says("retention_days  3 → 14");
    let status = account.run("status --json").ends(0).json();
    assert_eq!(status["drift"], true);
    assert_eq!(status["differences"].as_array().unwrap().len(), 2);
}
