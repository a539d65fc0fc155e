//! The local cloud returns what was recorded of AWS, where its emulator doesn't.

use crate::account::{Account, REGION, TRUST};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    Environment, FunctionCode, LastUpdateStatus, LogFormat, Runtime, State,
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use infra::aws::Aws;
use std::io::{Cursor, Write};

/// A function of Lambda's own defaults.
async fn create_function(
    aws: &Aws,
) -> aws_sdk_lambda::operation::create_function::CreateFunctionOutput {
    let role = aws.iam.create_role().role_name("r").assume_role_policy_document(TRUST);
    let role = role.send().await.unwrap().role.unwrap().arn;
    let mut zip = zip::ZipWriter::new(Cursor::new(vec![]));
    zip.start_file("bootstrap", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"#!/bin/sh").unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let create = aws.lambda.create_function().function_name("f").role(role).handler("bootstrap");
    let create = create.runtime(Runtime::from("provided.al2023"));
    create.code(FunctionCode::builder().zip_file(Blob::new(zip)).build()).send().await.unwrap()
}

#[tokio::test]
async fn lambda_returns_members_with_values_only() {
    let account = Account::new();
    let aws = account.aws().await;
    let created = create_function(&aws).await;
    assert_eq!(created.state(), Some(&State::Pending));
    assert!(created.state_reason().is_some());
    assert_eq!(created.last_update_status(), None);
    assert!(created.layers.is_none() && created.vpc_config.is_none());
    assert_eq!(created.kms_key_arn(), None);

    let ready = async || loop {
        let config =
            aws.lambda.get_function_configuration().function_name("f").send().await.unwrap();
        let status = config.last_update_status();
        if config.state() == Some(&State::Active) && status == Some(&LastUpdateStatus::Successful) {
            break config;
        }
    };
    let config = ready().await;
    assert_eq!((config.state_reason(), config.state_reason_code()), (None, None));
    assert_eq!(config.last_update_status_reason_code(), None);
    assert_eq!(config.logging_config().unwrap().log_format(), Some(&LogFormat::Text));
    let runtime = config.runtime_version_config().unwrap().runtime_version_arn().unwrap();
    assert!(runtime.starts_with("arn:aws:lambda:ap-southeast-2::runtime:"), "{runtime}");

    // It stays active while it is updated.
    let variables = Environment::builder().variables("A", "a").build();
    let update = aws.lambda.update_function_configuration().function_name("f");
    let updated = update.environment(variables).send().await.unwrap();
    assert_eq!(updated.state(), Some(&State::Active));
    assert_eq!(updated.last_update_status(), Some(&LastUpdateStatus::InProgress));
    assert!(updated.last_update_status_reason_code().is_some());
    ready().await;
    let published = aws.lambda.publish_version().function_name("f").send().await.unwrap();
    assert_eq!(published.last_update_status(), Some(&LastUpdateStatus::Successful));
    assert_eq!((published.state_reason_code(), published.kms_key_arn()), (None, None));
    let versions = aws.lambda.list_versions_by_function().function_name("f").send().await.unwrap();
    assert!(versions.versions().iter().all(|version| version.layers.is_none()));
}

#[tokio::test]
async fn iam_and_s3_return_what_was_last_used_and_arns() {
    let account = Account::new();
    let aws = account.aws().await;
    let role = aws.iam.create_role().role_name("r").assume_role_policy_document(TRUST);
    let created = role.send().await.unwrap().role.unwrap();
    assert_eq!((created.role_last_used(), created.description()), (None, None));
    let role = aws.iam.get_role().role_name("r").send().await.unwrap().role.unwrap();
    assert_eq!(role.role_last_used().unwrap().last_used_date(), None);

    let bucket = format!("bucket-{}", account.id);
    let region = BucketLocationConstraint::from(REGION);
    let place = CreateBucketConfiguration::builder().location_constraint(region).build();
    let create = aws.s3.create_bucket().bucket(&bucket).create_bucket_configuration(place);
    let created = create.send().await.unwrap();
    assert_eq!(created.bucket_arn(), Some(&*format!("arn:aws:s3:::{bucket}")));
    let head = aws.s3.head_bucket().bucket(&bucket).send().await.unwrap();
    assert_eq!(head.bucket_arn(), created.bucket_arn());
}
