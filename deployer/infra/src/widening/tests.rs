//! Plans that open something, and plans that don't.

use super::*;
use serde_json::json;
use std::collections::BTreeMap;

fn plan(steps: Vec<Step>) -> Plan {
    let target = [
        ("app", "ops-api"),
        ("stage", "dev"),
        ("account", "123456789012"),
        ("region", "ap-southeast-2"),
    ];
    let target = target.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Plan { format_version: 1, target: BTreeMap::from(target), steps }
}

fn step(action: Action, kind: &str, path: &str, from: Value, to: Value) -> Step {
    let some = |value: Value| (!value.is_null()).then_some(value);
    let change = Change { path: path.to_owned(), from: some(from), to: some(to) };
    Step { action, kind: kind.into(), name: "x".into(), id: None, changes: vec![change] }
}

/// What an update of this property allows.
fn opens(kind: &str, path: &str, from: Value, to: Value) -> Option<String> {
    let found = widenings(&plan(vec![step(Action::Update, kind, path, from, to)]));
    found.into_iter().next().map(|widening| widening.allows)
}

fn allow(action: &str, resource: &str) -> Value {
    json!([{ "Effect": "Allow", "Action": [action], "Resource": [resource] }])
}

#[test]
fn a_policy_that_allows_more_opens_and_one_that_allows_less_does_not() {
    let path = "policies.read.Statement";
    let narrow = || allow("s3:GetObject", "arn:aws:s3:::b/*");
    let wide = || allow("s3:*", "*");
    assert_eq!(opens("role", path, narrow(), wide()).as_deref(), Some("s3:*"));
    assert_eq!(opens("role", path, wide(), narrow()), None);
    assert_eq!(opens("role", path, narrow(), narrow()), None);
    let other = opens("role", path, narrow(), allow("s3:GetObject", "arn:aws:s3:::c/*"));
    assert_eq!(other.as_deref(), Some("s3:GetObject on arn:aws:s3:::c/*"));
    assert!(opens("role", path, Value::Null, narrow()).is_some());
    assert_eq!(opens("role", path, narrow(), Value::Null), None);
}

#[test]
fn a_condition_that_goes_opens_and_one_that_comes_does_not() {
    let open = || allow("s3:*", "*");
    let mut closed = open();
    closed[0]["Condition"] = json!({ "Bool": { "aws:SecureTransport": "true" } });
    assert!(opens("role", "policies.a.Statement", closed.clone(), open()).is_some());
    assert_eq!(opens("role", "policies.a.Statement", open(), closed), None);
}

