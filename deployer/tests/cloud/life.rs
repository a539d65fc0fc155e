//! The ordinary life of a stage: deployed, looked at, deployed again, one beside another.

use crate::account::{Account, DELETED, REGION, RESOURCES, Ran, all_passed};
use crate::checkout::Checkout;
use deployer::ENDPOINTS;
use serde_json::{Value, json};

#[tokio::test]
async fn a_first_deploy_makes_one_of_everything_and_answers() {
    let account = Account::new();
    let ran = account.run("deploy --yes").ends(0).says(&format!("{RESOURCES} to create"));
    let ran = ran.says(&format!("deployed: {RESOURCES}"));
    ran.says("SSM parameter /ops-api/dev/api-key");
    insta::assert_snapshot!(mask(&account, &account.inventory().await.join("\n")));
    account.run("smoke-test").ends(0).says(&all_passed());
    assert_eq!(account.get("/health").await, 200);
}

/// Names of packages change with their code; everything else is snapshotted, but what belongs to an endpoint that was added
/// to these.
fn mask(account: &Account, text: &str) -> String {
    let shown = ["root", "health", "metadata"];
    let added = ENDPOINTS.iter().map(|endpoint| endpoint.function);
    let added: Vec<_> = added.filter(|name| !shown.contains(name)).collect();
    let of = |line: &str, name: &&str| {
        line.contains(&format!("-dev-{name}")) || line.contains(&format!("artifacts/{name}/"))
    };
    let lines = text.lines().filter(|line| !added.iter().any(|name| of(line, name)));
    let mut text = lines.collect::<Vec<_>>().join("\n");
    for function in shown {
        text = text.replace(&account.packages.release().package(function).sha256, "SHA256");
    }
    text
}

#[test]
fn outputs_tell_everything_that_others_need() {
    let account = Account::deployed();
    let outputs = account.outputs();
    let keys: Vec<_> = outputs.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "account",
            "api_key_parameter",
            "app",
            "git_sha",
            "region",
            "rest_api_id",
            "stage",
            "url",
            "version"
        ]
    );
    let said: Vec<_> = keys.iter().map(|key| outputs[*key].as_str()).collect();
    let url = format!("{}/_aws/execute-api/{}/dev", account.cloud().endpoint, said[5]);
    let (commit, version) = (account.packages.commit(), account.packages.release().version);
    assert_eq!(
        said,
        [
            &account.id,
            "/ops-api/dev/api-key",
            "ops-api",
            &commit,
            REGION,
            said[5],
            "dev",
            &url,
            &version
        ]
    );
    // What a deploy ends with is the same.
    let deployed = account.run("deploy --yes --json").ends(0).json();
    assert_eq!(deployed, serde_json::to_value(&outputs).unwrap());
}

#[test]
fn status_says_what_is_live_and_that_nothing_drifted() {
    let account = Account::new();
    account.run("status").ends(0).says("stage dev is not deployed");
    assert_eq!(account.run("status --json").json()["deployed"], false);
    account.run("outputs").ends(1).says("stage dev is not deployed");
    account.run("smoke-test").ends(1).says("stage dev is not deployed");

    account.run("deploy --yes").ends(0);
    let commit = account.packages.commit();
    account.run("status").ends(0).says("drift    none").says(&format!("(commit {commit})"));
    let status = account.run("status --json").ends(0).json();
    assert_eq!((&status["drift"], &status["deployed"]), (&false.into(), &true.into()));
    assert_eq!(status["git_sha"], commit.as_str());
    assert_eq!(
        (&status["release"]["number"], &status["release"]["state"]),
        (&1.into(), &"live".into())
    );
    assert_eq!(status["release"]["time"], status["since"]);
}

