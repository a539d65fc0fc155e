//! One difference in every field of every kind: each shows as an update of just that property.

use super::*;
use crate::world::{ACCOUNT, REGION};
use serde_json::json;
use std::collections::BTreeSet;

type Edit = fn(&mut Value);

const HEALTH: &str = "ops-api-dev-health";
const LOGS: &str = "/aws/lambda/ops-api-dev-health";
const VERSION: &str = "/ops-api/dev/version";
const SECRET: &str = "/ops-api/dev/api-key";

fn bucket(world: &mut Value) -> &mut Value {
    &mut world["buckets"][format!("ops-api-dev-{ACCOUNT}-{REGION}")]
}

fn role(world: &mut Value) -> &mut Value {
    &mut world["roles"][format!("{HEALTH}-{REGION}")]
}

/// Somebody changed the configuration, published it and moved the alias.
fn configure(world: &mut Value, property: &str, value: Value) {
    for version in ["latest", "live"] {
        let function = &mut world["functions"][HEALTH][version];
        property.split('.').fold(function, |at, key| &mut at[key]).clone_from(&value);
    }
}

fn health(world: &mut Value) -> &mut Value {
    &mut world["functions"][HEALTH]
}

fn route(world: &mut Value) -> &mut Value {
    &mut world["apis"]["api1"]["resources"]["/health"]["GET"]
}

fn record(world: &mut Value) -> &mut Value {
    &mut world["records"]["releases/00000003.json"]
}

fn stage(world: &mut Value) -> &mut Value {
    &mut world["apis"]["api1"]["stages"]["dev"]
}

fn alarm<'a>(world: &'a mut Value, name: &str) -> &'a mut Value {
    &mut world["alarms"][format!("ops-api-dev-{name}")]
}

fn usage_plan(world: &mut Value) -> &mut Value {
    &mut world["usage plans"]["plan1"]
}

