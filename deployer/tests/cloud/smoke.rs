//! The smoke test when something is wrong.

use crate::account::Account;
use aws_sdk_apigateway::types::{Op, PatchOperation};

#[tokio::test]
async fn a_wrong_answer_fails_the_smoke_test_and_is_shown() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let fact = aws.ssm.put_parameter().name("/ops-api/dev/git-sha").value("another");
    fact.overwrite(true).send().await.unwrap();

    let ran = account.run("smoke-test --timeout 1").ends(5).says("8 of 10 passed");
    let url = &account.outputs()["url"];
    let commit = account.packages.commit();
    ran.says(&format!("request: GET {url}/health"))
        .says(&format!("body.releaseId is \"{commit}\", not \"another\""))
        .says("answer: 200 {")
        .says("look at: ");

    let verdicts = account.run("smoke-test --timeout 1 --json").ends(5).json();
    assert_eq!(verdicts["passed"], false);
    let failed = verdicts["checks"].as_array().unwrap().iter().filter(|c| !c["failure"].is_null());
    let names: Vec<_> = failed.map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["GET /health", "GET /metadata"]);
}

#[tokio::test]
async fn a_disabled_key_fails_the_smoke_test() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let key = aws.apigateway.get_api_keys().send().await.unwrap().items()[0].id.clone().unwrap();
    let off = PatchOperation::builder().op(Op::Replace).path("/enabled").value("false").build();
    aws.apigateway.update_api_key().api_key(key).patch_operations(off).send().await.unwrap();

    let ran = account.run("smoke-test --timeout 1").ends(5);
    ran.says("status 403 instead of 200").says("look at: cargo xtask plan");
    assert_eq!(account.drift(), ["api key ops-api-dev: enabled"]);
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
}

#[tokio::test]
async fn a_function_that_does_not_start_fails_the_smoke_test() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let lambda = &aws.lambda;
    let (name, empty) = (aws.env.function("health"), aws_sdk_lambda::types::Environment::builder());
    let update = lambda.update_function_configuration().function_name(&name);
    update.environment(empty.set_variables(Some([].into())).build()).send().await.unwrap();
    let version = loop {
        // Lambda refuses while it is still at the update.
        if let Ok(version) = lambda.publish_version().function_name(&name).send().await {
            break version.version.unwrap();
        }
    };
    let alias = lambda.update_alias().function_name(&name).name("live").function_version(version);
    alias.send().await.unwrap();

    let ran = account.run("smoke-test --timeout 1").ends(5).says("status 503 instead of 200");
    ran.says("look at: the log group /aws/lambda/ops-api-dev-health");
    // The version that is wanted is still there: it only has to serve again.
    assert_eq!(account.drift(), ["stage dev: functions.health"]);
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
}
