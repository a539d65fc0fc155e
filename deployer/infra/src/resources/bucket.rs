//! The staging bucket: where packages lie until Lambda has fetched them, and the lease on the stage.
//! Closed to the public, and encrypted.

use super::encryption::{BY_S3, encrypt, encryption};
use super::ownership::{gone, is_ours, owner};
use crate::aws::{Failure, Missing};
use crate::engine::{Foreign, Live, Owned, Owner, Resource, turn};
use crate::env::Tags;
use crate::ids::BucketName;
use crate::lease;
use crate::retry::{Made, make_or_adopt, until};
use crate::run::Run;
use anyhow::{Error, Result, bail};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier,
    PublicAccessBlockConfiguration, Tag,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long what came late may keep a bucket from being empty.
const EMPTY: Duration = Duration::from_secs(120);

/// A bucket that only this account reaches, and only over TLS. Every call names the account that
/// must own it: bucket names are the world's, and somebody might have been quicker.
#[derive(Debug, Serialize)]
pub struct Bucket {
    #[serde(skip)]
    pub name: String,
    /// All four of S3's blocks.
    pub public_access_blocked: bool,
    /// By default: `AES256`, or `aws:kms` and the key's name.
    pub encryption: String,
    pub policy: Value,
}

impl Bucket {
    pub fn private(name: String, partition: &str) -> Self {
        let arn = format!("arn:{partition}:s3:::{name}");
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, format!("{arn}/*")],
                "Condition": { "Bool": { "aws:SecureTransport": "false" } },
            }],
        });
        Self { name, public_access_blocked: true, encryption: BY_S3.to_owned(), policy }
    }

    /// Makes it, with its tags and nothing else. False when it is there already, and ours.
    ///
    /// # Errors
    /// When it is there and isn't ours, or S3 refuses.
    pub async fn make(&self, cx: &Run) -> Result<bool> {
        // us-east-1 must not be named as a location; every other region must.
        let region = cx.env.region.as_str();
        let location = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
        let tag = |(k, v): (&String, &String)| Tag::builder().key(k).value(v).build().ok();
        let configuration = CreateBucketConfiguration::builder()
            .set_location_constraint(location)
            .set_tags(Some(cx.env.tags().iter().filter_map(tag).collect()))
            .build();
        let make = async || {
            let request = || {
                let request = cx.s3.create_bucket().bucket(&self.name);
                request.create_bucket_configuration(configuration.clone()).send()
            };
            cx.call("s3:CreateBucket", request).await
        };
        let ours = async || match self.read(cx).await? {
            Some(Live { owner: Owner::Other(whose), .. }) => {
                bail!(Foreign(vec![format!(
                    "bucket {} exists and is not ours: {whose}",
                    self.name
                )]))
            }
            found => Ok(found.map(drop)),
        };
        let exists = |failure: &Failure| failure.is("BucketAlreadyOwnedByYou");
        Ok(matches!(make_or_adopt(make, exists, ours).await?, Made::New(_)))
    }

    async fn block_public_access(&self, cx: &Run) -> Result<(), Failure> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let request = || {
            let request = cx.s3.put_public_access_block().bucket(&self.name);
            request
                .expected_bucket_owner(&cx.env.account)
                .public_access_block_configuration(block.clone())
                .send()
        };
        cx.call_new("s3:PutBucketPublicAccessBlock", request).await.map(drop)
    }

    async fn put_policy(&self, cx: &Run) -> Result<(), Failure> {
        let request = || {
            let request = cx.s3.put_bucket_policy().bucket(&self.name);
            request.expected_bucket_owner(&cx.env.account).policy(self.policy.to_string()).send()
        };
        cx.call_new("s3:PutBucketPolicy", request).await.map(drop)
    }
}