/// Of which kind, the properties that must show, and how they came to differ.
const DRIFTS: &[(&str, &str, Edit)] = &[
    ("log group", "retention_days", |w| w["log groups"][LOGS]["retentionInDays"] = json!(7)),
    ("log group", "retention_days", |w| w["log groups"][LOGS]["retentionInDays"] = Value::Null),
    ("log group", "made_by_aws retention_days", |w| w["log groups"][LOGS] = json!({})),
    ("parameter", "value", |w| w["parameters"][VERSION]["Value"] = json!("0.9.0")),
    ("parameter", "type", |w| w["parameters"][SECRET]["Type"] = json!("String")),
    ("role", "trust.Version", |w| role(w)["trust"]["Version"] = json!("2008-10-17")),
    ("role", "trust.Statement", |w| {
        role(w)["trust"]["Statement"][0]["Principal"] = json!({ "AWS": "arn:aws:iam::1:root" });
    }),
    ("role", "policies.write-logs.Version", |w| {
        role(w)["policies"]["write-logs"]["Version"] = json!("2008-10-17");
    }),
    ("role", "policies.write-logs.Statement", |w| {
        role(w)["policies"]["write-logs"]["Statement"][0]["Resource"] = json!("*");
    }),
    ("role", "policies.send-traces.Version", |w| {
        role(w)["policies"]["send-traces"]["Version"] = json!("2008-10-17");
    }),
    ("role", "policies.send-traces.Statement", |w| {
        role(w)["policies"]["send-traces"]["Statement"][0]["Action"] = json!("xray:*");
    }),
    ("role", "policies.extra.Statement", |w| {
        role(w)["policies"]["extra"] = json!({ "Statement": { "Effect": "Allow", "Action": "*" } });
    }),
    ("role", "attached", |w| role(w)["attached"] = json!(["arn:aws:iam::aws:policy/ReadOnly"])),
    ("bucket", "public_access_blocked", |w| bucket(w)["blocked"]["BlockPublicAcls"] = json!(false)),
    ("bucket", "public_access_blocked", |w| bucket(w)["blocked"] = Value::Null),
    ("bucket", "encryption", |w| bucket(w)["encryption"] = json!("aws:kms")),
    ("bucket", "policy.Version", |w| bucket(w)["policy"]["Version"] = json!("2008-10-17")),
    ("bucket", "policy.Statement", |w| bucket(w)["policy"]["Statement"] = json!([])),
    ("function", "description", |w| configure(w, "Description", json!("edited by hand"))),
    ("function", "role", |w| configure(w, "Role", json!("arn:aws:iam::1:role/other"))),
    ("function", "log_group", |w| configure(w, "LoggingConfig.LogGroup", json!("/elsewhere"))),
    ("function", "runtime", |w| configure(w, "Runtime", json!("provided.al2"))),
    ("function", "handler", |w| configure(w, "Handler", json!("main"))),
    ("function", "architecture", |w| configure(w, "Architectures", json!(["arm64"]))),
    ("function", "memory_mb", |w| configure(w, "MemorySize", json!(128))),
    ("function", "timeout_seconds", |w| configure(w, "Timeout", json!(900))),
    ("function", "environment.GIT_SHA", |w| {
        configure(w, "Environment.Variables.GIT_SHA", json!("x"))
    }),
    ("function", "environment.VERSION", |w| {
        configure(w, "Environment.Variables.VERSION", json!(""))
    }),
    ("function", "environment.DEBUG", |w| configure(w, "Environment.Variables.DEBUG", json!("1"))),
    ("function", "traced", |w| configure(w, "TracingConfig", json!({ "Mode": "PassThrough" }))),
    ("function", "reserved_concurrency", |w| {
        health(w)["concurrency"] = json!({ "ReservedConcurrentExecutions": 7 });
    }),
    ("function", "layers", |w| {
        configure(
            w,
            "Layers",
            json!([{ "Arn": "arn:aws:lambda:x:1:layer:probe:1", "CodeSize": 1 }]),
        );
    }),
    ("function", "vpc.security_groups vpc.subnets", |w| {
        configure(
            w,
            "VpcConfig",
            json!({ "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] }),
        );
    }),
    ("function", "file_systems", |w| {
        configure(w, "FileSystemConfigs", json!([{ "Arn": "arn:x", "LocalMountPath": "/mnt/x" }]));
    }),
    ("function", "dead_letter_queue", |w| {
        configure(w, "DeadLetterConfig", json!({ "TargetArn": "arn:aws:sqs:x" }));
    }),
    ("function", "kms_key", |w| configure(w, "KMSKeyArn", json!("arn:aws:kms:x"))),
    ("function", "ephemeral_storage_mb", |w| {
        configure(w, "EphemeralStorage", json!({ "Size": 1024 }));
    }),
    ("function", "image.command", |w| {
        let image = json!({ "ImageConfig": { "Command": ["sh"] } });
        configure(w, "ImageConfigResponse", image);
    }),
    ("function", "snap_start", |w| {
        configure(w, "SnapStart", json!({ "ApplyOn": "PublishedVersions" }));
    }),
    ("function", "tenancy", |w| {
        configure(w, "TenancyConfig", json!({ "TenantIsolationMode": "PER_TENANT" }));
    }),
    ("function", "capacity_provider", |w| {
        let managed = json!({ "CapacityProviderArn": "arn:x" });
        let provider = json!({ "LambdaManagedInstancesCapacityProviderConfig": managed });
        configure(w, "CapacityProviderConfig", provider);
    }),
    ("function", "durable.execution_timeout_seconds durable.retention_days", |w| {
        let durable = json!({ "ExecutionTimeout": 60, "RetentionPeriodInDays": 1 });
        configure(w, "DurableConfig", durable);
    }),
    ("function", "log_format log_levels.application log_levels.system", |w| {
        configure(w, "LoggingConfig.LogFormat", json!("JSON"));
        configure(w, "LoggingConfig.ApplicationLogLevel", json!("DEBUG"));
        configure(w, "LoggingConfig.SystemLogLevel", json!("INFO"));
    }),
    ("function", "code", |w| configure(w, "CodeSha256", json!("AAAA"))),
    ("function", "published", |w| health(w)["live"]["Timeout"] = json!(900)),
    ("function", "published", |w| health(w)["live"]["CodeSha256"] = json!("AAAA")),
    ("function", "alias published", |w| health(w)["live"] = Value::Null),
    ("stage", "functions.health", |w| health(w)["served"] = json!("6")),
    ("stage", "functions.health", |w| health(w)["weights"] = json!({ "6": 0.5 })),
    ("permission", "statements.api-gateway.service", |w| {
        health(w)["policy"][0]["Principal"]["Service"] = json!("events.amazonaws.com");
    }),
    ("permission", "statements.api-gateway.source_arn", |w| {
        health(w)["policy"][0]["Condition"]["ArnLike"]["AWS:SourceArn"] = json!("arn:aws:x");
    }),
    ("permission", "statements.everybody.Principal statements.everybody.Sid", |w| {
        let all = json!({ "Sid": "everybody", "Principal": "*" });
        health(w)["policy"].as_array_mut().unwrap().push(all);
    }),
    ("rest api", "endpoint", |w| {
        w["apis"]["api1"]["endpointConfiguration"]["types"] = json!(["EDGE"]);
    }),
    ("rest api", "api_key_source", |w| w["apis"]["api1"]["apiKeySource"] = json!("AUTHORIZER")),
    ("rest api", "security_policy", |w| w["apis"]["api1"]["securityPolicy"] = json!("TLS_1_0")),
    ("rest api", "endpoint_access_mode", |w| {
        w["apis"]["api1"]["endpointAccessMode"] = json!("STRICT");
    }),
    ("rest api", r#"routes["GET /health"].function"#, |w| {
        route(w)["methodIntegration"]["uri"] = json!("https://elsewhere.example");
    }),
    ("rest api", r#"routes["GET /health"].api_key_required"#, |w| {
        route(w)["apiKeyRequired"] = json!(false);
    }),
    ("rest api", r#"routes["GET /health"].type"#, |w| {
        route(w)["methodIntegration"]["type"] = json!("AWS");
    }),
    ("stage", "deployment", |w| stage(w)["deploymentId"] = json!("dep0")),
    ("stage", "deployment", |w| w["apis"]["api1"]["deployments"]["dep1"] = json!("by hand")),
    ("stage", "variables.alias", |w| stage(w)["variables"] = json!({ "alias": "other" })),
    ("stage", "variables.more", |w| stage(w)["variables"]["more"] = json!("by hand")),
    ("stage", "release.version", |w| record(w)["version"] = json!("0.9.0")),
    ("stage", "release.commit", |w| record(w)["git_sha"] = json!("0123456789a")),
    ("stage", "release.state", |w| record(w)["state"] = json!("unfinished")),
    ("stage", "release.commit release.state release.version", |w| w["records"] = json!({})),
    ("stage", r#"throttling["*/*"].rate"#, |w| {
        stage(w)["methodSettings"]["*/*"]["throttlingRateLimit"] = json!(1.0);
    }),
    ("stage", r#"throttling["*/*"].burst"#, |w| {
        stage(w)["methodSettings"]["*/*"]["throttlingBurstLimit"] = json!(1);
    }),
    ("stage", "access_log access_log_format", |w| stage(w)["accessLogSettings"] = Value::Null),
    ("stage", "access_log", |w| {
        stage(w)["accessLogSettings"]["destinationArn"] = json!("arn:aws:firehose:r:1:x");
    }),
    ("stage", "access_log_format", |w| stage(w)["accessLogSettings"]["format"] = json!("$context")),
    ("stage", "traced", |w| stage(w)["tracingEnabled"] = json!(false)),
    ("alarm", "description", |w| alarm(w, "5xx")["AlarmDescription"] = json!("by hand")),
    ("alarm", "metrics.percent", |w| {
        alarm(w, "5xx")["Metrics"][2]["Expression"] = json!("errors");
    }),
    ("alarm", "metrics.errors", |w| {
        alarm(w, "5xx")["Metrics"][0]["MetricStat"]["Metric"]["MetricName"] = json!("4XXError");
    }),
    ("alarm", "metrics.requests", |w| {
        alarm(w, "5xx")["Metrics"][1]["MetricStat"]["Stat"] = json!("Average");
    }),
    ("alarm", "metrics.slowest", |w| {
        alarm(w, "latency")["Metrics"][0]["MetricStat"]["Period"] = json!(60);
    }),
    ("alarm", "metrics.throttles", |w| {
        let metric = &mut alarm(w, "health-throttles")["Metrics"][0]["MetricStat"]["Metric"];
        metric["Dimensions"][1]["Value"] = json!("another");
    }),
    ("alarm", "comparison", |w| {
        alarm(w, "5xx")["ComparisonOperator"] = json!("LessThanThreshold");
    }),
    ("alarm", "threshold", |w| alarm(w, "5xx")["Threshold"] = json!(50.0)),
    ("alarm", "periods", |w| alarm(w, "5xx")["EvaluationPeriods"] = json!(9)),
    ("alarm", "missing_data", |w| alarm(w, "5xx")["TreatMissingData"] = json!("breaching")),
    ("alarm", "topics", |w| alarm(w, "5xx")["OKActions"] = json!(["arn:aws:sns:r:1:theirs"])),
    ("alarm", "enabled", |w| alarm(w, "5xx")["ActionsEnabled"] = json!(false)),
    ("dashboard", "body", |w| {
        let page = &mut w["dashboards"][format!("ops-api-dev-{REGION}")];
        drop(page["body"]["widgets"].as_array_mut().unwrap().pop());
    }),
    ("api key", "enabled", |w| w["keys"]["key1"]["enabled"] = json!(false)),
    ("usage plan", "rate", |w| usage_plan(w)["throttle"]["rateLimit"] = json!(1.5)),
    ("usage plan", "burst", |w| usage_plan(w)["throttle"]["burstLimit"] = json!(1)),
    ("usage plan", "quota", |w| usage_plan(w)["quota"]["limit"] = json!(10)),
    ("usage plan", "period", |w| usage_plan(w)["quota"]["period"] = json!("DAY")),
    ("usage plan", "stages", |w| usage_plan(w)["apiStages"][0]["stage"] = json!("other")),
    ("usage plan", r#"routes["GET /health"].rate"#, |w| {
        usage_plan(w)["apiStages"][0]["throttle"]["/health/GET"]["rateLimit"] = json!(1.0);
    }),
    ("usage plan", r#"routes["GET /health"].burst"#, |w| {
        usage_plan(w)["apiStages"][0]["throttle"]["/health/GET"]["burstLimit"] = json!(1);
    }),
    ("usage plan", "keys", |w| usage_plan(w)["keys"] = json!(["key1", "key9"])),
];

