//! Releases: on record, kept, gone back to; and withdrawn when they disappoint.

use crate::account::{Account, Ran, all_passed};
use crate::world::fault::{Break, Verdict};
use crate::world::{KILLED, Request, Response, World, refuse};
use deployer::ENDPOINTS;
use infra::contract::{Endpoint, get};
use serde_json::{Value, json};
use std::time::Duration;

/// Another commit, deployed.
pub fn deploy(account: &Account, commit: &str) -> Ran {
    account.packages.change_commit(commit);
    account.run("deploy --yes")
}

/// Number and state of each release, the newest first.
pub fn releases(account: &Account) -> Vec<(u64, String)> {
    let list = account.run("releases --json").ends(0).json();
    let one = |r: &Value| (r["number"].as_u64().unwrap(), r["state"].as_str().unwrap().to_owned());
    list.as_array().unwrap().iter().map(one).collect()
}

pub fn states(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(number, state)| (*number, (*state).to_owned())).collect()
}

/// An answer that keeps the promise of `/health`.
pub fn healthy(commit: &str) -> Value {
    let body = json!({ "status": "pass", "version": "1.0.0", "releaseId": commit, "checks": {} });
    answer(200, &body)
}

pub fn answer(status: u16, body: &Value) -> Value {
    let headers = json!({ "content-type": "application/health+json" });
    json!({ "statusCode": status, "headers": headers, "body": body.to_string() })
}

#[test]
fn releases_are_on_record_and_can_be_gone_back_to() {
    let account = Account::new();
    account.run("releases").ends(0).says("no releases on record");
    account.run("rollback --yes").ends(6).says("stage dev is not deployed");
    account.run("deploy --yes").ends(0).says("release 1 is live").says(&all_passed());
    account.run("rollback --yes").ends(6).says("no good one from before it");
    let first = account.packages.commit();
    deploy(&account, "0123456789a").ends(0).says("release 2 is live");
    account.packages.change_code("root");
    deploy(&account, "0123456789b").ends(0).says("release 3 is live");
    let list = account.run("releases").ends(0);
    let list = list.says("first release").says("       settings of health and metadata\n");
    list.says("code of root, settings of health and metadata").says("   3 live");

    // Twice back, each a flip and no more.
    let (ran, wire) = account.run_heard("rollback --yes");
    ran.ends(0).says("back to release 2").says("release 4 is live");
    let moved = |write: &String| write.contains("/aliases/live") || write.contains("/releases/");
    let others: Vec<_> = wire.writes().into_iter().filter(|write| !moved(write)).collect();
    assert_eq!(others, ["PutParameter"], "{others:?}");
    assert_eq!(account.outputs()["git_sha"], "0123456789a");
    account.run("smoke-test").ends(0);
    account.run("rollback --yes").ends(0).says("back to release 1").says("release 5 is live");
    assert_eq!(account.outputs()["git_sha"], first.as_str());
    account.run("rollback --yes").ends(6).says("no good one from before it");
    account.run("rollback --yes --to 3").ends(0).says("release 6 is live");
    account.run("rollback --yes --to 3").ends(0).says("nothing to do: release 3 serves");
    account.assert_as_wanted();
    account.run("rollback --yes --to 99").ends(6).says("there is no release 99; kept are 1, 2, 3");
    // Going back and forth costs none of them.
    let all = [6, 5, 4, 3, 2, 1].map(|number| (number, "live"));
    assert_eq!(releases(&account), states(&all));
    account.run("destroy --yes").ends(0).says("remaining 0");
}

#[tokio::test]
async fn five_releases_are_kept_and_nothing_that_none_of_them_needs() {
    let account = Account::deployed();
    for number in 1..=7 {
        account.packages.put_code("health", Some(&healthy(&format!("000000000{number:02}"))));
        deploy(&account, &format!("000000000{number:02}")).ends(0);
    }
    let things = account.inventory().await;
    let count = |what: &str| things.iter().filter(|thing| thing.starts_with(what)).count();
    assert_eq!(count("object releases/"), 5, "{things:#?}");
    assert_eq!(count("version ops-api-dev-health:"), 6); // with $LATEST
    assert_eq!(count("object artifacts/health/"), 5);
    assert_eq!(count("object artifacts/root/"), 1);
    assert_eq!(count("version ops-api-dev-root:"), 2);
    assert_eq!(count("deployment"), 1);
    account.run("rollback --yes --to 3").ends(6).says("there is no release 3");
    account.run("rollback --yes --to 4").ends(0);
    assert_eq!(account.outputs()["git_sha"], "00000000003");
    account.run("smoke-test").ends(0);
    // And forward again, without uploading or publishing anything.
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0).says("release 10 is live");
    let writes = wire.writes();
    assert!(!writes.iter().any(|write| write.contains("/versions") || write.contains("/code")));
    account.assert_as_wanted();
}

