//! What people do when an alarm goes off: the runbook's commands, and what they show.

use crate::account::{Account, Ran};
use deployer::ENDPOINTS;
use serde_json::{Value, json};

const RUNBOOK: &str = include_str!("../../../docs/OPERATIONS.md");

/// Every line of every shell block.
fn commands() -> impl Iterator<Item = &'static str> {
    let blocks = RUNBOOK.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines)
}

#[test]
fn every_command_of_the_runbook_works() {
    let account = Account::deployed();
    assert!(commands().count() > 10);
    for (number, command) in commands().enumerate() {
        let line = command.strip_prefix("cargo xtask ").unwrap_or_else(|| panic!("{command}"));
        if line.starts_with("rollback") {
            // There is a release to go back from.
            account.packages.change_commit(&format!("{number:011x}"));
            account.run("deploy --yes").ends(0);
        }
        // As a shell would read it; no argument of theirs has a space.
        account.run(&line.replace('\'', "")).ends(0);
    }
}

async fn alarms(account: &Account) -> Vec<aws_sdk_cloudwatch::types::MetricAlarm> {
    let aws = account.aws().await;
    aws.cloudwatch.describe_alarms().send().await.unwrap().metric_alarms.unwrap()
}

#[tokio::test]
async fn every_alarm_names_its_chapter() {
    let account = Account::deployed();
    let alarms = alarms(&account).await;
    assert_eq!(alarms.len(), 2 + 2 * ENDPOINTS.len());
    for alarm in alarms {
        let description = alarm.alarm_description.unwrap();
        let (_, chapter) = description.split_once("docs/OPERATIONS.md#").unwrap();
        assert!(RUNBOOK.contains(&format!("\n## {chapter}\n")), "{description}");
    }
}

#[test]
fn status_tells_of_a_single_request() {
    let account = Account::new();
    let run = |line| Ran::of(&mut account.command(&account.cloud().endpoint, line));
    run("deploy --yes --no-smoke").ends(0);
    run("invoke health").ends(0);
    run("status").ends(0).says("hour     1 requests, 0 4xx, 0 5xx; p50 ");
}

