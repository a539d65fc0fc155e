//! Each place in which a secret or a person may be, in the format of its service.

use super::*;
use serde_json::json;

const KEY: &str = "pQ7rT2vX9zB4nM6kJ8hG1fD3sA5wE0yUiOpLkJhG";
const MAIL: &str = "jane.doe+ops@example.com";

fn exchange(service: &str, operation: &str, body: Body, answer: Body) -> Exchange {
    Exchange {
        at: 1_795_500_000_000,
        milliseconds: 1,
        service: Some(service.to_owned()),
        operation: (!operation.is_empty()).then(|| operation.to_owned()),
        method: "POST".to_owned(),
        host: "lambda.ap-southeast-2.amazonaws.com".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: BTreeMap::new(),
        body,
        answer: Answer::Answered { status: 200, headers: BTreeMap::new(), body: answer },
    }
}

fn line(service: &str, operation: &str, body: Value, answer: Value) -> String {
    Redactor::default().line(exchange(service, operation, Body::Json(body), Body::Json(answer)))
}

#[track_caller]
fn lacks(line: &str, words: &[&str]) {
    for word in words {
        let ways = [
            (*word).to_owned(),
            STANDARD.encode(word),
            utf8_percent_encode(word, NON_ALPHANUMERIC).to_string(),
        ];
        assert!(ways.iter().all(|way| !line.contains(way)), "{word} is in {line}");
    }
}

#[test]
fn secure_string_is_replaced_and_plain_string_is_kept() {
    let put = json!({ "Name": "/a/key", "Type": "SecureString", "Value": KEY });
    let got = json!({ "Parameter": put.clone() });
    lacks(&line("ssm", "PutParameter", put, got), &[KEY]);
    let plain = json!({ "Name": "/a/version", "Type": "String", "Value": "1.2.3" });
    assert!(line("ssm", "PutParameter", plain, json!({})).contains("1.2.3"));
}

#[test]
fn api_key_is_replaced_everywhere_once_it_was_seen() {
    let mut redactor = Redactor::default();
    let create = json!({ "name": "n", "value": KEY, "enabled": true });
    let keys = json!({ "item": [{ "id": "k1", "name": "n", "value": KEY }] });
    let first = redactor.line(exchange("apigateway", "", Body::Json(create), Body::Json(keys)));
    lacks(&first, &[KEY]);
    assert_eq!(first.matches("redacted-secret-0001").count(), 2, "consistently: {first}");
    let patch =
        json!({ "patchOperations": [{ "op": "replace", "path": "/name", "value": "plain" }] });
    let text = format!("the key is {KEY}, or {}", STANDARD.encode(KEY));
    let told = Body::Text(text);
    let second = redactor.line(exchange("apigateway", "", Body::Json(patch), told));
    lacks(&second, &[KEY]);
    assert!(second.contains("plain"), "what a patch sets is no secret: {second}");
}