#[test]
fn what_disappoints_its_callers_is_withdrawn() {
    let account = Account::deployed();
    let (health, first) = (healthy("0123456789a"), account.packages.commit());
    let bad = answer(500, &json!({}));
    account.packages.put_two_faced_code("health", Some(&health), Some(&bad));
    account.packages.change_commit("0123456789a");
    let ran = account.run("deploy --yes --smoke-timeout 1").ends(5);
    let ran = ran.says("GET /health: status 500 instead of 200");
    ran.says("release 2 was withdrawn; release 1 serves again, as before");
    assert_eq!(releases(&account), states(&[(2, "failed"), (1, "live")]));
    account.run("releases").says("withdrawn").says("smoke test: GET /health: status 500");
    assert_eq!(account.outputs()["git_sha"], first.as_str());
    account.run("smoke-test").ends(0);
    account.run("rollback --yes --to 2").ends(6).says("nobody goes back to that");
    // It is nobody's wish but the packages' now: the same again ends the same, unless nobody looks.
    account.run("deploy --yes --smoke-timeout 1").ends(5).says("release 3 was withdrawn");
    account.run("deploy --yes --no-smoke").ends(0).says("release 4 is live");
    account.run("rollback --yes").ends(0).says("back to release 1");
    account.run("smoke-test").ends(0);
}

#[test]
fn a_first_release_that_disappoints_has_none_before_it() {
    let account = Account::new();
    let health = healthy(&account.packages.commit());
    let bad = answer(500, &json!({}));
    account.packages.put_two_faced_code("health", Some(&health), Some(&bad));
    let ran = account.run("deploy --yes --smoke-timeout 1").ends(5);
    ran.says("release 1 serves on: there is none before it to go back to");
    assert_eq!(account.drift(), ["stage dev: release.state"]);
    account.packages.put_code("health", Some(&health));
    account.run("deploy --yes").ends(0).says("release 2 is live");
    account.assert_as_wanted();
    account.run("rollback --yes").ends(6).says("no good one from before it");
}

/// A deploy of another commit, broken at a request, in a world of its own.
fn broken(op: &str, k: usize, how: Break) -> (Account, World) {
    let account = Account::new();
    World::of(&account).run(&account, "deploy --yes").ends(0);
    account.packages.change_commit("0123456789a");
    let (world, _) = World::broken(&account, "deploy --yes", (op, k), how);
    (account, world)
}

#[test]
fn a_release_that_was_killed_between_two_flips_is_finished_by_the_next_run() {
    let (account, world) = broken("lambda:UpdateAlias", 1, Break::KillAnswered);
    assert_eq!(releases(&account), states(&[(2, "unfinished"), (1, "live")]));
    world.run(&account, "deploy --yes").ends(0).says("release 2 is live");
    assert_eq!(releases(&account), states(&[(2, "live"), (1, "live")]));
    account.assert_as_wanted();
}

#[test]
fn a_release_that_was_killed_between_two_flips_can_be_undone() {
    let (account, world) = broken("lambda:UpdateAlias", 1, Break::KillAnswered);
    world.run(&account, "rollback --yes").ends(0).says("back to release 1");
    assert_ne!(account.outputs()["git_sha"], "0123456789a");
    account.run("smoke-test").ends(0);
    assert_eq!(releases(&account), states(&[(3, "live"), (2, "failed"), (1, "live")]));
    account.run("releases").says("interrupted; release 3 took its place");
}

#[test]
fn a_flip_is_not_left_half_done_by_ctrl_c() {
    let (account, world) = broken("lambda:UpdateAlias", 1, Break::Interrupt);
    // Both have moved; what comes afterwards is for the next run.
    let drift = account.drift();
    assert!(!drift.iter().any(|step| step.contains("functions.")), "{drift:#?}");
    world.run(&account, "deploy --yes").ends(0).says("release 2 is live");
    account.assert_as_wanted();
}

#[test]
fn a_return_that_was_killed_is_ended_by_the_next_run() {
    let account = Account::deployed();
    let bad = answer(500, &json!({}));
    account.packages.change_commit("0123456789a");
    account.packages.put_two_faced_code("health", Some(&healthy("0123456789a")), Some(&bad));
    // Two are moved in, the third moves back.
    let third = ("lambda:UpdateAlias", 3);
    let (world, ran) = World::broken(&account, "deploy --yes", third, Break::KillAnswered);
    ran.ends(KILLED);
    assert_eq!(releases(&account), states(&[(2, "returning"), (1, "live")]));
    world.run(&account, "releases").says("being withdrawn: deploy again to end it");
    // What is wanted by then is another release; what was begun is ended first.
    account.packages.change_commit("0123456789b");
    account.packages.put_code("health", Some(&healthy("0123456789b")));
    let ran = world.run(&account, "deploy --yes").ends(0);
    let ran = ran.says("release 2 was being withdrawn when the last run ended (smoke test: GET");
    ran.says("release 2 was withdrawn; release 1 serves again").says("release 3 is live");
    assert_eq!(releases(&account), states(&[(3, "live"), (2, "failed"), (1, "live")]));
    account.assert_as_wanted();
}

/// Refuses the second call that has an alias serve another version.
struct Denied(usize);

