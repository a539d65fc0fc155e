//! Deploys and destroys that were killed half-way: running again finishes them.

use crate::account::Account;
use crate::local::local;
use crate::wire::Wire;
use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType};
use std::process::Stdio;
use std::thread;

/// Kills a run the moment its n-th write was carried out; no answer has reached it by then.
fn kill_at_write(n: usize, account: &Account, line: &str) {
    let wire = Wire::silent_after(n, &local().endpoint);
    let mut run = account.command(&wire.endpoint, line);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wire.await_silence();
    run.kill().unwrap();
    run.wait().unwrap();
}

/// Runs a test once for each point, side by side: each waits for the cloud most of the time.
fn at_each(points: &[usize], test: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        let tests: Vec<_> = points
            .iter()
            .map(|&n| {
                (
                    n,
                    scope.spawn({
                        let test = &test;
                        move || test(n)
                    }),
                )
            })
            .collect();
        for (n, test) in tests {
            assert!(test.join().is_ok(), "killed at write {n}");
        }
    });
}

fn inventory(account: &Account) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(account.inventory())
}

#[test]
fn a_first_deploy_that_was_killed_is_finished_by_the_next() {
    let wanted = inventory(&Account::deployed());
    // First and last writes, and some between: a bucket without its policy, an API without routes,
    // a function without an alias, a stage without limits.
    at_each(&[1, 4, 10, 16, 20, 24, 28, 32, 36, 40], |n| {
        let account = Account::new();
        kill_at_write(n, &account, "deploy --yes");
        account.run("deploy --yes").ends(0);
        assert_eq!(inventory(&account), wanted, "killed at write {n}");
        account.assert_as_wanted();
    });
}

#[test]
fn an_update_that_was_killed_is_finished_by_the_next() {
    let deployed = Account::deployed();
    deployed.packages.change_code("root");
    deployed.run("deploy --yes").ends(0);
    let wanted = inventory(&deployed);
    at_each(&[1, 2, 3, 4], |n| {
        let account = Account::deployed();
        account.packages.change_code("root");
        kill_at_write(n, &account, "deploy --yes");
        account.run("smoke-test").ends(0); // callers notice nothing
        account.run("deploy --yes").ends(0);
        assert_eq!(inventory(&account), wanted, "killed at write {n}");
        account.assert_as_wanted();
    });
}

#[test]
fn a_destroy_that_was_killed_is_finished_by_the_next() {
    at_each(&[1, 5, 10, 15, 18], |n| {
        let account = Account::deployed();
        kill_at_write(n, &account, "destroy --yes");
        account.run("destroy --yes").ends(0).says("remaining 0");
        assert_eq!(inventory(&account), Vec::<String>::new(), "killed at write {n}");
    });
}

#[test]
fn a_destroy_that_was_killed_can_be_deployed_over() {
    let account = Account::deployed();
    let wanted = inventory(&account);
    kill_at_write(12, &account, "destroy --yes");
    account.run("deploy --yes").ends(0);
    assert_eq!(inventory(&account), wanted);
    account.assert_as_wanted();
}

/// What a lost answer of CreateRestApi may leave behind: AWS lets APIs share a name.
#[tokio::test]
async fn of_two_apis_the_younger_goes() {
    let account = Account::deployed();
    let wanted = account.inventory().await;
    let old = account.outputs()["rest_api_id"].clone();
    let aws = account.aws().await;
    let gateway = &aws.apigateway;
    let born = gateway.get_rest_api().rest_api_id(&old).send().await.unwrap().created_date.unwrap();
    let young = loop {
        let regional = EndpointConfiguration::builder().types(EndpointType::Regional).build();
        let create = gateway.create_rest_api().name("ops-api-dev");
        let create = create.endpoint_configuration(regional);
        let create = create.set_tags(Some(aws.env.tags().into_iter().collect()));
        let api = create.send().await.unwrap();
        // AWS tells the age in seconds.
        if api.created_date.unwrap().secs() > born.secs() {
            break api.id.unwrap();
        }
        gateway.delete_rest_api().rest_api_id(api.id.unwrap()).send().await.unwrap();
    };
    account.run("plan").says(&format!("- rest api ops-api-dev  {young}  to delete"));
    assert_eq!(account.drift(), ["rest api ops-api-dev: delete"]);
    account.run("deploy --yes").ends(0);
    assert_eq!(account.outputs()["rest_api_id"], old);
    assert_eq!(account.inventory().await, wanted);
    account.assert_as_wanted();
}
