//! The smoke test when something is wrong.

use crate::account::{Account, all_passed, passed_but};
use crate::rollback::{answer, deploy, healthy, releases, states};
use crate::world::fault::{Fault, Verdict};
use crate::world::{Request, Response, World, refuse};
use aws_sdk_apigateway::types::{Op, PatchOperation};
use deployer::ENDPOINTS;
use infra::contract::Endpoint;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_wrong_answer_fails_the_smoke_test_and_is_shown() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let fact = aws.ssm.put_parameter().name("/ops-api/dev/git-sha").value("another");
    fact.overwrite(true).send().await.unwrap();

    let ran = account.run("smoke-test --timeout 1").ends(5).says(&passed_but(2));
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
    account.run("deploy --yes --allow-widening").ends(0);
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

/// A patch that replaces one value.
fn replace(path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
}

#[tokio::test]
async fn smoke_test_with_a_used_up_quota_could_not_be_judged() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let plans = aws.apigateway.get_usage_plans().send().await.unwrap();
    let plan = plans.items()[0].id().unwrap();
    let patch = aws.apigateway.update_usage_plan().usage_plan_id(plan);
    patch.patch_operations(replace("/quota/limit", "1")).send().await.unwrap();

    let ran = account.run("smoke-test").ends(6);
    let ran = ran.says("the key's quota is used up").says("GET /health").says("next: ");
    assert!(!ran.err.contains("look at: "), "{}", ran.err);
    let verdicts = account.run("smoke-test --json").ends(6).json();
    assert_eq!(verdicts["passed"], false);
    let unjudged = verdicts["checks"].as_array().unwrap().iter();
    let unjudged = unjudged.filter(|check| check["quota_exceeded"] == true);
    let names: Vec<_> = unjudged.map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ENDPOINTS.iter().map(Endpoint::route).collect::<Vec<_>>());
    account.run("load --clients 1 --seconds 1").ends(6).says("calls could not be judged");

    let key = account.run("key show").ends(0).out.trim().to_owned();
    let url = format!("{}/health", account.outputs()["url"]);
    let answer = call(&url, &key).await;
    assert_eq!(answer, (429, r#"{"message":"Limit Exceeded"}"#.to_owned()));
}

/// Status and body.
async fn call(url: &str, key: &str) -> (u16, String) {
    let http = infra::http::connector();
    let answer = infra::http::get(&http, url, &[("x-api-key", key)]).await.unwrap();
    (answer.status, answer.body)
}

/// Until then, API Gateway refuses every call that it would let in.
struct Refused {
    until: Duration,
    error_type: &'static str,
    message: &'static str,
}

impl Refused {
    fn for_used_up_quota() -> Self {
        let (error_type, message) = ("LimitExceededException", "Limit Exceeded");
        Self { until: Duration::MAX, error_type, message }
    }
}

impl Fault for Refused {
    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if request.service != "execute-api" || !answer.is_ok() || now >= self.until {
            return Verdict::Pass;
        }
        Verdict::Answer(refuse("execute-api", 429, self.error_type, self.message))
    }
}

#[test]
fn used_up_quota_rolls_no_release_back() {
    let account = Account::deployed();
    deploy(&account, "0123456789a").ends(0);
    let world = World::of(&account).with(Refused::for_used_up_quota());
    account.packages.change_commit("0123456789b");
    let ran = world.run(&account, "deploy --yes").ends(0).says("release 3 is live");
    ran.says("warning: the key's quota is used up")
        .says(&format!("smoke test: {}", passed_but(ENDPOINTS.len())));
    let ran = world.run(&account, "rollback --yes").ends(0).says("release 4 is live");
    ran.says("warning: the key's quota is used up");
    let live = [4, 3, 2, 1].map(|number| (number, "live"));
    assert_eq!(releases(&account), states(&live));
    world.mend();
    world.run(&account, "smoke-test").ends(0);
}

/// The body of a used-up quota, but from the function.
#[test]
fn limit_exceeded_of_a_function_is_a_failure() {
    let account = Account::deployed();
    let full = answer(429, &json!({ "message": "Limit Exceeded" }));
    account.packages.put_two_faced_code("health", Some(&healthy("0123456789a")), Some(&full));
    account.packages.change_commit("0123456789a");
    let ran = account.run("deploy --yes --smoke-timeout 1").ends(5);
    let ran = ran.says("GET /health: status 429 instead of 200");
    ran.says("release 2 was withdrawn; release 1 serves again");
}

#[test]
fn throttled_calls_are_repeated_until_they_pass() {
    let account = Account::deployed();
    let until = Duration::from_secs(20);
    let (error_type, message) = ("TooManyRequestsException", "Too Many Requests");
    let world = World::of(&account).with(Refused { until, error_type, message });
    account.packages.change_commit("0123456789a");
    let ran = world.run(&account, "deploy --yes").ends(0);
    ran.says(&format!("smoke test: {}", all_passed())).says("release 2 is live");
    assert!(world.age() >= until);
}
