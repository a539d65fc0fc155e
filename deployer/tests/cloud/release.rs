//! New code, a new commit, an endpoint less: what changes, and above all what doesn't.

use crate::account::Account;
use crate::world::World;
use deployer::ENDPOINTS;
use infra::contract::{Endpoint, get};
use std::sync::LazyLock;

/// What an inventory has that another hasn't.
fn without(things: &[String], others: &[String]) -> Vec<String> {
    things.iter().filter(|thing| !others.contains(thing)).cloned().collect()
}

#[tokio::test]
async fn new_code_of_one_function_touches_only_that_function() {
    let account = Account::deployed();
    let before = account.inventory().await;
    account.packages.change_code("health");
    let sha256 = account.packages.release().package("health").sha256;
    assert_eq!(
        account.drift(),
        [
            format!("artifact health/{}: create", &sha256[..12]),
            "function ops-api-dev-health: code".to_owned(),
            "stage dev: functions.health".to_owned(),
        ]
    );

    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0).says("deployed: 3 resources");
    let bucket = format!("/ops-api-dev-{}-ap-southeast-2", account.id);
    let function = "/2015-03-31/functions/ops-api-dev-health";
    let record = format!("PUT {bucket}/releases/00000002.json?x-id=PutObject");
    assert_eq!(
        wire.writes(),
        [
            format!("PUT {bucket}/artifacts/health/{sha256}.zip?x-id=PutObject"),
            format!("PUT {function}/code"),
            record.clone(),
            format!("PUT {function}/aliases/live"),
            record,
        ]
    );
    let after = account.inventory().await;
    assert_eq!(
        without(&after, &before),
        [
            "alias ops-api-dev-health:live -> 2".to_owned(),
            format!("object artifacts/health/{sha256}.zip"),
            "object releases/00000002.json".to_owned(),
            "version ops-api-dev-health:2".to_owned(),
        ]
    );
    assert_eq!(without(&before, &after), ["alias ops-api-dev-health:live -> 1"]);
    account.assert_as_wanted();
}

#[tokio::test]
async fn a_new_commit_touches_only_what_tells_of_it() {
    let account = Account::deployed();
    let before = account.inventory().await;
    account.packages.change_commit("0123456789a");
    assert_eq!(
        account.drift(),
        [
            "function ops-api-dev-health: environment.GIT_SHA",
            "function ops-api-dev-metadata: environment.GIT_SHA",
            "stage dev: functions.health",
            "stage dev: functions.metadata",
            "stage dev: release.commit",
            "parameter /ops-api/dev/git-sha: value",
        ]
    );
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0).says("deployed: 4 resources");
    let writes = wire.writes();
    assert_eq!(writes.len(), 9, "{writes:#?}");
    assert!(!writes.iter().any(|write| write.contains("root")), "{writes:#?}");
    let after = account.inventory().await;
    assert_eq!(
        without(&after, &before),
        [
            "alias ops-api-dev-health:live -> 2",
            "alias ops-api-dev-metadata:live -> 2",
            "object releases/00000002.json",
            "version ops-api-dev-health:2",
            "version ops-api-dev-metadata:2",
        ]
    );
    assert_eq!(account.outputs()["git_sha"], "0123456789a");
    account.assert_as_wanted();
}

/// A function is made from its first route.
static DROPPED_RELEASE: &[Endpoint] = &[ENDPOINTS[0], get("/more", "root").knows_release()];
static DROPPED_RESERVE: &[Endpoint] =
    &[ENDPOINTS[0].reserved(5), ENDPOINTS[1], get("/more", "root").reserved(6)];
static SAME_SETTINGS: &[Endpoint] =
    &[ENDPOINTS[0], ENDPOINTS[1], get("/more", "health").knows_release(), ENDPOINTS[2]];

#[test]
fn setting_on_a_second_route_of_a_function_is_refused_before_any_request() {
    let account = Account::new();
    let world = World::of(&account);
    for (endpoints, setting) in [
        (DROPPED_RELEASE, "GET /more has .knows_release()"),
        (DROPPED_RESERVE, "GET /more has .reserved(…)"),
    ] {
        world.set_endpoints(endpoints);
        for line in ["plan", "deploy --yes"] {
            let ran = world.run(&account, line).ends(6).says(setting).says("nothing was changed");
            ran.says("deployer/src/stack.rs")
                .says("its first route, GET /; move the setting there");
        }
    }
    assert_eq!(world.requests(), Vec::<String>::new());

    world.set_endpoints(SAME_SETTINGS);
    world.run(&account, "plan").ends(0);
}

static WITHOUT_HEALTH: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    ENDPOINTS.iter().copied().filter(|endpoint| endpoint.function != "health").collect()
});

fn of_health(things: &[String]) -> Vec<&str> {
    let words: Vec<&str> = things.iter().map(String::as_str).collect();
    words.into_iter().filter(|thing| thing.contains("-health")).collect()
}

#[tokio::test]
async fn an_endpoint_that_left_the_stack_answers_no_more_and_is_kept_for_going_back() {
    let account = Account::deployed();
    let world = World::of(&account);
    let before = account.inventory().await;
    assert_eq!(account.get("/health").await, 200);

    world.set_endpoints(&WITHOUT_HEALTH);
    world.run(&account, "deploy --yes").ends(0).says("deployed: 4 resources");
    assert_eq!(account.get("/health").await, 403);
    assert_eq!(account.get("/").await, 200);
    assert_eq!(account.get("/metadata").await, 200);
    assert_eq!(without(&before, &account.inventory().await), Vec::<String>::new());
    world.run(&account, "plan --detailed-exitcode").ends(0);

    // With its route, and nothing is made for it.
    world.run(&account, "rollback --yes").ends(0).says("to release 1");
    assert_eq!(account.get("/health").await, 200);
    account.run("smoke-test").ends(0);

    // When no release is left that needs it, it goes, and its role and its logs with it.
    for commit in ["0000000000a", "0000000000b", "0000000000c", "0000000000d"] {
        account.packages.change_commit(commit);
        world.run(&account, "deploy --yes").ends(0);
        assert!(!of_health(&account.inventory().await).is_empty(), "{commit}");
    }
    account.packages.change_commit("0000000000e");
    world.run(&account, "deploy --yes").ends(0).says("function ops-api-dev-health");
    assert_eq!(of_health(&account.inventory().await), Vec::<&str>::new());
    world.run(&account, "plan --detailed-exitcode").ends(0);
    world.run(&account, "rollback --yes --to 3").ends(6).says("there is no release 3");
}
