//! New code, a new commit, an endpoint less: what changes, and above all what doesn't.

use crate::account::{Account, deploy};
use deployer::contract::Endpoint;
use deployer::stack::ENDPOINTS;

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
    assert_eq!(
        wire.writes(),
        [
            format!("PUT {bucket}/artifacts/health/{sha256}.zip?x-id=PutObject"),
            format!("PUT {function}/code"),
            format!("POST {function}/versions"),
            format!("PUT {function}/aliases/live"),
        ]
    );
    let after = account.inventory().await;
    assert_eq!(
        without(&after, &before),
        [
            "alias ops-api-dev-health:live -> 2".to_owned(),
            format!("object artifacts/health/{sha256}.zip"),
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
            "parameter /ops-api/dev/git-sha: value",
        ]
    );
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0).says("deployed: 4 resources");
    let writes = wire.writes();
    assert_eq!(writes.len(), 7, "{writes:#?}");
    assert!(!writes.iter().any(|write| write.contains("root")), "{writes:#?}");
    let after = account.inventory().await;
    assert_eq!(
        without(&after, &before),
        [
            "alias ops-api-dev-health:live -> 2",
            "alias ops-api-dev-metadata:live -> 2",
            "version ops-api-dev-health:2",
            "version ops-api-dev-metadata:2",
        ]
    );
    assert_eq!(account.outputs()["git_sha"], "0123456789a");
    account.assert_as_wanted();
}

#[tokio::test]
async fn an_endpoint_that_left_the_stack_is_gone_and_the_others_answer() {
    static WITHOUT_HEALTH: &[Endpoint] = &[ENDPOINTS[0], ENDPOINTS[2]];
    assert!(ENDPOINTS[1].function == "health" && ENDPOINTS.len() == 3);
    let account = Account::deployed();
    let before = account.inventory().await;
    assert_eq!(account.get("/health").await, 200);

    let aws = account.aws().await;
    let release = account.packages.release();
    let (_, report) = deploy(&aws, &release, WITHOUT_HEALTH).await;
    let done: Vec<String> =
        report.done.iter().map(|step| format!("{:?} {}", step.action, step.title())).collect();
    assert_eq!(
        done,
        [
            "Update rest api ops-api-dev",
            "Update stage dev",
            "Delete log group /aws/lambda/ops-api-dev-health",
            "Delete role ops-api-dev-health-ap-southeast-2",
            "Delete function ops-api-dev-health",
        ]
    );
    let after = account.inventory().await;
    let gone = without(&before, &after);
    assert!(gone.iter().all(|thing| thing.contains("health")), "{gone:#?}");
    assert!(!after.iter().any(|thing| thing.contains("-health")), "{after:#?}");
    assert_eq!(account.get("/health").await, 403);
    assert_eq!(account.get("/").await, 200);
    assert_eq!(account.get("/metadata").await, 200);
    let (plan, _) = deploy(&aws, &release, WITHOUT_HEALTH).await;
    assert!(plan.is_empty(), "{plan:#?}");

    // And back again.
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
}