#[tokio::test(start_paused = true)]
async fn every_field_of_every_kind_drifts_by_itself() {
    let deployed = deployed().await;
    let mut report = String::new();
    for (kind, path, edit) in DRIFTS {
        let mut world = deployed.clone();
        edit(&mut world);
        let plan = plan(&world).await;
        let mut steps: Vec<_> = steps(&plan).collect();
        // Another version of a function is another release of the stage.
        if *kind == "function" && steps.len() == 2 {
            let release = steps.pop().unwrap();
            let paths: Vec<_> = release.changes.iter().map(|change| &*change.path).collect();
            assert_eq!((&*release.kind, paths), ("stage", vec!["functions.health"]));
        }
        let [step] = &steps[..] else { panic!("{}", text(&plan)) };
        let paths: Vec<_> = step.changes.iter().map(|change| change.path.as_str()).collect();
        let found = (step.action, step.kind.as_str(), paths.join(" "));
        assert_eq!(found, (Action::Update, *kind, (*path).to_owned()), "{}", text(&plan));
        let shown = text(&plan);
        report += &format!("{}\n", shown.split("\n\n").next().unwrap());
    }
    insta::assert_snapshot!(report);
}

/// A property that is added to a kind must be added to the table above.
#[tokio::test(start_paused = true)]
async fn the_table_of_drifts_has_every_field_of_every_kind() {
    // One route, one log group, one function stand for all.
    let of_one = |path: &str| {
        path.replace("GET /metadata", "GET /health")
            .replace("GET /\"", "GET /health\"")
            .replace("functions.root", "functions.health")
            .replace("functions.metadata", "functions.health")
    };
    let wanted: BTreeSet<(String, String)> = (plan(&Value::Null).await.steps.iter())
        .flat_map(|step| {
            step.changes.iter().map(|change| (step.kind.clone(), of_one(&change.path)))
        })
        .collect();
    let tried = DRIFTS.iter().flat_map(|(kind, paths, _)| {
        let alone = [(*paths).to_owned()]; // a route's path has spaces
        let each = paths.split(' ').map(ToOwned::to_owned).chain(alone);
        each.map(|path| ((*kind).to_owned(), path))
    });
    // An artifact's bucket and a key's value are what they are: another one is another thing.
    // The account's role is anybody's.
    let identities =
        [("artifact", "bucket"), ("api key", "value"), ("api gateway account", "may_write_logs")];
    let identities = identities.map(|(kind, path)| (kind.to_owned(), path.to_owned()));
    let tried: BTreeSet<_> = tried.chain(identities).collect();
    let missing: Vec<_> = wanted.difference(&tried).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