#[test]
fn environment_is_replaced_but_for_version_and_commit() {
    let variables =
        json!({ "VERSION": "1.0.0", "GIT_SHA": "abc", "TABLE": "orders", "TOKEN": KEY });
    let config = json!({ "FunctionName": "orders", "Environment": { "Variables": variables } });
    let line = line("lambda", "", config, json!({ "Message": "no" }));
    lacks(&line, &[KEY]);
    assert!(line.contains(r#""TABLE":"value-1""#), "{line}");
    assert!(line.contains(r#""VERSION":"1.0.0""#) && line.contains(r#""FunctionName":"orders""#));
}

#[test]
fn error_that_repeats_the_environment_is_replaced() {
    let config = json!({ "Environment": { "Variables": { "TOKEN": KEY } } });
    let echo =
        json!({ "Message": format!("Value '{{TOKEN={KEY}}}' failed to satisfy constraint") });
    let mut both = exchange("lambda", "", Body::Json(config), Body::Json(echo.clone()));
    let body = Body::Json(echo);
    both.answer = Answer::Answered { status: 400, headers: BTreeMap::new(), body };
    lacks(&Redactor::default().line(both), &[KEY]);
}

#[test]
fn headers_but_a_few_lose_their_value() {
    let mut exchange = exchange("lambda", "", Body::Empty, Body::Empty);
    let signed = format!("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/1/r/lambda, {KEY}");
    for (name, value) in [
        ("authorization", signed.as_str()),
        ("x-amz-security-token", KEY),
        ("x-api-key", KEY),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-amz-target", "AmazonSSM.GetParameter"),
    ] {
        exchange.headers.insert(name.to_owned(), value.to_owned());
    }
    let line = Redactor::default().line(exchange);
    lacks(&line, &[KEY, "AKIAIOSFODNN7EXAMPLE", "203.0.113.7"]);
    assert!(line.contains("AmazonSSM.GetParameter"));
}

#[test]
fn callers_and_sessions_are_replaced_in_xml_arns_and_policies() {
    let arn = format!("arn:aws:sts::123456789012:assumed-role/Admin/{MAIL}");
    let answer = format!(
        "<R><Arn>{arn}</Arn><UserId>AROAEXAMPLE:{MAIL}</UserId><Account>123456789012</Account></R>"
    );
    let policy = utf8_percent_encode(
        r#"{"Principal":{"AWS":"arn:aws:iam::123456789012:user/staff/j.smith"}}"#,
        NON_ALPHANUMERIC,
    );
    let form = format!("Action=SimulatePrincipalPolicy&PolicySourceArn={arn}&Policy={policy}");
    let line = Redactor::default().line(exchange("iam", "X", Body::Text(form), Body::Text(answer)));
    lacks(&line, &[MAIL, "jane.doe", "j.smith", "123456789012"]);
    assert!(line.contains("assumed-role/Admin/person-"), "the role stays: {line}");
    assert!(
        line.contains("%3A%3A111111111112%3Auser") || line.contains("%3A%3A111111111111%3Auser")
    );
}

#[test]
fn temporary_credentials_are_replaced() {
    let sso = json!({ "roleCredentials": {
        "accessKeyId": "ASIAEXAMPLEEXAMPLE00", "secretAccessKey": KEY, "sessionToken": "a session token" } });
    lacks(&line("", "", json!({}), sso), &["ASIAEXAMPLEEXAMPLE00", KEY, "a session token"]);
    let xml = format!("<Credentials><SecretAccessKey>{KEY}</SecretAccessKey></Credentials>");
    let form = Body::Text("Action=AssumeRole&RoleSessionName=jane&TokenCode=123456".to_owned());
    let line = Redactor::default().line(exchange("sts", "", form, Body::Text(xml)));
    lacks(&line, &[KEY, "jane", "TokenCode=123456"]);
    let mut metadata = exchange("", "", Body::Empty, Body::Text("raw token".to_owned()));
    metadata.host = "169.254.169.254".to_owned();
    lacks(&Redactor::default().line(metadata), &["raw token"]);
}

#[test]
fn lines_of_logs_are_replaced() {
    let events = json!({ "events": [{ "timestamp": 1, "message": "a customer's order" }] });
    lacks(&line("logs", "FilterLogEvents", json!({}), events), &["a customer's order"]);
    let test = json!({ "status": 200, "log": "Endpoint request headers", "body": "{}" });
    lacks(&line("apigateway", "", json!({}), test), &["Endpoint request headers"]);
}

#[test]
fn holders_addresses_and_presigned_urls_are_replaced() {
    let lease = json!({ "holder": "user/jane on janes-laptop", "who": "jane" });
    let url =
        format!("https://bucket.s3.amazonaws.com/c?X-Amz-Credential=A%2F1&X-Amz-Signature={KEY}");
    let more = json!({ "Location": url, "sourceIp": "203.0.113.7", "six": "2001:db8:1::7",
        "bucket": "arn:aws:s3:::ops", "aws": "arn:aws:iam::aws:policy/X", "own": "127.0.0.1" });
    let line = line("s3", "", lease, more);
    lacks(&line, &["jane", "203.0.113.7", "2001:db8:1::7", KEY]);
    for kept in ["arn:aws:s3:::ops", "arn:aws:iam::aws:policy/X", "127.0.0.1"] {
        assert!(line.contains(kept), "{kept}: {line}");
    }
}

#[test]
fn account_is_replaced_consistently_and_other_numbers_are_not() {
    let answer = json!({ "a": "b-123456789012-c", "b": "arn%3A%3A123456789012%3Ax", "c": "%2F123456789012",
        "d": "%20123456789012", "e": 1_795_500_000_123_u64, "f": "sha123456789012", "g": "210987654321" });
    let line = line("s3", "", json!({}), answer);
    lacks(&line, &["210987654321"]);
    assert_eq!(line.matches("111111111111").count(), 4, "{line}");
    assert!(line.contains("1795500000123") && line.contains("sha123456789012"), "{line}");
}
