//! What is there, as plain JSON that tests change: by kind, then by the name or id that AWS uses.

use base64::{Engine, engine::general_purpose::STANDARD};
use deployer::ENDPOINTS;
use infra::contract::Endpoint;
use infra::env::Env;
use infra::release::Release;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "ap-southeast-2";
pub const KEY: &str = "Vf0sHWcGSqVJ3nUj8yM7kXx1eQd2bTzL4aPr6uCi";

/// Those of the stack that the snapshots show; whoever adds one to the stack has it besides.
pub fn endpoints() -> &'static [Endpoint] {
    static SHOWN: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
        let shown =
            |endpoint: &Endpoint| ["root", "health", "metadata"].contains(&endpoint.function);
        ENDPOINTS.iter().copied().filter(shown).collect()
    });
    &SHOWN
}

fn functions() -> impl Iterator<Item = &'static str> {
    endpoints().iter().map(|endpoint| endpoint.function)
}

fn code(function: &str) -> String {
    STANDARD.encode(Sha256::digest(function))
}

/// The release that is deployed.
pub fn release() -> Release {
    let stated = Release::stated("1.0.0", "abc57858585");
    functions().fold(stated, |release, function| release.with_code(function, &code(function)))
}

pub fn tags() -> Value {
    json!({ "app": "ops-api", "stage": "dev", "managed-by": "deployer" })
}

pub fn role() -> Value {
    json!({
        "tags": tags(),
        "trust": {
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }],
        },
        "policies": {},
        "attached": [],
    })
}

pub fn log_group() -> Value {
    json!({ "retentionInDays": 14, "tags": tags() })
}

pub fn parameter(kind: &str, value: &str) -> Value {
    json!({ "Type": kind, "Value": value, "tags": tags() })
}

/// `latest` is what is configured; `live` is what the alias serves.
pub fn function(short: &str, description: &str, environment: &Value) -> Value {
    let name = format!("ops-api-dev-{short}");
    let latest = json!({
        "FunctionName": name,
        "Version": "$LATEST",
        "Description": description,
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/ops-api/dev/{name}-{REGION}"),
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Architectures": ["x86_64"],
        "MemorySize": 256,
        "Timeout": 5,
        "Environment": { "Variables": environment },
        "TracingConfig": { "Mode": "Active" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}") },
        "CodeSha256": code(short),
        "State": "Active",
        "LastUpdateStatus": "Successful",
    });
    let mut live = latest.clone();
    live["Version"] = json!("7");
    let policy = json!([{
        "Sid": "api-gateway",
        "Effect": "Allow",
        "Principal": { "Service": "apigateway.amazonaws.com" },
        "Action": "lambda:InvokeFunction",
        "Resource": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:live"),
        "Condition": { "ArnLike": {
            "AWS:SourceArn": format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:api1/*/*"),
        } },
    }]);
    json!({ "latest": latest, "live": live, "weights": {}, "policy": policy, "tags": tags() })
}

/// The record of the release that is deployed.
pub fn record(deployment: &str) -> Value {
    let release = release();
    let served = |f: &str| json!({ "version": "7", "code_sha256": release.package(f).code_sha256 });
    json!({
        "format_version": 1,
        "number": 3,
        "state": "live",
        "time": 1_767_225_600,
        "who": "user/me on laptop",
        "version": "1.0.0",
        "git_sha": "abc57858585",
        "arch": "x86_64",
        "changed": ["code of root"],
        "deployment": deployment,
        "throttling": { "*/*": { "rate": 100.0, "burst": 200 } },
        "functions": functions().map(|f| (f.to_owned(), served(f))).collect::<Map<_, _>>(),
        "endpoints": endpoints(),
    })
}

pub fn bucket() -> Value {
    let arn = format!("arn:aws:s3:::ops-api-dev-{ACCOUNT}-{REGION}");
    let release = release();
    let key = |f| format!("artifacts/{f}/{}.zip", release.package(f).sha256);
    json!({
        "tags": tags(),
        "blocked": {
            "BlockPublicAcls": true, "IgnorePublicAcls": true,
            "BlockPublicPolicy": true, "RestrictPublicBuckets": true,
        },
        "encryption": "AES256",
        "policy": {
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, format!("{arn}/*")],
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            }],
        },
        "objects": functions().map(key).collect::<Vec<_>>(),
    })
}

