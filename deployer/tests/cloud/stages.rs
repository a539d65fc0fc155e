//! What API Gateway refuses of a stage and of the usage plan's hold on it, and how a deploy gets past that.

use crate::account::Account;
use crate::world::fault::{Break, Fault, Verdict};
use crate::world::{Request, Response, World, refuse};
use aws_sdk_apigateway::error::ProvideErrorMetadata;
use aws_sdk_apigateway::types::{Op, PatchOperation, UsagePlan};
use infra::aws::Aws;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn patch(op: Op, path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder().op(op).path(path).value(value).build()
}

async fn api(aws: &Aws) -> String {
    let apis = aws.apigateway.get_rest_apis().send().await.unwrap();
    apis.items().iter().find(|api| api.name == Some(aws.env.name())).unwrap().id.clone().unwrap()
}

/// Changes the stage by hand.
async fn update(aws: &Aws, patches: impl IntoIterator<Item = PatchOperation>) {
    let update = aws.apigateway.update_stage().rest_api_id(api(aws).await).stage_name("dev");
    let patches = patches.into_iter().collect();
    update.set_patch_operations(Some(patches)).send().await.unwrap();
}

/// Makes so many method settings, in as many requests as it takes.
async fn limit_methods(aws: &Aws, number: usize) {
    let settings = (0..number).map(|n| format!("/~1e{n:03}/GET/throttling/rateLimit"));
    let patches: Vec<_> = settings.map(|path| patch(Op::Replace, &path, "5")).collect();
    for piece in patches.chunks(80) {
        update(aws, piece.to_vec()).await;
    }
}

async fn usage_plan(aws: &Aws) -> UsagePlan {
    let plans = aws.apigateway.get_usage_plans().send().await.unwrap();
    plans.items().iter().find(|plan| plan.name == Some(aws.env.name())).unwrap().clone()
}

/// Another API of the account, whose stage `dev` the usage plan is bound to as well.
async fn bind_another(aws: &Aws) -> String {
    let gateway = &aws.apigateway;
    let api = gateway.create_rest_api().name("another").send().await.unwrap().id.unwrap();
    let deployment = gateway.create_deployment().rest_api_id(&api).send().await.unwrap();
    let stage = gateway.create_stage().rest_api_id(&api).stage_name("dev");
    stage.deployment_id(deployment.id().unwrap()).send().await.unwrap();
    let bind = gateway.update_usage_plan().usage_plan_id(usage_plan(aws).await.id().unwrap());
    let bind = bind.patch_operations(patch(Op::Add, "/apiStages", &format!("{api}:dev")));
    bind.send().await.unwrap();
    api
}

async fn delete_api(aws: &Aws, id: &str) {
    aws.apigateway.delete_rest_api().rest_api_id(id).send().await.unwrap();
}

/// API Gateway doesn't unbind a stage that is gone, and the plan goes on listing it.
#[tokio::test]
async fn usage_plan_that_lists_a_deleted_stage_is_no_difference_for_ever() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let old = api(&aws).await;
    delete_api(&aws, &old).await;
    let told = format!("lists stage {old}:dev, which doesn't exist");
    account.run("deploy --yes").ends(0).says(&told).says("aws apigateway delete-usage-plan");
    account.run("plan --detailed-exitcode").ends(0).says(&told);
    account.run("status").ends(0).says(&told).says("drift    none");
    account.run("smoke-test").ends(0);
    assert_eq!(usage_plan(&aws).await.api_stages().len(), 2);
}

#[tokio::test]
async fn usage_plan_is_unbound_from_a_stage_that_exists() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let other = bind_another(&aws).await;
    assert_eq!(account.drift(), ["usage plan ops-api-dev: stages"]);
    // Its answer lost, the repeat finds nothing to unbind.
    let how = ("apigateway:UpdateUsagePlan", 1);
    World::broken(&account, "deploy --yes", how, Break::LoseAnswer).1.ends(0);
    assert_eq!(usage_plan(&aws).await.api_stages().len(), 1);
    account.run("plan --detailed-exitcode").ends(0);
    delete_api(&aws, &other).await;
}

