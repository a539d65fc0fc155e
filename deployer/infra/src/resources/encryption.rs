//! What a bucket encrypts what is written to it with, where the writer says nothing.

use crate::aws::{Aws, Missing};
use anyhow::Result;
use aws_sdk_s3::types::{
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule,
};

/// With keys that are S3's own, which everybody who may read an object may use: any other key would ask for
/// rights of its own, of Lambda too. Every bucket begins so (S3, "Setting default server-side encryption
/// behavior"), so nothing is sent for a new one.
pub const BY_S3: &str = "AES256";

/// `AES256`, or `aws:kms` and which key. Empty when nothing is.
pub async fn encryption(cx: &Aws, bucket: &str) -> Result<String> {
    let account = &cx.env.account;
    let request =
        || cx.s3.get_bucket_encryption().bucket(bucket).expected_bucket_owner(account).send();
    let answer = cx.call("s3:GetEncryptionConfiguration", request).await.or_missing()?;
    let rules = answer.and_then(|answer| answer.server_side_encryption_configuration);
    let rules = rules.map(|configuration| configuration.rules).unwrap_or_default();
    let rules = rules.iter().filter_map(|rule| rule.apply_server_side_encryption_by_default());
    let name = |rule: &ServerSideEncryptionByDefault| match rule.kms_master_key_id() {
        None => rule.sse_algorithm().as_str().to_owned(),
        Some(key) => format!("{} {key}", rule.sse_algorithm().as_str()),
    };
    Ok(rules.map(name).next().unwrap_or_default())
}

/// Has what is written from now on encrypted [`BY_S3`]. May be repeated.
pub async fn encrypt(cx: &Aws, bucket: &str) -> Result<()> {
    let by_default = ServerSideEncryptionByDefault::builder();
    let by_default = by_default.sse_algorithm(ServerSideEncryption::from(BY_S3)).build()?;
    let rule = ServerSideEncryptionRule::builder();
    let rule = rule.apply_server_side_encryption_by_default(by_default).build();
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build()?;
    let request = || {
        let request = cx.s3.put_bucket_encryption().bucket(bucket);
        let request = request.expected_bucket_owner(&cx.env.account);
        request.server_side_encryption_configuration(configuration.clone()).send()
    };
    cx.call("s3:PutEncryptionConfiguration", request).await?;
    Ok(())
}
