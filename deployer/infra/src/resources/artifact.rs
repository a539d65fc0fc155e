//! A function's package in the staging bucket, named by what is in it.

use super::bucket::Bucket;
use crate::aws::{Missing, UPLOAD};
use crate::engine::{Action, Live, Owner, Plan, Resource, Value};
use crate::ids::{ArtifactKey, BucketName};
use crate::release::{Package, Release};
use crate::run::Run;
use anyhow::{Context, Result, bail};
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use futures_util::future::join_all;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// Once there it never changes, so it is uploaded once however often it is deployed. It goes with
/// the last release that needs it (`prune.rs`), or with its bucket.
#[derive(Debug, Serialize)]
pub struct Artifact {
    pub bucket: Value<BucketName>,
    #[serde(skip)]
    pub function: String,
    #[serde(skip)]
    pub package: Package,
}

/// So many are in memory at once: they share one line to AWS anyway.
static UPLOADS: Semaphore = Semaphore::const_new(4);

/// Under which all packages lie.
pub(super) const PREFIX: &str = "artifacts/";

/// Where a function's package lies.
pub(super) fn key(function: &str, package: &Package) -> String {
    format!("{PREFIX}{function}/{}.zip", package.sha256)
}

/// Uploads what a run is about to upload, while it takes the lease: a package is named by what it is and
/// never changes, so nobody can be in its way. What fails is tried again, and told, in its turn.
pub async fn upload_ahead(cx: &Run, release: &Release, plan: &Plan) {
    let creates = |kind, name: &str| {
        plan.steps.iter().any(|s| s.action == Action::Create && s.kind == kind && s.name == name)
    };
    let bucket = cx.env.bucket();
    if creates(Bucket::KIND, &bucket) {
        return;
    }
    let artifact = |function: &str| Artifact {
        bucket: BucketName(bucket.clone()).into(),
        function: function.to_owned(),
        package: release.package(function),
    };
    let artifacts = release.functions().map(artifact);
    let created = artifacts.filter(|artifact| creates(Artifact::KIND, &artifact.name()));
    let uploads = created.map(async |artifact| artifact.create(cx).await.ok());
    let uploaded = join_all(uploads).await.into_iter().flatten().map(|ArtifactKey(key)| key);
    cx.lists.seen().uploaded.extend(uploaded);
}

impl Artifact {
    fn key(&self) -> String {
        key(&self.function, &self.package)
    }
}

impl Resource<Run> for Artifact {
    const KIND: &'static str = "artifact";
    type Output = ArtifactKey;

    fn name(&self) -> String {
        let sha256 = &self.package.sha256;
        format!("{}/{}", self.function, sha256.get(..12).unwrap_or("…"))
    }

    fn foretell(&self, _: &Run) -> Option<ArtifactKey> {
        Some(ArtifactKey(self.key()))
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ArtifactKey>>> {
        let Some(bucket) = self.bucket.known() else { return Ok(None) };
        let (key, account) = (self.key(), &cx.env.account);
        let request = || {
            let request = cx.s3.head_object().bucket(bucket.as_str()).key(&key);
            request.expected_bucket_owner(account).send()
        };
        let found = match cx.call("s3:GetObject", request).await {
            // A bucket in another account is reported by the bucket itself.
            Err(failure) if failure.is_denied() => None,
            result => result.or_missing()?,
        };
        Ok(found.map(|_| Live {
            props: Self {
                bucket: self.bucket.clone(),
                function: self.function.clone(),
                package: self.package.clone(),
            },
            output: ArtifactKey(key.clone()),
            id: key,
            owner: Owner::Ours,
        }))
    }

    async fn create(&self, cx: &Run) -> Result<ArtifactKey> {
        if cx.lists.seen().uploaded.contains(&self.key()) {
            return Ok(ArtifactKey(self.key()));
        }
        let _place = UPLOADS.acquire().await;
        let Some(file) = &self.package.file else { bail!("its package is not on this machine") };
        let zip = tokio::fs::read(file)
            .await
            .with_context(|| format!("reading package {}", file.display()))?;
        // It was right when the plan was made; somebody may have built since.
        let hash: String = Sha256::digest(&zip).iter().map(|byte| format!("{byte:02x}")).collect();
        if hash != self.package.sha256 {
            bail!("{} has changed since the plan was made; run again", file.display());
        }
        let zip = SdkBody::from(zip); // whose copies share the bytes
        let (bucket, key) = (self.bucket.get()?.as_str(), self.key());
        let request = || {
            let request = cx.s3.put_object().bucket(bucket).key(&key);
            let request = request.expected_bucket_owner(&cx.env.account);
            let body = zip.try_clone().unwrap_or_else(SdkBody::taken);
            let request = request.content_type("application/zip").body(ByteStream::new(body));
            let patient = TimeoutConfig::builder().operation_attempt_timeout(UPLOAD).build();
            let patient = aws_sdk_s3::config::Builder::new().timeout_config(patient);
            request.customize().config_override(patient).send()
        };
        cx.call_new("s3:PutObject", request).await?;
        Ok(ArtifactKey(key))
    }

    async fn update(&self, _: &Run, live: &Live<Self, ArtifactKey>) -> Result<ArtifactKey> {
        Ok(live.output.clone())
    }

    async fn delete(_: &Run, _: &str) -> Result<()> {
        Ok(())
    }
}
