//! The API key's value, which nobody sees who doesn't ask for it by name.

use crate::account::{Account, Ran};
use deployer::engine::{Resource, Secret};
use deployer::resources::SecretParameter;
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

    let plan = account.run("plan --detailed-exitcode").ends(2).says("(secret ");
    let deploy = account.run("deploy --yes -vv").ends(0);
    for ran in [plan, deploy] {
        assert!(!(ran.out + &ran.err).contains(new));
    }
    assert_eq!(account.run("key show").ends(0).out.trim(), new);
    account.assert_as_wanted();
    assert_eq!(account.get_with(&old, "/").await, 403, "the old key is void");
}

#[tokio::test]
async fn a_key_that_was_lost_is_made_anew() {
    let account = Account::deployed();
    let wanted = account.inventory().await;
    let old = account.run("key show").ends(0).out;
    let aws = account.aws().await;
    aws.ssm.delete_parameter().name("/ops-api/dev/api-key").send().await.unwrap();
    account.run("key show").ends(1).says("parameter /ops-api/dev/api-key is not there");

    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    assert_ne!(account.run("key show").ends(0).out, old);
    assert_eq!(account.inventory().await, wanted);
}

/// A stack may have other secrets than the API key.
#[tokio::test]
async fn second_secret_leaves_the_api_key_of_smoke_tests_alone() {
    let account = Account::deployed();
    let aws = account.aws().await;
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