impl crate::world::fault::Fault for Denied {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        self.0 += usize::from(request.name == "lambda:UpdateAlias");
        match request.name == "lambda:UpdateAlias" && self.0 == 2 {
            true => Verdict::Answer(refuse("lambda", 403, "AccessDeniedException", "not you")),
            false => Verdict::Pass,
        }
    }
}

#[test]
fn a_flip_that_is_half_refused_is_taken_back_at_once() {
    let account = Account::deployed();
    let first = account.packages.commit();
    account.packages.change_commit("0123456789a");
    let world = World::of(&account).with(Denied(0));
    let ran = world.run(&account, "deploy --yes").ends(3);
    ran.says("release 2 was withdrawn; release 1 serves again, as before");
    assert_eq!(account.outputs()["git_sha"], first.as_str());
    account.run("smoke-test").ends(0);
    account.run("deploy --yes").ends(0).says("release 3 is live");
    account.assert_as_wanted();
}

/// The second route of a function whose code has never heard of it.
pub static MORE: &[Endpoint] = &[
    ENDPOINTS[0],
    ENDPOINTS[1],
    ENDPOINTS[2],
    get("/more", "root").answers(r#"{"message": "Hello, World!"}"#),
];

#[test]
fn new_routes_are_called_through_the_api_before_they_serve() {
    let account = Account::deployed();
    let world = World::of(&account);
    world.set_endpoints(MORE);
    world.run(&account, "deploy --yes").ends(0).says("release 2 is live");
    let asked = world.requests();
    let at = |name: &str| asked.iter().position(|request| request == name).unwrap();
    let tested = asked.iter().filter(|name| *name == "apigateway:TestInvokeMethod").count();
    assert_eq!(tested, MORE.len());
    assert!(at("apigateway:TestInvokeMethod") < at("apigateway:UpdateStage"));
    world.run(&account, "smoke-test").ends(0).says("GET /more");

    // The definition alone is broken: the function may not be called by it.
    static BROKEN: &[Endpoint] = &[ENDPOINTS[0], ENDPOINTS[1], ENDPOINTS[2]];
    world.set_endpoints(BROKEN);
    world.add(Unroutable);
    let ran = world.run(&account, "deploy --yes").ends(5);
    ran.says("request: GET /health through the new routes").says("status 500 instead of 200");
    world.mend();
    world.set_endpoints(MORE);
    world.run(&account, "smoke-test").ends(0).says("GET /more");
}

/// What API Gateway answers when it can't call the function.
struct Unroutable;

impl crate::world::fault::Fault for Unroutable {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if request.name != "apigateway:TestInvokeMethod" {
            return Verdict::Pass;
        }
        let log = "Execution failed due to configuration error: Invalid permissions";
        let said = json!({ "status": 500, "body": "{}", "log": log, "latency": 1 });
        let (headers, body) = (Default::default(), said.to_string().into_bytes());
        Verdict::Answer(Response { status: 200, headers, body })
    }
}

#[test]
fn a_canary_takes_its_share_and_then_all() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    let world = World::of(&account);
    let ran = world.run(&account, "deploy --yes --canary 10% --bake 5m").ends(0);
    ran.says("release 2 is live");
    let asked = world.requests();
    let count = |name: &str| asked.iter().filter(|request| *request == name).count();
    assert_eq!(count("lambda:UpdateAlias"), 4); // two functions, twice
    assert!(count("lambda:InvokeFunction") > 30, "{}", count("lambda:InvokeFunction"));
    assert!(count("monitoring:GetMetricData") > 30);
    account.assert_as_wanted();
}

/// CloudWatch tells of errors after a while: beginning with those of a version, which are asked for before
/// the API's.
struct Errors(usize);

impl crate::world::fault::Fault for Errors {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        if request.name == "monitoring:GetMetricData" {
            self.0 += 1;
            if self.0 > 21 {
                // A map with a list of one result, whose values are a list of one number, in CBOR.
                answer.body = [
                    &b"\xa1\x71MetricDataResults\x81\xa2\x62Id\x63sum\x66Values\x81"[..],
                    b"\xfb\x40\x08\x00\x00\x00\x00\x00\x00",
                ]
                .concat();
            }
        }
        Verdict::Pass
    }
}

#[test]
fn a_canary_with_errors_is_withdrawn() {
    let account = Account::deployed();
    let first = account.packages.commit();
    account.packages.change_commit("0123456789a");
    let world = World::of(&account).with(Errors(0));
    let ran = world.run(&account, "deploy --yes --canary 10% --bake 5m").ends(5);
    let ran = ran.says("the canary did not do well: version 2 of ops-api-dev-");
    ran.says("failed 3 times, says CloudWatch").says("release 1 serves again, as before");
    assert_eq!(releases(&account), states(&[(2, "failed"), (1, "live")]));
    assert_eq!(account.outputs()["git_sha"], first.as_str());
    account.run("deploy --yes").ends(0).says("release 3 is live");
    account.assert_as_wanted();
}