#[test]
fn status_says_how_far_what_is_live_is_behind_the_checkout() {
    let (account, checkout) = (Account::new(), Checkout::new());
    let [first, second] = [checkout.commit("a"), checkout.commit("b")];
    let deployed = |git_sha: &str| {
        account.packages.change_commit(git_sha);
        account.run("deploy --yes").ends(0);
    };
    let status = |line: &str| {
        let mut command = account.command(&account.cloud().endpoint, line);
        Ran::of(checkout.around(&mut command)).ends(0)
    };
    deployed(&first);
    let said = status("status").says(&format!("behind   1 commit (git log {first}..HEAD)"));
    said.says("release  1, since 20").says(" UTC, by ").says("live     for ");
    assert_eq!(status("status --json").json()["behind"], 1);

    deployed(&format!("{second}-dirty"));
    status("status").says("behind   nothing: it is what is checked out here; it was packaged with");
    assert_eq!(status("status --json").json()["behind"], 0);

    checkout.git("checkout --quiet HEAD^");
    status("status").says("behind   nothing: it is 1 commit ahead of this checkout");
    checkout.commit("c");
    status("status").says("behind   not in this checkout's history (git log HEAD..");
    deployed("0123456789a");
    status("status").says("behind   unknown here; git fetch");
    assert_eq!(status("status --json").json()["behind"], Value::Null);
    let outside = Ran::of(&mut account.command(&account.cloud().endpoint, "status")).ends(0);
    assert!(!outside.out.contains("behind"), "{}", outside.out);
}

/// A plan of an older commit than what is live says so, wherever there is a checkout that tells.
#[test]
fn plan_says_how_much_older_its_commit_is() {
    let (account, checkout) = (Account::new(), Checkout::new());
    let [first, .., third] = [checkout.commit("a"), checkout.commit("b"), checkout.commit("c")];
    account.packages.change_commit(&third);
    account.run("deploy --yes").ends(0);
    checkout.git("checkout --quiet HEAD~2");
    account.packages.change_commit(&first);
    let run = |line: &str| {
        let mut command = account.command(&account.cloud().endpoint, line);
        Ran::of(checkout.around(&mut command)).ends(0)
    };
    let older = format!("this is 2 commits older than what is live (git log HEAD..{third})");
    run("plan").says(&older);
    assert_eq!(run("plan --json").json()["commits_older"], 2);
    run("deploy --yes").says(&older);
    let outside = account.run("plan").ends(0);
    assert!(!outside.out.contains("older"), "{}", outside.out);
    assert!(!run("plan").out.contains("older"), "it is live now");
}

#[tokio::test]
async fn status_says_what_became_of_a_release_that_does_not_serve_well() {
    let account = Account::deployed();
    for (state, says) in [
        ("unfinished", "unfinished: deploy again, or roll back"),
        ("returning", "being withdrawn: deploy again to end it"),
    ] {
        account.edit_record(|record| record["state"] = json!(state)).await;
        account.run("status").ends(0).says("release  1, since 20").says(says);
        assert_eq!(account.run("status --json").json()["release"]["state"], state);
    }
}

#[test]
fn a_second_deploy_has_nothing_to_do_and_writes_nothing() {
    let account = Account::deployed();
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0).says(&format!("nothing to do; {RESOURCES} resources as wanted"));
    wire.assert_no_writes();
}

#[test]
fn plan_writes_nothing_even_when_all_is_missing() {
    let account = Account::new();
    let (ran, wire) = account.run_heard("plan --detailed-exitcode");
    ran.ends(2).says(&format!("{RESOURCES} to create"));
    wire.assert_no_writes();
}

#[tokio::test]
async fn two_stages_live_side_by_side_untouched_by_each_other() {
    // The name of one begins with that of the other: what is found by prefix finds both.
    let account = Account::deployed();
    let dev = account.inventory().await;
    // But for the role that API Gateway writes logs as, of which an account has one.
    account.run("deploy --yes --stage dev-2").ends(0).says(&format!("{} to create", RESOURCES - 1));
    account.run("smoke-test --stage dev-2").ends(0);
    account.assert_as_wanted();

    account.run("destroy --yes").ends(0).says(&format!("deleted {DELETED}, remaining 0"));
    let rest = account.inventory().await;
    assert!(
        rest.iter().all(|thing| thing.contains("dev-2")
            || thing.contains("object")
            || thing.contains("deployment")),
        "{rest:#?}"
    );
    account.run("plan --stage dev-2 --detailed-exitcode").ends(0);
    account.run("smoke-test --stage dev-2").ends(0);

    account.run("deploy --yes").ends(0);
    account
        .run("destroy --yes --stage dev-2")
        .ends(0)
        .says(&format!("deleted {DELETED}, remaining 0"));
    assert_eq!(account.inventory().await, dev);
    account.assert_as_wanted();
}