#[tokio::test]
async fn status_tells_of_traffic_and_of_alarms_that_are_off() {
    // What CloudWatch measures happens in real time, so as real processes.
    let account = Account::new();
    let run = |line| Ran::of(&mut account.command(&account.cloud().endpoint, line));
    run("deploy --yes").ends(0);
    run("status").ends(0).says("alarms   none in alarm").says("lease    free").says(" 0 5xx; p50 ");
    let health = run("status --json").ends(0).json()["health"].clone();
    assert_eq!(health["alarms"], json!([]));
    assert!(health["last_hour"]["requests"].as_f64().unwrap() > 0.0, "{health}");
    let root = &health["last_hour"]["functions"]["root"];
    assert!(
        root["invocations"].as_f64().unwrap() > 0.0 && root["p99"].as_f64().is_some(),
        "{root}"
    );
    assert_eq!(health["routes"]["root"], json!(["GET /"]));
    // The proof's call, at least; the smoke test may have come two at once.
    let cold = &health["cold_starts"]["root"];
    assert!(cold["found"].as_u64().unwrap() > 0 && cold["all"] == true, "{cold}");
    let calls = root["invocations"].as_f64().unwrap();
    assert!(cold["found"].as_f64().unwrap() <= calls, "warm calls count as cold: {cold}");
    run("status").ends(0).says("GET /health  ").says(" cold start").says(" ms, p99 ");

    let proof = json!({ "statusCode": 200, "headers": { "content-type": "application/json" },
        "body": r#"{"message": "Hello, World!"}"# });
    account.packages.put_two_faced_code("root", Some(&proof), Some(&json!("no answer")));
    run("deploy --yes --no-smoke").ends(0);
    for _ in 0..30 {
        assert_eq!(account.get("/").await, 502);
    }
    run("status").ends(0).says("alarms   ops-api-dev-5xx: ");
    let health = run("status --json").ends(0).json()["health"].clone();
    assert_eq!(health["alarms"][0]["name"], "ops-api-dev-5xx");
    assert_eq!(health["last_hour"]["server_errors"], json!(30.0));
}

#[test]
fn invoke_calls_as_a_caller_and_shows_no_key() {
    let account = Account::deployed();
    let key = account.run("key show").ends(0).out;
    let ran = account.run("invoke health").ends(0).says("200").says("GET http");
    let body: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(body["status"], "pass");
    assert!(!ran.err.contains(key.trim()));
    let answer = account.run("invoke /metadata --json").ends(0).json();
    assert_eq!(
        (&answer["status"], &answer["content_type"]),
        (&json!(200), &json!("application/json"))
    );
    account.run("invoke /no-such-path").ends(1).says("403");
    account.run("invoke nobody").ends(1).says("no function is called \"nobody\"");

    // What a handler repeats of its request.
    let (echo, key) = (json!({ "statusCode": 200, "body": key.trim() }), key.trim());
    account.packages.put_two_faced_code("root", Some(&json!({ "statusCode": 200,
        "headers": { "content-type": "application/json" }, "body": r#"{"message": "Hello, World!"}"# })),
        Some(&echo));
    account.run("deploy --yes --no-smoke").ends(0);
    let ran = account.run("invoke root").ends(0).says("(secret ");
    assert!(!ran.out.contains(key), "{ran:?}");
    let url = account.outputs()["url"].clone();
    assert_eq!(account.run("open health").ends(0).out.trim(), format!("{url}/health"));
}

/// The account's role is nobody's stage's: another stage's logs are written with it.
#[tokio::test]
async fn the_accounts_role_is_made_once_and_outlives_the_stage() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let role = async || {
        let settings = aws.apigateway.get_account().send().await.unwrap();
        settings.cloudwatch_role_arn.unwrap()
    };
    let ours = role().await;
    assert!(ours.ends_with(&aws.env.gateway_log_role()), "{ours}");
    account.run("deploy --yes --stage dev-2").ends(0);
    account.run("destroy --yes").ends(0).says("remaining 0");
    assert_eq!(role().await, ours);
    aws.iam.get_role().role_name(aws.env.gateway_log_role()).send().await.unwrap();
    account.run("plan --stage dev-2 --detailed-exitcode").ends(0);
}

#[tokio::test]
async fn a_role_that_somebody_else_has_set_is_left_alone() {
    let account = Account::new();
    let aws = account.aws().await;
    let trust = crate::account::TRUST.replace("lambda.", "apigateway.");
    let theirs = aws.iam.create_role().role_name("theirs").assume_role_policy_document(trust);
    let theirs = theirs.send().await.unwrap().role.unwrap().arn;
    let attach = aws.iam.attach_role_policy().role_name("theirs");
    let policy = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs";
    attach.policy_arn(policy).send().await.unwrap();
    let set = aws_sdk_apigateway::types::PatchOperation::builder()
        .op(aws_sdk_apigateway::types::Op::Replace)
        .path("/cloudwatchRoleArn")
        .value(&theirs);
    aws.apigateway.update_account().patch_operations(set.build()).send().await.unwrap();

    account.run("deploy --yes").ends(0);
    let settings = aws.apigateway.get_account().send().await.unwrap();
    assert_eq!(settings.cloudwatch_role_arn, Some(theirs));
    let made = aws.iam.get_role().role_name(aws.env.gateway_log_role()).send().await;
    assert!(made.is_err());
}

/// By the clock on the wall, so as a real process.
#[test]
fn load_is_answered_right_or_by_the_plan() {
    let account = Account::new();
    let run = |line| Ran::of(&mut account.command(&account.cloud().endpoint, line));
    run("load --seconds 1").ends(1).says("stage dev is not deployed");
    run("deploy --yes").ends(0);
    let ran = run("load --clients 2 --seconds 1 --json").ends(0);
    let said = ran.json();
    let routes = said["routes"].as_array().unwrap();
    assert_eq!(routes.len(), ENDPOINTS.len());
    for route in routes {
        assert!(route["statuses"]["200"].as_u64().unwrap() > 0, "{route}");
        let others = route["statuses"].as_object().unwrap().keys();
        let others: Vec<_> =
            others.filter(|status| !["200", "429"].contains(&&***status)).collect();
        assert!(others.is_empty() && route["p99_ms"].as_f64().unwrap() > 0.0, "{route}");
    }
    let key = run("key show").ends(0).out;
    assert!(!format!("{ran:?}").contains(key.trim()));

    // What is wrong is counted and told, without the key that a handler repeats.
    let echo = json!({ "statusCode": 200, "headers": { "content-type": "application/json" },
        "body": json!({ "message": key.trim() }).to_string() });
    let proof = json!({ "statusCode": 200, "headers": { "content-type": "application/json" },
        "body": r#"{"message": "Hello, World!"}"# });
    account.packages.put_two_faced_code("root", Some(&proof), Some(&echo));
    run("deploy --yes --no-smoke").ends(0);
    let ran = run("load --clients 2 --seconds 1");
    assert!(!format!("{ran:?}").contains(key.trim()), "the key is shown");
    ran.ends(5).says("body.message is");
}
