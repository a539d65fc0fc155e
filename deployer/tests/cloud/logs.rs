//! `logs`: what was written where, merged, and followed.

use crate::account::Account;
use infra::http;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The smoke test of the deploy is in them too.
fn of<'a>(lines: &'a [Value], source: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["source"] == source).collect()
}

#[tokio::test]
async fn lines_of_gateway_and_functions_are_merged_and_bear_the_same_id() {
    let account = Account::deployed();
    assert_eq!(account.get("/health").await, 200);
    assert_eq!(account.get("/no-such-path").await, 403);

    let ran = account.run("logs --json --since 24h").ends(0);
    let all = lines(&ran.out);
    let times: Vec<_> = all.iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:#?}");
    let gateway = of(&all, "gateway");
    let served = |line: &&&Value| {
        line["message"]["route"] == "/health" && line["message"]["status"] == "200"
    };
    let served = gateway.iter().rfind(served).unwrap();
    let id = served["request_id"].as_str().unwrap();
    assert!(of(&all, "health").iter().any(|line| line["request_id"] == id), "{all:#?}");
    assert!(served["message"]["apiKeyId"].as_str().unwrap().len() > 1);
    // Nobody answered it, so nobody's id is on it.
    let lost = gateway.iter().rfind(|line| line["message"]["status"] == "403").unwrap();
    assert_eq!(lost["request_id"], Value::Null);

    let key = account.run("key show").ends(0).out;
    assert!(!ran.out.contains(key.trim()), "the key is in a log");

    // The id leads to all lines of the request, whoever wrote them.
    let found = account.run(&format!("logs --json --since 24h --filter {id}")).ends(0);
    let sources: BTreeSet<_> =
        lines(&found.out).iter().map(|l| l["source"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sources, ["gateway", "health"].map(ToOwned::to_owned).into());
}

#[tokio::test]
async fn names_and_texts_choose_among_lines() {
    let account = Account::deployed();
    let root = account.run("logs root --json --since 24h").ends(0);
    assert!(!root.out.is_empty() && lines(&root.out).iter().all(|line| line["source"] == "root"));
    // For people, without the lines that say nothing.
    let text = account.run("logs root --since 24h").ends(0).says("REPORT RequestId: ").out;
    assert!(!text.contains("START RequestId: "), "{text}");
    account.run("logs root --since 24h -v").ends(0).says("START RequestId: ");

    account.run("logs --errors --since 24h").ends(0).says("nothing was logged");
    account.run("logs nobody").ends(1).says("no logs of \"nobody\", only of");
    Account::new().run("logs").ends(1).says("stage dev is not deployed");
}

#[tokio::test]
async fn errors_are_what_failed() {
    let account = Account::deployed();
    let proof = json!({ "statusCode": 200, "headers": { "content-type": "application/json" },
        "body": r#"{"message": "Hello, World!"}"# });
    account.packages.put_two_faced_code("root", Some(&proof), Some(&json!("no answer")));
    account.run("deploy --yes --no-smoke").ends(0);
    assert_eq!(account.get("/").await, 502);
    let errors = lines(&account.run("logs --errors --json --since 24h").ends(0).out);
    let statuses: BTreeSet<_> = errors.iter().map(|l| l["message"]["status"].to_string()).collect();
    assert_eq!(statuses, [r#""502""#.to_owned()].into(), "{errors:#?}");
}

/// API Gateway escapes no value of its access log, so none may be text of a caller or a function.
#[tokio::test]
async fn access_log_lines_are_json_whatever_callers_and_functions_write() {
    let account = Account::deployed();
    let proof = json!({ "statusCode": 200, "headers": { "content-type": "application/json" },
        "body": r#"{"message": "Hello, World!"}"# });
    account.packages.put_two_faced_code("root", Some(&proof), None);
    account.run("deploy --yes --no-smoke").ends(0);
    let text = r#"a","status":"200","b":"\"#;
    let url = &account.outputs()["url"];
    let key = account.run("key show").ends(0).out;
    let headers = [("x-api-key", key.trim()), ("x-amzn-requestid", text), ("user-agent", text)];
    for (path, status) in [("/health", 200), ("/", 502), ("/no-such-path%22%5C", 403)] {
        let answer = http::get(&http::connector(), &format!("{url}{path}"), &headers).await;
        assert_eq!(answer.unwrap().status, status, "{path}");
    }

    let all = lines(&account.run("logs gateway --json --since 24h").ends(0).out);
    let last = &all[all.len() - 3..];
    let told = |line: &Value| {
        let message = &line["message"];
        assert!(message.is_object(), "{message}");
        let fields = ["status", "functionStatus", "functionAnswer", "error"];
        fields.map(|field| message[field].as_str().unwrap().to_owned())
    };
    assert_eq!(told(&last[0]), ["200", "200", "200", "-"]);
    assert_eq!(told(&last[1]), ["502", "200", "-", "-"]);
    assert_eq!(told(&last[2]), ["403", "-", "-", "MISSING_AUTHENTICATION_TOKEN"]);
    let is_error = last.iter().map(|line| line["error"].as_bool().unwrap());
    assert_eq!(is_error.collect::<Vec<_>>(), [false, true, false]);
}

#[tokio::test]
async fn a_follower_hears_of_each_line_once() {
    let account = Account::deployed();
    let mut command =
        account.command(&account.cloud().endpoint, "logs gateway -f --json --since 24h -q");
    let mut follower = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut heard = BufReader::new(follower.stdout.take().unwrap()).lines();
    let next = |heard: &mut dyn Iterator<Item = std::io::Result<String>>| {
        serde_json::from_str::<Value>(&heard.next().unwrap().unwrap()).unwrap()
    };
    // What was there before.
    let mut ids = vec![next(&mut heard)["message"]["extendedRequestId"].clone()];
    for _ in 0..2 {
        let before = account.run("logs gateway --json --since 24h").ends(0).out.lines().count();
        assert_eq!(account.get("/metadata").await, 200);
        while ids.len() <= before {
            ids.push(next(&mut heard)["message"]["extendedRequestId"].clone());
        }
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    let different: BTreeSet<_> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(different.len(), ids.len(), "{ids:#?}");
}
