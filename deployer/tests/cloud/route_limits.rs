//! Limits of single routes in the usage plan, of which API Gateway takes 20 in a stage.

use crate::account::Account;
use crate::world::World;
use aws_sdk_apigateway::error::ProvideErrorMetadata;
use aws_sdk_apigateway::types::{ApiStage, Op, PatchOperation, ThrottleSettings};
use deployer::ENDPOINTS;
use infra::contract::{Endpoint, get};
use serde_json::json;
use std::collections::HashMap;

/// As many routes as it says, each with a limit of its own, and all answered as `GET /` is.
fn limited(routes: usize) -> &'static [Endpoint] {
    let route = |n| get(format!("/e{n:02}").leak(), "root").limited(1, 2);
    (0..routes).map(route).collect::<Vec<_>>().leak()
}

/// "Method-level throttling settings for a stage in a usage plan": 20.
#[tokio::test]
async fn twenty_first_limited_route_is_an_error_before_any_request() {
    let account = Account::new();
    let world = World::of(&account);
    world.set_endpoints(limited(21));
    for verb in ["plan", "deploy --yes"] {
        let ran = world.run(&account, verb).ends(6);
        ran.says("21 routes in ENDPOINTS have a limit of their own, and API Gateway allows 20")
            .says("remove .limited(…) from at least 1 of these")
            .says("GET /e00, GET /e01");
        assert_eq!(world.requests(), Vec::<String>::new());
    }
    world.set_endpoints(limited(20));
    world.run(&account, "deploy --yes").ends(0);
}

/// The limits of routes on the stage's usage plan, by the name that API Gateway gives them.
async fn limits_of_routes(account: &Account) -> Vec<String> {
    let aws = account.aws().await;
    let plans = aws.apigateway.get_usage_plans().send().await.unwrap();
    let stages = plans.items().iter().flat_map(|plan| plan.api_stages());
    let mut limits: Vec<_> = stages
        .filter_map(|stage| stage.throttle())
        .flat_map(|limits| limits.keys().cloned())
        .collect();
    limits.sort();
    limits
}

#[tokio::test]
async fn only_routes_that_declare_a_limit_get_one() {
    const fn unlimited(mut endpoint: Endpoint) -> Endpoint {
        endpoint.limit = None;
        endpoint
    }
    static OTHERS: &[Endpoint] =
        &[unlimited(ENDPOINTS[0]), ENDPOINTS[1].limited(5, 7), ENDPOINTS[2]];
    static NONE: &[Endpoint] =
        &[unlimited(ENDPOINTS[0]), unlimited(ENDPOINTS[1]), unlimited(ENDPOINTS[2])];
    let account = Account::deployed();
    let world = World::of(&account);
    assert_eq!(limits_of_routes(&account).await, ["//GET", "/health/GET", "/metadata/GET"]);

    world.set_endpoints(OTHERS);
    let ran = world.run(&account, "deploy --yes").ends(0);
    ran.says(r#"routes["GET /"].rate"#).says(r#"routes["GET /health"].rate   25.0 → 5.0"#);
    assert_eq!(limits_of_routes(&account).await, ["/health/GET", "/metadata/GET"]);

    world.set_endpoints(NONE);
    world.run(&account, "deploy --yes").ends(0);
    assert_eq!(limits_of_routes(&account).await, Vec::<String>::new());
    world.run(&account, "plan --detailed-exitcode").ends(0);
}

#[tokio::test]
async fn local_cloud_refuses_limits_that_aws_refuses() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let plans = aws.apigateway.get_usage_plans().send().await.unwrap();
    let plan = plans.items()[0].clone();
    let stage = plan.api_stages()[0].clone();
    let limit = ThrottleSettings::builder().rate_limit(1.0).burst_limit(1).build();
    let many = (0..21).map(|n| (format!("/e{n}/GET"), limit.clone())).collect::<HashMap<_, _>>();
    let one = |method: &str| HashMap::from([(method.to_owned(), limit.clone())]);
    for (limits, code, says) in [
        (many, "LimitExceededException", "At most 20"),
        (one("*/*"), "BadRequestException", "Invalid method */*"),
        (one("/gone/GET"), "NotFoundException", "Invalid method /gone/GET"),
        (one("/GET"), "NotFoundException", "Invalid method /GET"),
    ] {
        let json: serde_json::Map<String, _> = limits
            .keys()
            .map(|method| (method.clone(), json!({ "rateLimit": 1.0, "burstLimit": 1 })))
            .collect();
        let path =
            format!("/apiStages/{}:{}/throttle", stage.api_id().unwrap(), stage.stage().unwrap());
        let replace = PatchOperation::builder().op(Op::Replace).path(path);
        let replace = replace.value(serde_json::Value::from(json).to_string()).build();
        let update = aws.apigateway.update_usage_plan().usage_plan_id(plan.id().unwrap());
        let updated = update.patch_operations(replace).send().await.unwrap_err();

        let stages = ApiStage::builder().api_id(stage.api_id().unwrap()).stage("dev");
        let stages = stages.set_throttle(Some(limits)).build();
        let create = aws.apigateway.create_usage_plan().name("another").api_stages(stages);
        let created = create.send().await.unwrap_err();
        for error in [updated.meta(), created.meta()] {
            assert_eq!(error.code(), Some(code));
            assert!(error.message().unwrap().contains(says), "{error:?}");
        }
    }
    assert_eq!(limits_of_routes(&account).await, ["//GET", "/health/GET", "/metadata/GET"]);
}
