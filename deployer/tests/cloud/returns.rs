//! Ways that releases go wrong one after the other, and what is left by then.

use crate::account::Account;
use crate::rollback::{MORE, answer, deploy, healthy, releases, states};
use crate::world::fault::{Break, Fault, Verdict};
use crate::world::{Request, Response, World, refuse};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_function_that_was_deleted_by_hand_is_made_again_after_many_releases() {
    let account = Account::deployed();
    deploy(&account, "0123456789a").ends(0);
    deploy(&account, "0123456789b").ends(0);
    let aws = account.aws().await;
    let function = aws.env.function("health");
    aws.lambda.delete_function().function_name(function).send().await.unwrap();
    account.run("deploy --yes").ends(0).says("release 4 is live");
    account.assert_as_wanted();
}

#[tokio::test]
async fn releases_are_numbered_on_when_the_api_was_deleted_by_hand() {
    let account = Account::deployed();
    deploy(&account, "0123456789a").ends(0);
    let aws = account.aws().await;
    let apis = aws.apigateway.get_rest_apis().send().await.unwrap();
    let api = apis.items().first().unwrap().id().unwrap();
    aws.apigateway.delete_rest_api().rest_api_id(api).send().await.unwrap();
    deploy(&account, "0123456789b").ends(0).says("release 3 is live");
    assert_eq!(releases(&account), states(&[(3, "live"), (2, "live"), (1, "live")]));
    account.assert_as_wanted();
}

#[test]
fn a_rollback_that_is_run_again_goes_to_the_same_release() {
    let account = Account::deployed();
    deploy(&account, "0123456789a").ends(0);
    deploy(&account, "0123456789b").ends(0);
    let (world, _) =
        World::broken(&account, "rollback --yes", ("ssm:PutParameter", 1), Break::KillAnswered);
    world.run(&account, "rollback --yes").ends(0).says("back to release 2");
    assert_eq!(account.outputs()["git_sha"], "0123456789a");
    account.run("smoke-test").ends(0);
}

#[test]
fn a_release_that_is_not_proven_takes_none_other_with_it() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    let (world, _) =
        World::broken(&account, "deploy --yes", ("execute-api:GET", 2), Break::KillAnswered);
    account.packages.put_code("health", None);
    account.packages.change_commit("bad00000001");
    let ran = world.run(&account, "deploy --yes").ends(5);
    assert!(!ran.err.contains("withdrawn"), "{}", ran.err);
    assert_eq!(releases(&account), states(&[(2, "unfinished"), (1, "live")]));
}

#[test]
fn a_release_that_is_withdrawn_closes_those_that_it_overtook() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    let (world, _) =
        World::broken(&account, "deploy --yes", ("execute-api:GET", 2), Break::KillAnswered);
    let bad = answer(500, &json!({}));
    account.packages.put_two_faced_code("health", Some(&healthy("0123456789b")), Some(&bad));
    account.packages.change_commit("0123456789b");
    let ran = world.run(&account, "deploy --yes").ends(5).says("release 1 serves again");
    ran.says("GET /health: status 500 instead of 200");
    assert_eq!(releases(&account), states(&[(3, "failed"), (2, "failed"), (1, "live")]));
    account.run("smoke-test").ends(0);
}

#[tokio::test]
async fn a_canary_that_is_interrupted_takes_its_share_back() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    let at = ("monitoring:GetMetricData", 9);
    let (world, _) =
        World::broken(&account, "deploy --yes --canary 10% --bake 5m", at, Break::Interrupt);
    let aws = account.aws().await;
    let alias = aws.lambda.get_alias().function_name(aws.env.function("health")).name("live");
    let alias = alias.send().await.unwrap();
    assert_eq!((alias.function_version(), alias.routing_config()), (Some("1"), None));
    world.run(&account, "deploy --yes --canary 10% --bake 5m").ends(0).says("release 2 is live");
    account.assert_as_wanted();
}

#[tokio::test]
async fn what_was_changed_by_hand_is_mended_as_a_release_that_can_be_gone_back_from() {
    let account = Account::deployed();
    deploy(&account, "0123456789a").ends(0);
    let aws = account.aws().await;
    let alias = aws.lambda.update_alias().function_name(aws.env.function("health")).name("live");
    alias.function_version("1").send().await.unwrap();
    account.run("deploy --yes").ends(0).says("release 3 is live");
    assert_eq!(releases(&account), states(&[(3, "live"), (2, "live"), (1, "live")]));
    account.run("releases").says("release 2 again");
    account.assert_as_wanted();
}

#[tokio::test]
async fn what_somebody_else_has_written_beside_the_records_is_not_believed() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let put = |key: &str, text: &str| {
        let body = text.as_bytes().to_vec().into();
        aws.s3.put_object().bucket(aws.env.bucket()).key(key).body(body).send()
    };
    let get = aws.s3.get_object().bucket(aws.env.bucket()).key("releases/00000001.json");
    let first = get.send().await.unwrap().body.collect().await.unwrap().to_vec();
    let first = String::from_utf8(first).unwrap();
    let number = first.replace("\"number\": 1", &format!("\"number\": {}", u64::MAX));
    put(&format!("releases/{}.json", u64::MAX), &number).await.unwrap();
    put("releases/00000009.json", &first).await.unwrap();
    let commit = account.packages.commit();
    let escape = first.replace("\"number\": 1", "\"number\": 8").replace(&commit, "\\u001b[31m");
    put("releases/00000008.json", &escape).await.unwrap();
    put("releases/nonsense", "{").await.unwrap();
    assert_eq!(releases(&account), states(&[(1, "live")]));
    // One that can't be read is not written over: it may be a newer program's.
    put("releases/00000002.json", "{ \"format_version\": 2 }").await.unwrap();
    let ran = deploy(&account, "0123456789a").ends(3);
    ran.says("releases/00000002.json in").says("is no record that this program can read");
    account.run("smoke-test").ends(0);
}

/// `GET /health` fails, and an operation is denied once the API was called.
struct FailsAndDenies {
    denied: &'static str,
    called: bool,
}

impl Fault for FailsAndDenies {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        self.called |= request.service == "execute-api";
        if self.called && request.name == self.denied {
            return Verdict::Answer(refuse(&request.service, 403, "AccessDenied", "not now"));
        }
        Verdict::Pass
    }

    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        let served = request.service == "execute-api" && answer.is_ok();
        if served && request.path.ends_with("/health") {
            return Verdict::Answer(refuse("execute-api", 500, "", "broken"));
        }
        Verdict::Pass
    }
}

#[test]
fn failed_check_of_the_former_release_does_not_stop_the_return() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    let fault = FailsAndDenies { denied: "iam:GetRole", called: false };
    let ran = World::of(&account).with(fault).run(&account, "deploy --yes").ends(5);
    let ran = ran.says("warning: checking whether release 1 can serve again");
    ran.says("release 2 was withdrawn; release 1 serves again");
    assert_eq!(releases(&account), states(&[(2, "failed"), (1, "live")]));
}

#[test]
fn return_is_reported_before_the_deployment_is_deleted() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    let fault = FailsAndDenies { denied: "apigateway:DeleteDeployment", called: false };
    let world = World::of(&account).with(fault);
    world.set_endpoints(MORE);
    let ran = world.run(&account, "deploy --yes").ends(1);
    let ran = ran.says("release 2 was withdrawn; release 1 serves again");
    ran.says("deleting the deployment of the release that was withdrawn");
    assert_eq!(releases(&account), states(&[(2, "failed"), (1, "live")]));
}