/// Denies UpdateUsagePlan, and every GetStage after it.
#[derive(Default)]
struct Denied(bool);

impl Fault for Denied {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        self.0 |= request.name == "apigateway:UpdateUsagePlan";
        match request.name.as_str() {
            "apigateway:UpdateUsagePlan" => {
                Verdict::Answer(refuse("apigateway", 403, "AccessDeniedException", "not now"))
            }
            "apigateway:GetStage" if self.0 => {
                Verdict::Answer(refuse("apigateway", 400, "BadRequestException", "not now"))
            }
            _ => Verdict::Pass,
        }
    }
}

#[tokio::test]
async fn failed_update_of_the_usage_plan_is_reported_whatever_fails_after_it() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let other = bind_another(&aws).await;
    let ran = World::of(&account).with(Denied::default()).run(&account, "deploy --yes").ends(3);
    ran.says("apigateway:UpdateUsagePlan: AccessDenied");
    delete_api(&aws, &other).await;
}

/// A stage that is gone must not keep the plan bound to one that exists.
#[tokio::test]
async fn destroy_unbinds_stages_that_exist_beside_one_that_does_not() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let other = bind_another(&aws).await;
    delete_api(&aws, &other).await;
    account.run("destroy --yes").ends(0).says("remaining 0");
}

/// A key is told as it was made, so that it can be removed: of a route, of the root, and in the other spelling.
#[tokio::test]
async fn method_settings_made_by_hand_are_removed() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let by_hand = ["/~1health/GET", "/~1/GET", "/metadata/GET"]
        .map(|method| patch(Op::Replace, &format!("{method}/throttling/burstLimit"), "5"));
    update(&aws, by_hand).await;
    let stage = aws.apigateway.get_stage().rest_api_id(api(&aws).await).stage_name("dev");
    let settings = stage.send().await.unwrap().method_settings.unwrap();
    let mut keys: Vec<_> = settings.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["*/*", "metadata/GET", "~1/GET", "~1health/GET"]);

    let ran = account.run("plan").ends(0);
    ran.says(r#"throttling["GET /health"].burst"#).says(r#"throttling["GET /"].burst"#);
    account.run("deploy --yes --allow-widening").ends(0);
    account.assert_as_wanted();
}

/// API Gateway does a removal once: the repeat, whose first answer was lost, is refused.
#[tokio::test]
async fn lost_answer_of_a_removal_is_no_error() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let by_hand = [
        patch(Op::Replace, "/~1health/GET/throttling/rateLimit", "5"),
        patch(Op::Replace, "/variables/spare", "of-mine"),
        patch(Op::Replace, "/*/*/throttling/rateLimit", "5"),
    ];
    for broken in [&by_hand[..], &by_hand[..1], &by_hand[1..2]] {
        update(&aws, broken.to_vec()).await;
        let how = ("apigateway:UpdateStage", 1);
        let (world, ran) =
            World::broken(&account, "deploy --yes --allow-widening", how, Break::LoseAnswer);
        ran.ends(0);
        world.run(&account, "plan --detailed-exitcode").ends(0);
    }
}

/// "Update size too large": 130 removals take three requests.
#[tokio::test]
async fn update_of_a_stage_is_sent_in_pieces() {
    let account = Account::deployed();
    let (aws, world) = (account.aws().await, World::of(&account));
    limit_methods(&aws, 130).await;
    world.run(&account, "deploy --yes --allow-widening").ends(0);
    let updates = world.requests().into_iter().filter(|op| op == "apigateway:UpdateStage").count();
    assert_eq!(updates, 3);
    world.run(&account, "plan --detailed-exitcode").ends(0);

    // Whichever of them is lost.
    for k in [2, 3] {
        limit_methods(&aws, 130).await;
        let how = ("apigateway:UpdateStage", k);
        World::broken(&account, "deploy --yes --allow-widening", how, Break::LoseAnswer).1.ends(0);
        world.run(&account, "plan --detailed-exitcode").ends(0);
    }
}

