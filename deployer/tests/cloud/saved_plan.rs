//! A saved plan: done exactly as it was shown, or not at all.

use crate::account::Account;
use infra::engine::{Action, Plan};
use std::fs;

#[test]
fn a_saved_plan_is_carried_out_exactly() {
    let account = Account::new();
    account.run("plan --out dev.plan.json").ends(0).says("deployer deploy dev.plan.json");
    let ran = account.run("deploy dev.plan.json --yes").ends(0);
    let plan = saved(&account);
    assert_eq!(plan.count(Action::Create), plan.steps.len());
    for step in plan.steps {
        assert!(ran.err.contains(&format!("✓ {}", step.title())), "{}: {}", step.title(), ran.err);
    }
    account.assert_as_wanted();
}

fn saved(account: &Account) -> Plan {
    let text = fs::read_to_string(account.packages.path().join("dev.plan.json")).unwrap();
    Plan::parse(&text).unwrap()
}

#[tokio::test]
async fn a_saved_plan_is_refused_when_the_world_has_moved_on() {
    let account = Account::deployed();
    account.packages.change_commit("0123456789a");
    account.run("plan --out dev.plan.json").ends(0);
    let aws = account.aws().await;
    let group = aws.logs.put_retention_policy().log_group_name(aws.env.log_group("root"));
    group.retention_in_days(3).send().await.unwrap();

    let (ran, wire) = account.run_heard("deploy dev.plan.json --yes");
    let ran = ran.ends(6).says("dev.plan.json is out of date").says("nothing was changed");
    let ran = ran.says("log group /aws/lambda/ops-api-dev-root");
    assert!(!ran.err.contains("ops-api-dev-health"), "only what moved is named: {}", ran.err);
    wire.assert_no_writes();

    account.run("plan --out dev.plan.json").ends(0);
    account.run("deploy dev.plan.json --yes").ends(0);
    account.assert_as_wanted();
}

#[test]
fn a_saved_plan_is_refused_where_it_was_not_made_for() {
    let account = Account::new();
    account.run("plan --out dev.plan.json").ends(0);

    let (ran, wire) = account.run_heard("deploy dev.plan.json --yes --stage prod");
    ran.ends(6).says("made for stage dev, and this is stage prod");
    wire.assert_no_writes();

    let other = Account::new();
    let file = other.packages.path().join("dev.plan.json");
    fs::copy(account.packages.path().join("dev.plan.json"), &file).unwrap();
    let ran = other.run("deploy dev.plan.json --yes").ends(6);
    ran.says(&format!("account {}, and this is account {}", account.id, other.id));

    account.packages.change_commit("0123456789a");
    account.run("deploy dev.plan.json --yes").ends(6).says("and this is git_sha 0123456789a");
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let account = Account::new();
    account.run("deploy missing.json --yes").ends(6).says("missing.json");
    for (text, says) in [
        ("garbage", "dev.plan.json is not a saved plan"),
        (r#"{"format_version": 99}"#, "its format is version 99, this deployer reads 1"),
        (r#"{"format_version": 1}"#, "dev.plan.json is not a saved plan"),
    ] {
        fs::write(account.packages.path().join("dev.plan.json"), text).unwrap();
        account.run("deploy dev.plan.json --yes").ends(6).says(says);
    }
}
