//! API Gateway is slow to know what it was told: nothing wrong is believed meanwhile, and nothing right given up.

use crate::account::{Account, all_passed};
use crate::rollback::{deploy, releases, states};
use crate::world::World;
use crate::world::fault::{At, Break, SlowImport, SlowRoutes, Status};
use deployer::ENDPOINTS;
use infra::contract::{Endpoint, get};
use infra::engine::Stop;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One route more than the stack's.
static MORE: &[Endpoint] = &[
    ENDPOINTS[0],
    ENDPOINTS[1],
    ENDPOINTS[2],
    get("/more", "root").answers(r#"{"message": "Hello, World!"}"#),
];

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How many deployments the API has.
async fn deployments(account: &Account) -> usize {
    account.inventory().await.iter().filter(|thing| thing.starts_with("deployment")).count()
}

#[tokio::test]
async fn snapshot_of_the_routes_before_is_made_again() {
    for takes in [20, 40] {
        let account = Account::new();
        let fault = SlowImport::of_snapshots(seconds(takes));
        let fired = fault.fired.clone();
        let world = World::of(&account).with(fault);
        world.run(&account, "deploy --yes").ends(0).says(&all_passed());
        world.set_endpoints(MORE);
        world.run(&account, "deploy --yes").ends(0).says("13 of 13 passed");
        assert!(fired.load(Ordering::SeqCst) > 2, "{fired:?}");
        world.run(&account, "plan --detailed-exitcode").ends(0);
        // That of the release before is kept for a rollback.
        assert_eq!(deployments(&account).await, 2);
        world.run(&account, "rollback --yes").ends(0);
        world.run(&account, "destroy --yes").ends(0).says("remaining 0");
    }
}

#[tokio::test]
async fn stale_snapshot_of_a_killed_deploy_is_not_adopted() {
    let account = Account::deployed();
    let (fired, stop) = (Arc::default(), Stop::default());
    let at = At::new("apigateway:CreateDeployment", 1, Break::KillAnswered, &stop, &fired);
    let slow = SlowImport::of_snapshots(seconds(3_600));
    let world = World::of(&account).with(slow).with(at);
    world.set_endpoints(MORE);
    world.run(&account, "deploy --yes");
    assert_eq!((fired.load(Ordering::SeqCst), deployments(&account).await), (1, 2));
    world.mend();
    world.run(&account, "deploy --yes").ends(0).says("13 of 13 passed");
    assert_eq!(deployments(&account).await, 2);
}

#[tokio::test]
async fn served_snapshot_without_its_routes_is_a_difference() {
    let account = Account::deployed();
    let gateway = account.aws().await.apigateway;
    let apis = gateway.get_rest_apis().send().await.unwrap();
    let api = apis.items()[0].id().unwrap();
    let there = gateway.get_deployments().rest_api_id(api).send().await.unwrap();
    let description = there.items()[0].description().unwrap();
    let resources = gateway.get_resources().rest_api_id(api).send().await.unwrap();
    let health = resources.items().iter().find(|r| r.path() == Some("/health")).unwrap();
    let delete = gateway.delete_resource().rest_api_id(api).resource_id(health.id().unwrap());
    delete.send().await.unwrap();
    let stale = gateway.create_deployment().rest_api_id(api).description(description);
    let stale = stale.send().await.unwrap().id.unwrap();
    let moved = aws_sdk_apigateway::types::PatchOperation::builder()
        .op(aws_sdk_apigateway::types::Op::Replace)
        .path("/deploymentId")
        .value(stale);
    let stage = gateway.update_stage().rest_api_id(api).stage_name("dev");
    stage.patch_operations(moved.build()).send().await.unwrap();
    assert_eq!(account.get("/health").await, 403);

    let drift = account.drift();
    assert!(drift.contains(&"stage dev: deployment".to_owned()), "{drift:?}");
    account.run("deploy --yes").ends(0);
    assert_eq!(account.get("/health").await, 200);
    account.assert_as_wanted();
    assert_eq!(deployments(&account).await, 1);
}

#[tokio::test]
async fn deployment_of_a_withdrawn_release_is_deleted() {
    let account = Account::deployed();
    let world = World::of(&account);
    world.set_endpoints(MORE);
    // The route is in the API and in the snapshot, and its callers get API Gateway's 500 all the same.
    world.add(SlowRoutes::of(seconds(3_600)));
    let ran = world.run(&account, "deploy --yes").ends(5);
    ran.says("GET /more: status 500").says("release 1 serves again, as before");
    assert_eq!(deployments(&account).await, 1);
    world.mend();
    world.run(&account, "deploy --yes").ends(0).says("release 3 is live");
    assert_eq!(releases(&account), states(&[(3, "live"), (2, "failed"), (1, "live")]));
}

#[test]
fn objection_to_new_routes_is_believed_after_half_a_minute() {
    let account = Account::deployed();
    let fault = SlowImport::of_routes(seconds(20));
    let fired = fault.fired.clone();
    let world = World::of(&account).with(fault);
    world.run(&account, "plan --detailed-exitcode").ends(0);
    world.set_endpoints(MORE);
    world.run(&account, "deploy --yes").ends(0).says("release 2 is live");
    assert!(fired.load(Ordering::SeqCst) > 0);
    world.mend();
    world.set_endpoints(ENDPOINTS);
    world.add(SlowImport::of_routes(seconds(3_600)));
    world.run(&account, "deploy --yes").ends(5).says("through the new routes");
}

#[test]
fn new_routes_may_answer_500_for_a_minute() {
    let account = Account::new();
    let fault = SlowRoutes::of(seconds(50));
    let fired = fault.fired.clone();
    let world = World::of(&account).with(fault);
    world.run(&account, "deploy --yes").ends(0).says(&all_passed());
    let first = fired.swap(0, Ordering::SeqCst);
    world.set_endpoints(MORE);
    world.run(&account, "deploy --yes").ends(0).says("13 of 13 passed");
    assert!(first > 0 && fired.load(Ordering::SeqCst) > 0);
}

#[test]
fn api_is_changed_only_while_it_is_available() {
    for (status, takes) in [("UPDATING", 40), ("PENDING", 10), ("UPDATING", 900)] {
        let account = Account::new();
        let fault = Status::of(status, seconds(takes));
        let (early, told) = (fault.early.clone(), fault.told.clone());
        let world = World::of(&account).with(fault);
        world.run(&account, "deploy --yes").ends(0);
        world.set_endpoints(MORE);
        let ran = world.run(&account, "deploy --yes").ends(0);
        ran.says("waiting for API Gateway to finish a change of the API");
        let (early, told) = (early.load(Ordering::SeqCst), told.load(Ordering::SeqCst));
        assert!(early == 0 && told > 0, "{status}: {early} changes while it was told {told} times");
    }
}

#[test]
fn failed_change_of_an_api_is_an_error() {
    let account = Account::deployed();
    deploy(&account, "0123456789a").ends(0);
    let world = World::of(&account).with(Status::of("FAILED", seconds(60)));
    world.set_endpoints(MORE);
    let ran = world.run(&account, "deploy --yes").ends(3);
    ran.says("status FAILED").says("The security policy is not supported here.");
    world.mend();
    world.run(&account, "deploy --yes").ends(0);
}
