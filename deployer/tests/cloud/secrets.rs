//! The API key's value, which nobody sees who doesn't ask for it by name.

use crate::account::{Account, Ran};
use infra::engine::{Resource, Secret};
use infra::resources::SecretParameter;
use infra::run::Run;
use std::fs;

#[test]
fn no_output_tells_the_key_but_key_show() {
    let account = Account::new();
    let mut outputs = Vec::new();
    let mut run = |line: &str, code| {
        let Ran { out, err, .. } = account.run(line).ends(code);
        outputs.push((line.to_owned(), out + &err));
    };
    run("deploy --yes -vv", 0);
    run("deploy --yes --json", 0);
    run("plan -vv", 0);
    run("plan --json --out dev.plan.json", 0);
    run("deploy dev.plan.json --yes", 0);
    run("status -vv", 0);
    run("status --json", 0);
    run("outputs", 0);
    run("outputs --json", 0);
    run("smoke-test -vv", 0);
    run("smoke-test --json", 0);
    run("graph", 0);
    // A difference in the key itself, and failures near it.
    let key = account.run("key show").ends(0).out.trim().to_owned();
    assert_eq!(key.len(), 40);
    account.packages.change_commit("0123456789a");
    run("plan -vv --json --out dev.plan.json", 0);
    run("status", 0);
    run("deploy dev.plan.json --yes --stage other", 6);
    run("destroy --yes -vv", 0);
    let plan = fs::read_to_string(account.packages.path().join("dev.plan.json")).unwrap();
    outputs.push(("the saved plan".to_owned(), plan));

    for (line, output) in outputs {
        assert!(output.len() > 30, "{line}: {output}");
        assert!(!output.contains(&key), "{line}: {output}");
    }
}

#[tokio::test]
async fn a_key_of_another_value_is_replaced_and_both_stay_secret() {
    let account = Account::deployed();
    let old = account.run("key show").ends(0).out.trim().to_owned();
    let aws = account.aws().await;
    let new = "a-key-that-somebody-has-chosen-by-hand";
    let put = aws.ssm.put_parameter().name("/ops-api/dev/api-key").value(new);
    put.overwrite(true).send().await.unwrap();

    let plan = account.run("plan --detailed-exitcode -v").ends(2).says("(secret ");
    let deploy = account.run("deploy --yes -vv").ends(0);
    for ran in [plan, deploy] {
        assert!(!(ran.out + &ran.err).contains(new));
    }
    assert_eq!(account.run("key show").ends(0).out.trim(), new);
    account.assert_as_wanted();
    assert_eq!(account.get_with(&old, "/").await, 403, "the old key is void");
}

async fn delete_parameter(account: &Account) {
    let aws = account.aws().await;
    aws.ssm.delete_parameter().name("/ops-api/dev/api-key").send().await.unwrap();
}

#[tokio::test]
async fn deleted_parameter_is_restored_from_the_living_key() {
    let account = Account::deployed();
    let wanted = account.inventory().await;
    let key = account.run("key show").ends(0).out;
    delete_parameter(&account).await;
    account.run("key show").ends(1).says("parameter /ops-api/dev/api-key is not there");

    let drift = account.drift();
    assert_eq!(drift, ["parameter /ops-api/dev/api-key: type"]);
    let plan = account.run("plan").ends(0).says("is stored again → SecureString");
    let deploy = account.run("deploy --yes -vv").ends(0);
    account.assert_as_wanted();
    assert_eq!(account.run("key show").ends(0).out, key);
    assert_eq!(account.inventory().await, wanted);
    for ran in [plan, deploy] {
        assert!(!(ran.out + &ran.err).contains(key.trim()));
    }
}

#[tokio::test]
async fn deleted_parameter_is_not_restored_from_a_key_that_was_rotated() {
    let account = Account::deployed();
    account.run("key rotate --yes --grace 1h").ends(0);
    let key = account.run("key show").ends(0).out;
    delete_parameter(&account).await;
    account.run("deploy --yes").ends(0);
    assert_eq!(account.run("key show").ends(0).out, key);
}

#[tokio::test]
async fn deleted_parameter_of_several_keys_is_asked_about() {
    let account = Account::deployed();
    let key = account.run("key show").ends(0).out;
    let aws = account.aws().await;
    let second = aws.apigateway.create_api_key().name(aws.env.name());
    let second = second.set_tags(Some(aws.env.tags().into_iter().collect())).send().await.unwrap();
    let second = second.id.unwrap();
    delete_parameter(&account).await;
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(6).says("several keys: ").says(&second).says("key revoke ID");
    wire.assert_no_writes();

    account.run(&format!("key revoke {second} --yes")).ends(0);
    account.run("deploy --yes").ends(0);
    assert_eq!(account.run("key show").ends(0).out, key);
}

/// Without its key there is nothing to restore it from.
#[tokio::test]
async fn key_that_was_lost_is_made_anew() {
    let account = Account::deployed();
    let wanted = account.inventory().await;
    let old = account.run("key show").ends(0).out;
    let aws = account.aws().await;
    delete_parameter(&account).await;
    let keys = aws.apigateway.get_api_keys().send().await.unwrap();
    let key = keys.items()[0].id().unwrap();
    aws.apigateway.delete_api_key().api_key(key).send().await.unwrap();

    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    assert_ne!(account.run("key show").ends(0).out, old);
    assert_eq!(account.inventory().await, wanted);
}

/// A stack may have other secrets than the API key.
#[tokio::test]
async fn second_secret_leaves_the_api_key_of_smoke_tests_alone() {
    let account = Account::deployed();
    let aws = Run::new(account.aws().await);
    let key = SecretParameter::value(&aws, &aws.env.parameter("api-key")).await.unwrap();
    assert_eq!(SecretParameter::api_key(&aws).await.unwrap(), key);

    let second = SecretParameter::new(aws.env.parameter("second"));
    let made = second.create(&aws).await.unwrap();
    assert_ne!(made, key);
    assert_eq!(SecretParameter::api_key(&aws).await.unwrap(), key);
    let name = aws.env.parameter("second");
    let put = aws.ssm.put_parameter().name(name).value("short").overwrite(true);
    put.send().await.unwrap();
    assert_eq!(second.read(&aws).await.unwrap().unwrap().output, Secret::new("short".to_owned()));
    assert_eq!(SecretParameter::api_key(&aws).await.unwrap(), key);
    assert_eq!(account.drift(), ["parameter /ops-api/dev/second: delete"]);
}