/// None when the bucket is gone.
async fn tags(cx: &Run, bucket: &str) -> Result<Option<Tags>> {
    let request =
        || cx.s3.get_bucket_tagging().bucket(bucket).expected_bucket_owner(&cx.env.account).send();
    match cx.call("s3:GetBucketTagging", request).await {
        Ok(answer) => {
            Ok(Some(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()))
        }
        Err(failure) if failure.is("NoSuchTagSet") => Ok(Some(Tags::new())),
        Err(failure) if failure.is_missing() => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

async fn is_blocked(cx: &Run, bucket: &str) -> Result<bool> {
    let request = || {
        cx.s3.get_public_access_block().bucket(bucket).expected_bucket_owner(&cx.env.account).send()
    };
    let answer = cx.call("s3:GetBucketPublicAccessBlock", request).await.or_missing()?;
    let block = answer.and_then(|answer| answer.public_access_block_configuration);
    Ok(block.is_some_and(|block| {
        [
            block.block_public_acls,
            block.ignore_public_acls,
            block.block_public_policy,
            block.restrict_public_buckets,
        ]
        .iter()
        .all(|blocked| *blocked == Some(true))
    }))
}

async fn policy(cx: &Run, bucket: &str) -> Result<Value> {
    let request =
        || cx.s3.get_bucket_policy().bucket(bucket).expected_bucket_owner(&cx.env.account).send();
    let answer = cx.call("s3:GetBucketPolicy", request).await.or_missing()?;
    let text = answer.and_then(|answer| answer.policy);
    // What isn't JSON can't be ours, and will be replaced.
    Ok(text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// Deletes every object but `spare`, also versions and delete markers, should somebody have turned
/// versioning on; says whether there were any.
async fn empty(cx: &Run, bucket: &str, spare: Option<&str>) -> Result<bool> {
    let account = &cx.env.account;
    let (mut key, mut version, mut versioned) = (None, None, false);
    loop {
        let list = || {
            let list = cx.s3.list_object_versions().bucket(bucket).expected_bucket_owner(account);
            list.set_key_marker(key.clone()).set_version_id_marker(version.clone()).send()
        };
        let Some(page) = cx.call("s3:ListBucketVersions", list).await.or_missing()? else {
            return Ok(false);
        };
        let versions = page.versions().iter().map(|v| (v.key(), v.version_id()));
        let markers = page.delete_markers().iter().map(|m| (m.key(), m.version_id()));
        let objects: Vec<_> = versions.chain(markers).collect();
        versioned |= objects.iter().any(|(_, id)| id.is_some_and(|id| id != "null"));
        let object = |(key, id): (Option<&str>, Option<&str>)| {
            let object = ObjectIdentifier::builder().key(key.unwrap_or_default());
            object.set_version_id(id.map(ToOwned::to_owned)).build().ok()
        };
        let goes = objects.into_iter().filter(|(key, _)| key.is_none() || *key != spare);
        remove(cx, bucket, goes.filter_map(object).collect()).await?;
        (key, version) = (page.next_key_marker, page.next_version_id_marker);
        if page.is_truncated != Some(true) || key.is_none() {
            return Ok(versioned);
        }
    }
}

async fn remove(cx: &Run, bucket: &str, objects: Vec<ObjectIdentifier>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let batch = Delete::builder().set_objects(Some(objects)).quiet(true).build()?;
    let request = || {
        let request = cx.s3.delete_objects().bucket(bucket);
        request.expected_bucket_owner(&cx.env.account).delete(batch.clone()).send()
    };
    let answer = cx.call("s3:DeleteObject", request).await?;
    // S3 answers 200 and lists what it didn't delete. What it didn't manage it is asked for again.
    let passing = ["InternalError", "SlowDown", "ServiceUnavailable"];
    let failed = |error: &&aws_sdk_s3::types::Error| {
        error.code().is_none_or(|code| !passing.contains(&code))
    };
    if let Some(error) = answer.errors().iter().find(failed) {
        let failure = Failure {
            op: "s3:DeleteObject",
            code: error.code().map(ToOwned::to_owned),
            message: error.message().unwrap_or_default().to_owned(),
            status: Some(200),
            request_id: answer.request_id().map(ToOwned::to_owned),
            ..Failure::default()
        };
        let key = error.key().unwrap_or_default().to_owned();
        return Err(Error::new(failure).context(format!("object {key} was not deleted")));
    }
    Ok(())
}

impl Resource<Run> for Bucket {
    const KIND: &'static str = "bucket";
    type Output = BucketName;
    const EARLY: bool = true;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Run) -> Option<BucketName> {
        Some(BucketName(self.name.clone()))
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, BucketName>>> {
        let (name, account) = (&self.name, &cx.env.account);
        let head = || cx.s3.head_bucket().bucket(name).expected_bucket_owner(account).send();
        let live = |owner, props| {
            let output = BucketName(name.clone());
            Some(Live { props, output, id: name.clone(), owner })
        };
        match cx.call("s3:ListBucket", head).await {
            Ok(_) => {}
            Err(failure) if failure.is_missing() => return Ok(None),
            // HEAD has no body: 403 is all that S3 says of a bucket in another account, and of a
            // right that is missing in this one.
            Err(failure) if failure.is_denied() => {
                let whose = format!("it is not in account {account}, or s3:ListBucket is denied");
                let (name, policy) = (name.clone(), Value::Null);
                let encryption = String::new();
                let props = Self { name, public_access_blocked: false, encryption, policy };
                return Ok(live(Owner::Other(whose), props));
            }
            Err(failure) => return Err(failure.into()),
        }
        let (tags, blocked, encryption, policy) = tokio::join!(
            tags(cx, name),
            is_blocked(cx, name),
            encryption(cx, name),
            policy(cx, name)
        );
        let Some(tags) = tags? else { return Ok(None) };
        let props = Self {
            name: name.clone(),
            public_access_blocked: blocked?,
            encryption: encryption?,
            policy: policy?,
        };
        Ok(live(owner(&cx.env, &tags), props))
    }

    async fn create(&self, cx: &Run) -> Result<BucketName> {
        // The lease may have needed it first.
        if !cx.lease.get().is_some_and(|lease| lease.made_bucket)
            && !self.make(cx).await?
            && let Some(live) = self.read(cx).await?
        {
            if live.props.encryption != self.encryption {
                encrypt(cx, &self.name).await?;
            }
            return Ok(live.output);
        }
        Ok(BucketName(self.name.clone()))
    }

    async fn update(&self, _: &Run, live: &Live<Self, BucketName>) -> Result<BucketName> {
        Ok(live.output.clone())
    }

    /// Closes it. A new one is encrypted, and closed to the public, by itself (S3, since 2023); meanwhile
    /// what has to be in it is uploaded. One after the other: S3 refuses parallel changes to one bucket
    /// (OperationAborted).
    async fn settle(
        &self,
        cx: &Run,
        live: Option<&Live<Self, BucketName>>,
        _: &BucketName,
    ) -> Result<()> {
        let is = live.map(|live| &live.props);
        if is.is_none_or(|is| is.public_access_blocked != self.public_access_blocked) {
            self.block_public_access(cx).await?;
        }
        if is.is_some_and(|is| is.encryption != self.encryption) {
            encrypt(cx, &self.name).await?;
        }
        if is.is_none_or(|is| is.policy != self.policy) {
            self.put_policy(cx).await?;
        }
        Ok(())
    }

    /// Empties it while what used it is deleted, and again should something have come late. The lease goes
    /// last, on condition that it is still ours: from then on another run may have the stage, and its lease
    /// is not touched.
    async fn delete(cx: &Run, id: &str) -> Result<()> {
        let (lease, account) = (cx.lease.get(), &cx.env.account);
        let versioned = empty(cx, id, lease.map(|_| lease::KEY)).await?;
        turn().await?;
        if let Some(lease) = lease {
            lease.delete(cx).await?;
        }
        until("S3 to have the bucket empty", EMPTY, async || {
            let request = || cx.s3.delete_bucket().bucket(id).expected_bucket_owner(account).send();
            match cx.call("s3:DeleteBucket", request).await {
                Err(failure) if failure.is("BucketNotEmpty") => {
                    let spare = lease.filter(|_| !versioned).map(|_| lease::KEY);
                    empty(cx, id, spare).await.map(|_| None)
                }
                result => gone(result).map(Some),
            }
        })
        .await
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let name = cx.env.bucket();
        let account = &cx.env.account;
        let head = || cx.s3.head_bucket().bucket(&name).expected_bucket_owner(account).send();
        // Here 403 is a failure: what can't be looked at can't be said to be gone.
        if cx.call("s3:ListBucket", head).await.or_missing()?.is_none() {
            return Ok(vec![]);
        }
        let ours = tags(cx, &name).await?.is_some_and(|tags| is_ours(&cx.env, &tags));
        Ok(ours.then(|| Owned { id: name.clone(), name }).into_iter().collect())
    }
}