pub fn method(function: &str) -> Value {
    let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:ops-api-dev-{function}");
    let path = format!("path/2015-03-31/functions/{arn}:${{stageVariables.alias}}/invocations");
    let uri = format!("arn:aws:apigateway:{REGION}:lambda:{path}");
    json!({
        "apiKeyRequired": true,
        "methodIntegration": { "type": "AWS_PROXY", "httpMethod": "POST", "uri": uri },
    })
}

pub fn api(deployment: &str) -> Value {
    let mut resources = Map::new();
    for endpoint in endpoints() {
        resources.entry(endpoint.path).or_insert_with(|| json!({}))[endpoint.method] =
            method(endpoint.function);
    }
    json!({
        "name": "ops-api-dev",
        "apiKeySource": "HEADER",
        "endpointConfiguration": { "types": ["REGIONAL"] },
        "securityPolicy": "SecurityPolicy_TLS13_1_2_2021_06",
        "endpointAccessMode": "BASIC",
        "createdDate": 1_767_225_600,
        "tags": tags(),
        "resources": resources,
        "deployments": { "dep1": format!("definition {deployment}") },
        "stages": { "dev": {
            "stageName": "dev",
            "deploymentId": "dep1",
            "methodSettings": {
                "*/*": { "throttlingRateLimit": 100.0, "throttlingBurstLimit": 200 },
            },
            "variables": { "alias": "live" },
            "accessLogSettings": { "destinationArn": access_log(), "format": FORMAT },
            "tracingEnabled": true,
            "tags": tags(),
        } },
    })
}

fn access_log() -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/apigateway/ops-api-dev")
}

/// A line a request.
const FORMAT: &str = concat!(
    r#"{"extendedRequestId":"$context.extendedRequestId","#,
    r#""functionRequestId":"$context.awsEndpointRequestId","ip":"$context.identity.sourceIp","#,
    r#""method":"$context.httpMethod","route":"$context.resourcePath","#,
    r#""status":"$context.status","milliseconds":"$context.responseLatency","#,
    r#""functionMilliseconds":"$context.integrationLatency","#,
    r#""functionStatus":"$context.integrationStatus","functionAnswer":"$context.integration.status","#,
    r#""error":"$context.error.responseType","apiKeyId":"$context.identity.apiKeyId"}"#,
);

fn metric(id: &str, stat: &str, (space, name): (&str, &str), dimensions: &Value) -> Value {
    let list = dimensions.as_object().unwrap().iter();
    let list: Vec<_> = list.map(|(k, v)| json!({ "Name": k, "Value": v })).collect();
    json!({
        "Id": id,
        "MetricStat": {
            "Metric": { "Namespace": space, "MetricName": name, "Dimensions": list },
            "Period": 300,
            "Stat": stat,
        },
        "ReturnData": true,
    })
}

fn alarm(description: &str, metrics: &[Value], threshold: f64, periods: i32) -> Value {
    json!({
        "AlarmDescription": description,
        "Metrics": metrics,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": threshold,
        "EvaluationPeriods": periods,
        "TreatMissingData": "notBreaching",
        "AlarmActions": [],
        "OKActions": [],
        "ActionsEnabled": true,
        "StateValue": "OK",
        "tags": tags(),
    })
}