#[tokio::test]
async fn local_cloud_refuses_stage_updates_that_aws_refuses() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let remove = |path: &str| PatchOperation::builder().op(Op::Remove).path(path).build();
    let none = |path: &str| {
        format!(
            "Cannot remove method setting {path} because there is no method setting for this method "
        )
    };
    let too_many = "Update size too large. Try updating stage in multiple UpdateStage operations";
    let limit = |n| patch(Op::Replace, &format!("/~1{n}/GET/throttling/rateLimit"), "1");
    for (patches, says) in [
        (vec![remove("/~1health/GET")], none("~1health/GET")),
        (vec![remove("/*/*"), remove("/*/*")], none("*/*")),
        (vec![remove("/*/*/throttling/rateLimit")], none("*/*/throttling/rateLimit")),
        (vec![remove("/accessLogSettings/format")], none("accessLogSettings/format")),
        (vec![remove("/variables/none")], none("variables/none")),
        (
            vec![patch(Op::Replace, "/accessLogSettings/other", "x")],
            "Invalid accessLogSettings path. Must be one of : [".to_owned(),
        ),
        (
            vec![patch(Op::Replace, "/tags/tag1", "x")],
            "Invalid method setting path: /tags/tag1. Must be one of: [/deploymentId, ".to_owned(),
        ),
        ((0..81).map(limit).collect(), too_many.to_owned()),
    ] {
        let update = aws.apigateway.update_stage().rest_api_id(api(&aws).await).stage_name("dev");
        let error = update.set_patch_operations(Some(patches)).send().await.unwrap_err();
        assert_eq!(error.code(), Some("BadRequestException"));
        assert!(error.message().unwrap().starts_with(&says), "{error:?}");
    }
    // All or nothing.
    account.assert_as_wanted();
}

/// What API Gateway has answered, after the operation's name.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<(String, Value)>>>);

impl Fault for Heard {
    fn after(&mut self, request: &Request, response: &mut Response, _: Duration) -> Verdict {
        if request.name.starts_with("apigateway:") && !response.body.is_empty() {
            self.0.lock().unwrap().push((request.name.clone(), response.json()));
        }
        Verdict::Pass
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// AWS leaves out what was never set, and tells some members always.
#[test]
fn local_cloud_answers_with_the_members_that_aws_answers_with() {
    let (account, heard) = (Account::new(), Heard::default());
    let world = World::of(&account).with(heard.clone());
    world.run(&account, "deploy --yes").ends(0);
    world.run(&account, "plan --detailed-exitcode").ends(0);
    let heard = heard.0.lock().unwrap();
    let nulls: Vec<_> = heard.iter().filter(|(_, answer)| has_null(answer)).collect();
    assert_eq!(nulls, Vec::<&(String, Value)>::new());
    let last = |op: &str| {
        let answer = heard.iter().rfind(|(name, _)| name == op);
        answer.unwrap_or_else(|| panic!("{op}: {:?}", heard.iter().map(|h| &h.0))).1.clone()
    };
    assert_eq!(last("apigateway:GetStage")["cacheClusterStatus"], "NOT_AVAILABLE");
    assert_eq!(last("apigateway:GetUsagePlans")["item"][0]["quota"]["offset"], 0);
    let api = last("apigateway:CreateRestApi");
    assert_eq!(api["endpointConfiguration"]["ipAddressType"], "ipv4");
    assert_eq!(api.get("description"), None);
    let resources = last("apigateway:GetResources");
    let root = resources["item"].as_array().unwrap().iter().find(|r| r["path"] == "/").unwrap();
    assert_eq!((root.get("parentId"), root.get("pathPart")), (None, None));
}
