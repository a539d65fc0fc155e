//! Configuration that is attached to a function by hand, and access to it other than through the API.

use crate::account::Account;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    DeadLetterConfig, EphemeralStorage, FileSystemConfig, FunctionUrlAuthType,
    LayerVersionContentInput, LogFormat, LoggingConfig, VpcConfig,
};
use infra::aws::Aws;

const LIVE: &str = "ops-api-dev-health";

/// Of a commit that has no changes.
fn deployed() -> Account {
    let account = Account::new();
    account.packages.change_commit("0123456789a");
    account.run("deploy --yes").ends(0);
    account
}

async fn layer(account: &Account, aws: &Aws) -> String {
    let zip = Blob::new(std::fs::read(account.packages.path().join("root.zip")).unwrap());
    let content = LayerVersionContentInput::builder().zip_file(zip).build();
    let publish = aws.lambda.publish_layer_version().layer_name("probe").content(content);
    publish.send().await.unwrap().layer_version_arn.unwrap()
}

async fn attach_layer(account: &Account) -> String {
    let aws = account.aws().await;
    let layer = layer(account, &aws).await;
    let update = aws.lambda.update_function_configuration().function_name(LIVE);
    update.layers(&layer).send().await.unwrap();
    layer
}

/// The layers of the version that serves.
async fn served_layers(account: &Account) -> usize {
    let get = account.aws().await.lambda.get_function().function_name(LIVE).qualifier("live");
    get.send().await.unwrap().configuration.unwrap().layers().len()
}

#[tokio::test]
async fn layer_on_latest_is_shown_and_never_served() {
    let account = Account::deployed();
    let layer = attach_layer(&account).await;
    account.run("plan --detailed-exitcode").ends(2).says("layers").says(&layer);
    account.run("status").ends(0).says("drift    yes").says(&layer);
    account.run("deploy --yes").ends(0);
    account.assert_as_wanted();
    assert_eq!(served_layers(&account).await, 0);

    // Nor by the deploy of another commit.
    attach_layer(&account).await;
    account.packages.change_code("health");
    account.run("deploy --yes").ends(0).says("is live");
    account.assert_as_wanted();
    assert_eq!(served_layers(&account).await, 0);
}

/// What limits a function is reset only with leave to widen.
#[tokio::test]
async fn everything_attached_is_shown_and_reset() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let arn = |service: &str, what: &str| {
        format!("arn:aws:{service}:{}:{}:{what}", aws.env.region, account.id)
    };
    let vpc = VpcConfig::builder().subnet_ids("subnet-1").security_group_ids("sg-1").build();
    let files = FileSystemConfig::builder().local_mount_path("/mnt/files");
    let files = files.arn(arn("elasticfilesystem", "access-point/fsap-0123456789abcdef0")).build();
    let letters = DeadLetterConfig::builder().target_arn(arn("sqs", "letters")).build();
    let logging = LoggingConfig::builder().log_format(LogFormat::Json);
    let update = aws.lambda.update_function_configuration().function_name(LIVE);
    let update = update.layers(layer(&account, &aws).await).vpc_config(vpc);
    let update = update.file_system_configs(files.unwrap()).dead_letter_config(letters);
    let update = update.kms_key_arn(arn("kms", "key/1"));
    let update = update.ephemeral_storage(EphemeralStorage::builder().size(1024).build().unwrap());
    let update = update.logging_config(logging.log_group(aws.env.log_group("health")).build());
    update.send().await.unwrap();

    insta::assert_snapshot!(account.drift().join("\n"));
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(6).says("vpc.subnets allows").says("kms_key allows");
    wire.assert_no_writes();
    account.run("deploy --yes --allow-widening").ends(0);
    account.assert_as_wanted();
}

/// Four ways in besides the API's stage.
pub async fn open(account: &Account) {
    let aws = account.aws().await;
    let url = aws.lambda.create_function_url_config().function_name(LIVE).qualifier("live");
    url.auth_type(FunctionUrlAuthType::None).send().await.unwrap();
    let queue = format!("arn:aws:sqs:{}:{}:jobs", aws.env.region, account.id);
    let mapping = aws.lambda.create_event_source_mapping().function_name(LIVE);
    mapping.event_source_arn(queue).enabled(false).send().await.unwrap();
    let permission = aws.lambda.add_permission().function_name(LIVE).statement_id("anybody");
    let permission = permission.principal("*").action("lambda:InvokeFunction");
    permission.send().await.unwrap();
    let apis = aws.apigateway.get_rest_apis().send().await.unwrap();
    let api = apis.items().iter().find(|api| api.name == Some(aws.env.name())).unwrap();
    let deployments =
        aws.apigateway.get_deployments().rest_api_id(api.id().unwrap()).send().await.unwrap();
    let stage = aws.apigateway.create_stage().rest_api_id(api.id().unwrap()).stage_name("side");
    stage.deployment_id(deployments.items()[0].id().unwrap()).send().await.unwrap();
}

#[tokio::test]
async fn foreign_access_is_shown_and_removed_only_when_asked_for() {
    let account = deployed();
    open(&account).await;
    let all = |ran: crate::account::Ran| {
        ran.says("! function ops-api-dev-health: event source mapping ")
            .says("! function ops-api-dev-health: function URL of live: https://")
            .says("! function ops-api-dev-health: policy statement anybody: Allow lambda:InvokeFunction by *")
            .says("! rest api ops-api-dev: stage side: deployment ")
            .says("4 ways of access that this stack didn't create")
    };
    all(account.run("plan --detailed-exitcode").ends(2)).says("nothing to do");
    all(account.run("deploy --yes").ends(0)).says("nothing to do");
    all(account.run("status").ends(0)).says("drift    yes");
    assert_eq!(account.run("status --json").ends(0).json()["drift"], true);
    let ran = account.run(&format!("verify --rebuilt {}", account.packages.path().display()));
    let ran = ran.ends(5).says("✗ BY HAND  health    function URL of live").says("✗ BY HAND  API ");
    ran.says("--remove-foreign");

    // New code changes nothing about that.
    account.packages.change_code("health");
    all(account.run("deploy --yes").ends(0)).says("release 2 is live");

    let plan = account.run("plan --json --remove-foreign").ends(0).json();
    assert_eq!(plan["foreign"], serde_json::json!({}));
    let file = account.packages.path().join("plan.json");
    let file = file.display();
    account.run(&format!("plan --out {file} --remove-foreign")).ends(0).says("foreign");
    account.run(&format!("deploy {file} --yes")).ends(0);
    account.run("plan --detailed-exitcode").ends(0).says("nothing to do");
    account.run("status").ends(0).says("drift    none");
}

#[tokio::test]
async fn layer_is_not_verified() {
    let account = deployed();
    let layer = attach_layer(&account).await;
    let line = format!("verify --rebuilt {}", account.packages.path().display());
    account
        .run(&line)
        .ends(5)
        .says("✗ BY HAND  health")
        .says("layers of version $LATEST")
        .says(&layer);
    account.run("deploy --yes").ends(0);
    account.run(&line).ends(0).says("verified");
}