fn alarms() -> Value {
    let api = json!({ "ApiName": "ops-api-dev", "Stage": "dev" });
    let ratio = json!({
        "Id": "percent",
        "Expression": "IF(requests >= 20, 100 * errors / requests, 0)",
        "ReturnData": true,
    });
    let of_api = |id, stat, name| metric(id, stat, ("AWS/ApiGateway", name), &api);
    let errors = [of_api("errors", "Sum", "5XXError"), of_api("requests", "Sum", "Count"), ratio];
    let latency = [of_api("slowest", "p99", "Latency")];
    let mut all = json!({
        "ops-api-dev-5xx":
            alarm("more than 5% of the answers are 5xx; see docs/OPERATIONS.md#5xx", &errors, 5.0, 1),
        "ops-api-dev-latency": alarm(
            "one request of a hundred takes 2 s; see docs/OPERATIONS.md#latency", &latency, 2000.0, 3),
    });
    for short in functions() {
        let name = format!("ops-api-dev-{short}");
        let of = json!({ "FunctionName": name, "Resource": format!("{name}:live") });
        let one = |id, metric_name, text: &str| {
            let metrics = [metric(id, "Sum", ("AWS/Lambda", metric_name), &of)];
            alarm(&format!("{text}; see docs/OPERATIONS.md#{id}"), &metrics, 0.0, 1)
        };
        all[format!("{name}-errors")] =
            one("errors", "Errors", "the function crashed or timed out");
        all[format!("{name}-throttles")] =
            one("throttles", "Throttles", "Lambda refused calls: too many at once");
    }
    all
}

fn dashboard() -> Value {
    let env = Env {
        app: "ops-api".to_owned(),
        stage: "dev".to_owned(),
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        partition: "aws".to_owned(),
    };
    json!({ "body": infra::constructs::dashboard::of(&env, functions()).body, "tags": tags() })
}

pub fn key(value: &str) -> Value {
    json!({
        "name": "ops-api-dev", "value": value, "enabled": true,
        "createdDate": 1_767_225_600, "tags": tags(),
    })
}

/// By path and method, as plans name routes.
fn shares() -> Value {
    let share = |e: &Endpoint| {
        let limit = json!({ "rateLimit": 25.0, "burstLimit": 50 });
        (format!("{}/{}", e.path, e.method), limit)
    };
    endpoints().iter().map(share).collect::<Map<_, _>>().into()
}

pub fn usage_plan() -> Value {
    json!({
        "name": "ops-api-dev",
        "throttle": { "rateLimit": 50.0, "burstLimit": 100 },
        "quota": { "limit": 1_000_000, "period": "MONTH" },
        "apiStages": [{ "apiId": "api1", "stage": "dev", "throttle": shares() }],
        "keys": ["key1"],
        "tags": tags(),
    })
}

/// Everything that the stack wants, as AWS would tell it.
pub fn everything(definition: &str) -> Value {
    let (mut roles, mut logs, mut all) = (json!({}), json!({}), json!({}));
    logs["/aws/apigateway/ops-api-dev"] = log_group();
    for endpoint in endpoints() {
        let (short, name) = (endpoint.function, format!("ops-api-dev-{}", endpoint.function));
        let log_arn = format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/{name}:*");
        let mut role = role();
        role["policies"]["write-logs"] = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
                "Resource": log_arn,
            }],
        });
        role["policies"]["send-traces"] = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                "Resource": "*",
            }],
        });
        roles[format!("{name}-{REGION}")] = role;
        logs[format!("/aws/lambda/{name}")] = log_group();
        let environment = match endpoint.knows_release {
            true => json!({ "VERSION": "1.0.0", "GIT_SHA": "abc57858585" }),
            false => json!({}),
        };
        let description = format!("{} {}", endpoint.method, endpoint.path);
        all[name] = function(short, &description, &environment);
    }
    json!({
        "roles": roles,
        "account": { "cloudwatchRoleArn": "arn:aws:iam::1:role/somebody-elses" },
        "alarms": alarms(),
        "dashboards": { (format!("ops-api-dev-{REGION}")): dashboard() },
        "log groups": logs,
        "functions": all,
        "parameters": {
            "/ops-api/dev/api-key": parameter("SecureString", KEY),
            "/ops-api/dev/version": parameter("String", "1.0.0"),
            "/ops-api/dev/git-sha": parameter("String", "abc57858585"),
        },
        "buckets": { (format!("ops-api-dev-{ACCOUNT}-{REGION}")): bucket() },
        "apis": { "api1": api(definition) },
        "records": { "releases/00000003.json": record(definition) },
        "keys": { "key1": key(KEY) },
        "usage plans": { "plan1": usage_plan() },
    })
}
