//! A bad version never serves: it is called before anything moves, and nothing moves.

use crate::account::Account;
use serde_json::{Value, json};

fn answer(status: u16, body: &str) -> Value {
    let headers = json!({ "content-type": "application/health+json" });
    json!({ "statusCode": status, "headers": headers, "body": body, "isBase64Encoded": false })
}

#[tokio::test]
async fn a_version_that_does_not_keep_its_promise_never_serves() {
    let health = |commit: &str| {
        let body =
            json!({ "status": "pass", "version": "1.0.0", "releaseId": commit, "checks": {} });
        answer(200, &body.to_string())
    };
    let bad = [
        ("crashes at start-up", None, "it failed ("),
        ("answers 500", Some(answer(500, "{}")), "status 500 instead of 200"),
        ("answers another commit", Some(health("fffffffffff")), "body.releaseId is"),
        ("answers nonsense", Some(json!("hello")), "not one that API Gateway takes"),
    ];
    let account = Account::deployed();
    let before = account.inventory().await;
    for (what, code, says) in bad {
        account.packages.change_commit("0123456789a");
        account.packages.put_code("health", code.as_ref());
        let ran = account.run("deploy --yes").ends(5);
        let ran = ran.says("request: GET /health, version ").says(says);
        ran.says("what served before still does, untouched").says("run deploy again to finish");
        let moved: Vec<_> = account
            .inventory()
            .await
            .into_iter()
            .filter(|thing| thing.starts_with("alias ") && !before.contains(thing))
            .collect();
        assert_eq!(moved, Vec::<String>::new(), "{what}");
        account.run("smoke-test").ends(0);
        assert_ne!(account.outputs()["git_sha"], "0123456789a", "{what}");
    }
    // Once it is mended, the same command is enough.
    account.packages.put_code("health", Some(&health("0123456789a")));
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
}

#[test]
fn a_failing_candidate_is_shown_with_what_it_said() {
    let account = Account::deployed();
    account.packages.put_code("root", Some(&answer(200, "{}")));
    let ran = account.run("deploy --yes").ends(5);
    ran.says("log: this is the broken one");
}

#[test]
fn a_first_release_is_proven_before_it_has_a_stage() {
    let account = Account::new();
    account.packages.put_code("metadata", Some(&answer(200, "{}")));
    account.run("deploy --yes").ends(5).says("request: GET /metadata");
    account.run("status").ends(0).says("stage dev is not deployed");
    account.run("destroy --yes").ends(0).says("remaining 0");
}