#[test]
fn a_denial_that_goes_opens() {
    let deny = json!([{ "Effect": "Deny", "Action": "s3:*", "Principal": "*" }]);
    let gone = opens("bucket", "policy.Statement", deny.clone(), Value::Null);
    assert_eq!(gone.as_deref(), Some("s3:*, no longer denied"));
    assert_eq!(opens("bucket", "policy.Statement", Value::Null, deny), None);
    let all = json!([{ "Effect": "Allow", "Action": "s3:GetObject", "Principal": "*" }]);
    let public = opens("bucket", "policy.Statement", Value::Null, all);
    assert_eq!(public.as_deref(), Some(r#"s3:GetObject by "*""#));
}

/// Ids, order and spelling change nothing.
#[test]
fn statements_are_compared_by_their_meaning() {
    let ours = json!([{
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    }]);
    let theirs = json!([{
        "Sid": "AnotherId", "Effect": "Deny", "Principal": { "AWS": ["*"] }, "Action": ["S3:*"],
        "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b"],
        "Condition": { "Bool": { "aws:SecureTransport": [false] } },
    }]);
    let opens =
        |from: &Value, to: &Value| opens("bucket", "policy.Statement", from.clone(), to.clone());
    assert_eq!(opens(&theirs, &ours), None);

    // What denied no more than what is denied now opens nothing either.
    let mut less = theirs.clone();
    less[0]["Action"] = json!("s3:PutObject");
    assert_eq!(opens(&less, &ours), None);
    less[0]["Condition"] = Value::Null;
    assert_eq!(opens(&less, &ours).as_deref(), Some("s3:PutObject, no longer denied"));
    let more = json!([{ "Effect": "Deny", "Principal": "*", "NotAction": "s3:GetObject" }]);
    assert!(opens(&more, &ours).is_some());
}

#[test]
fn what_says_not_is_taken_for_more() {
    let not = json!([{ "Effect": "Allow", "NotAction": ["iam:*"], "Resource": ["*"] }]);
    assert!(opens("role", "policies.a.Statement", allow("s3:*", "*"), not.clone()).is_some());
    assert!(opens("role", "policies.a.Statement", not, allow("s3:*", "*")).is_some());
}

/// What a deploy that was broken off left undone is no widening.
#[test]
fn what_every_function_may_do_is_usual() {
    let arn = "arn:aws:logs:ap-southeast-2:123456789012:log-group:/aws/lambda/ops-api-dev-x:*";
    let write = || allow("logs:PutLogEvents", arn);
    assert_eq!(opens("role", "policies.write-logs.Statement", Value::Null, write()), None);
    let others = allow("logs:PutLogEvents", &arn.replace("ops-api", "another"));
    assert!(opens("role", "policies.write-logs.Statement", Value::Null, others).is_some());
    let trust = |service: &str| {
        json!([{ "Effect": "Allow", "Action": ["sts:AssumeRole"],
                 "Principal": { "Service": [service] } }])
    };
    let lambda = || trust("lambda.amazonaws.com");
    assert_eq!(opens("role", "trust.Statement", trust("ec2.amazonaws.com"), lambda()), None);
    assert!(opens("role", "trust.Statement", lambda(), trust("ec2.amazonaws.com")).is_some());
}

#[test]
fn doors_that_open_are_seen() {
    let (no, yes) = (json!(false), json!(true));
    let key = r#"routes["GET /x"].api_key_required"#;
    let cases = [
        ("role", "attached", json!(["a"]), json!(["a", "b"]), true),
        ("role", "attached", json!(["a", "b"]), json!(["a"]), false),
        ("rest api", key, yes.clone(), no.clone(), true),
        ("rest api", key, Value::Null, no.clone(), true),
        ("rest api", key, no.clone(), yes.clone(), false),
        ("bucket", "public_access_blocked", yes.clone(), no.clone(), true),
        ("bucket", "public_access_blocked", no, yes, false),
        ("usage plan", "quota", json!(10), json!(0), true),
        ("usage plan", "rate", json!(1.5), Value::Null, true),
        ("usage plan", "rate", json!(1.5), json!(50.0), true),
        ("usage plan", "rate", json!(50.0), json!(1.5), false),
        ("usage plan", r#"routes["GET /x"].rate"#, json!(1.5), json!(2.5), true),
        ("stage", r#"throttling["*/*"].burst"#, json!(1), json!(2), true),
        ("api key", "enabled", json!(false), json!(true), true),
        ("api key", "enabled", json!(true), json!(false), false),
        ("function", "reserved_concurrency", json!(0), Value::Null, true),
        ("function", "reserved_concurrency", json!(0), json!(5), true),
        ("function", "reserved_concurrency", json!(5), Value::Null, false),
        ("function", "vpc.subnets", json!(["a"]), Value::Null, true),
        ("function", "kms_key", json!("a"), Value::Null, true),
        ("function", "layers", json!(["a"]), Value::Null, false),
        ("usage plan", "rate", Value::Null, json!(50.0), false),
        ("usage plan", r#"routes["GET /x"].rate"#, json!(1.5), Value::Null, false),
        ("stage", r#"throttling["*/*"].rate"#, json!(1.0), Value::Null, true),
        ("permission", "statements.a.service", Value::Null, json!("s3.amazonaws.com"), true),
        (
            "permission",
            "statements.a.service",
            Value::Null,
            json!("apigateway.amazonaws.com"),
            false,
        ),
        ("permission", "statements.a.Principal", Value::Null, json!("*"), true),
        ("permission", "statements.a.Principal", json!("*"), Value::Null, false),
        ("function", "role", json!("a"), json!("arn:aws:iam::1:role/other"), true),
        ("function", "memory_mb", json!(1), json!(2), false),
    ];
    for (kind, path, from, to, expected) in cases {
        let what = format!("{kind} {path} {from} {to}");
        assert_eq!(opens(kind, path, from, to).is_some(), expected, "{what}");
    }
}

#[test]
fn an_api_of_this_account_is_ours_and_no_other() {
    let source = |account: &str, api: &str| {
        let arn = format!("arn:aws:execute-api:ap-southeast-2:{account}:{api}/*/*");
        opens("permission", "statements.api-gateway.source_arn", Value::Null, json!(arn))
    };
    assert_eq!(source("123456789012", "api1"), None);
    assert!(source("210987654321", "api1").is_some());
    assert!(source("123456789012", "*").is_some());
}

#[test]
fn what_is_made_for_a_first_time_opens_nothing() {
    let route =
        || step(Action::Create, "rest api", "routes.x.api_key_required", Value::Null, json!(false));
    let stage = step(Action::Create, "stage", "deployment", Value::Null, json!("d"));
    assert_eq!(widenings(&plan(vec![route(), stage])), []);
    assert_eq!(widenings(&plan(vec![route()])).len(), 1);
}
