//! A Lambda function and its published versions. Which of them serves is the stage's to say.

use super::attached::check_resettable;
use super::concurrency::reserve;
use super::config::Config;
use super::foreign_access::{ForeignAccess, of_function};
use super::grant::{self, Identity};
use super::history::{self, Served};
use super::live_function::{Found, get, get_config};
use super::ownership::{adopt, gone, is_ours, owner};
use super::role;
use super::role::Role;
use super::versions::{number, served, versions};
use crate::aws::Failure;
use crate::engine::{Live, Owned, Resource, Value};
use crate::env::ALIAS;
use crate::ids::{ArtifactKey, BucketName, RoleArn, Version};
use crate::retry::{Made, Unfinished, make_or_adopt, until};
use crate::run::Run;
use anyhow::{Context, Result, bail};
use aws_sdk_lambda::types::{
    Architecture, FunctionCode, FunctionConfiguration, LastUpdateStatus, Runtime, State,
};
use futures_util::future::try_join_all;
use serde::Serialize;
use std::time::Duration;

/// Long enough for Lambda's slowest preparation of a small zip.
const PREPARATION: Duration = Duration::from_secs(120);

/// What is wanted of `$LATEST`, and that it is published.
#[derive(Debug, Serialize)]
pub struct Function {
    #[serde(skip)]
    pub name: String,
    #[serde(flatten)]
    pub config: Config,
    /// The package, as Lambda names it: base64 of its SHA-256.
    pub code: String,
    /// Whether a version equals what is configured.
    pub published: bool,
    /// The alias that the API calls. Made with the function, before anything calls it.
    pub alias: Option<String>,
    /// Of a live one: whether Lambda has carried out every change, and well.
    #[serde(skip)]
    pub settled: bool,
    /// So many calls of it may run at once, whatever else does in the account, and no more. Zero: none, which
    /// turns it off. None: as many as the account has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_concurrency: Option<i32>,
    /// None is wanted. Of a live one, what is to be removed.
    pub foreign: ForeignAccess,
    #[serde(skip)]
    pub bucket: Value<BucketName>,
    #[serde(skip)]
    pub artifact: Value<ArtifactKey>,
    /// Takes the place of its role for a moment, where that must be set anew.
    #[serde(skip)]
    pub stand_in: Role,
}

impl Function {
    /// Waits until nothing is in progress, whatever came of it: a new update mends a failed one.
    async fn idle(&self, cx: &Run, version: Option<&str>) -> Result<FunctionConfiguration> {
        until(&format!("Lambda to prepare {}", self.name), PREPARATION, async || {
            // Made a moment ago, it may not be seen everywhere yet.
            let found = get_config(cx, &self.name, version).await?;
            if found.as_ref().is_some_and(is_deleting) {
                bail!(Unfinished(format!("{} is being deleted by something else", self.name)));
            }
            // Any other state, known or not, is one in which Lambda takes requests, or says why it doesn't.
            let busy = |config: &FunctionConfiguration| {
                config.state() == Some(&State::Pending)
                    || config.last_update_status() == Some(&LastUpdateStatus::InProgress)
            };
            Ok(found.filter(|config| !busy(config)))
        })
        .await
    }

    /// Waits until Lambda has carried out the last change, and fails if it couldn't.
    pub(super) async fn settled(&self, cx: &Run, version: Option<&str>) -> Result<()> {
        let config = self.idle(cx, version).await?;
        if config.state() == Some(&State::Failed) {
            let (name, reason) = (&self.name, reason(&config));
            bail!(Unfinished(format!("Lambda could not prepare {name}: {reason}")));
        }
        if config.last_update_status() == Some(&LastUpdateStatus::Failed) {
            let (name, reason) = (&self.name, reason(&config));
            bail!(Unfinished(format!("Lambda could not update {name}: {reason}")));
        }
        Ok(())
    }

    /// Publishes what is configured. May be repeated: what hasn't changed gives the version that is
    /// there.
    async fn publish(&self, cx: &Run) -> Result<Version> {
        self.settled(cx, None).await?;
        let name = &self.name;
        let publish =
            || cx.lambda.publish_version().function_name(name).code_sha256(&self.code).send();
        let version =
            cx.call_new("lambda:PublishVersion", publish).await?.version.unwrap_or_default();
        self.name_served(cx, &version).await?;
        Ok(Version(version))
    }

    /// The version that Lambda published along with a change; where it didn't, it is published now.
    async fn published(&self, cx: &Run, version: Option<String>) -> Result<Version> {
        let is_number = |version: &String| version.parse::<u64>().is_ok();
        match version.filter(is_number) {
            Some(version) => Ok(Version(version)),
            None => self.publish(cx).await,
        }
    }

    /// Makes the alias, if there is none. The first version serves once the stage has a route to it; an
    /// alias that somebody deleted comes back as it is on record.
    async fn name_served(&self, cx: &Run, version: &str) -> Result<()> {
        let name = &self.name;
        if served(cx, name).await?.is_some() {
            return Ok(());
        }
        let records = history::known(cx);
        let on_record = history::current(&records)
            .and_then(|current| current.functions.get(name.strip_prefix(&cx.env.function(""))?));
        let there = versions(cx, name).await?;
        let is_there = |served: &&Served| {
            there.iter().any(|version| version.version() == Some(&served.version))
        };
        let version = on_record.filter(is_there).map_or(version, |served| &served.version);
        self.make_alias(cx, version).await
    }

    async fn make_alias(&self, cx: &Run, version: &str) -> Result<()> {
        let create = || {
            let request = cx.lambda.create_alias().function_name(&self.name).name(ALIAS);
            request.function_version(version).send()
        };
        match cx.call_new("lambda:CreateAlias", create).await {
            Err(failure) if failure.says("already exists") => {} // an answer was lost
            result => drop(result?),
        }
        Ok(())
    }

    /// Whether callers are served by it, or can be again: its alias names a version that could be prepared, or it
    /// has more than the one version that it was created with.
    async fn serves(&self, cx: &Run) -> Result<bool> {
        let (live, versions) =
            tokio::try_join!(get_config(cx, &self.name, Some(ALIAS)), versions(cx, &self.name))?;
        let prepared = live.is_some_and(|live| live.state() != Some(&State::Failed));
        Ok(prepared || versions.len() > 1)
    }

    /// The role that it is to have, if that exists.
    async fn role(&self, cx: &Run) -> Result<Option<Identity>> {
        match self.config.role.known() {
            Some(arn) => role::identity(cx, arn.as_str()).await,
            None => Ok(None),
        }
    }
}

fn is_deleting(config: &FunctionConfiguration) -> bool {
    config.state() == Some(&State::Deleting)
}

fn reason(config: &FunctionConfiguration) -> String {
    let reasons = [config.state_reason(), config.last_update_status_reason()];
    reasons.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl Resource<Run> for Function {
    const KIND: &'static str = "function";
    type Output = Version;
    const MOVES: bool = true;

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, Version>>> {
        let name = &self.name;
        let (latest, versions, served, role, foreign) = tokio::join!(
            get(cx, name),
            versions(cx, name),
            served(cx, name),
            self.role(cx),
            of_function(cx, name)
        );
        // One that is being deleted is gone; its name is waited for when it is created again.
        let found = latest?.filter(|found| !is_deleting(&found.config));
        let Some(found) = found else { return Ok(None) };
        let Found { config: latest, tags, reserved_concurrency } = found;
        let (versions, served, role) = (versions?, served?, role?);
        let is_void = |config: &FunctionConfiguration| {
            let wanted = self.config.role.known().map(RoleArn::as_str);
            wanted.is_some() && config.role() == wanted && grant::is_void(config, role.as_ref())
        };
        let known = &self.config.environment;
        let mut config = Config::of(&latest, name, known);
        let mut code = latest.code_sha256().unwrap_or_default().to_owned();
        let published = |config: &Config, code: &str| {
            let same = |version: &&FunctionConfiguration| {
                Config::of(version, name, known) == *config
                    && version.code_sha256() == Some(code)
                    && !is_void(version)
            };
            versions.iter().filter(same).filter_map(number).max()
        };
        let mut version = published(&config, &code);
        // What is configured is a release of ours, but what is wanted is an earlier one: it is there.
        if version.is_some()
            && let Some(earlier) = published(&self.config, &self.code)
        {
            (config, code) = (self.config.clone(), self.code.clone());
            version = Some(earlier);
        }
        if is_void(&latest) {
            config.role = config.role.map(|arn| grant::noted(&arn, role.is_some()));
        }
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: Version(version.map(|number| number.to_string()).unwrap_or_default()),
            id: name.clone(),
            props: Self {
                name: name.clone(),
                config,
                code,
                published: version.is_some() && latest.state() != Some(&State::Failed),
                alias: served.map(|_| ALIAS.to_owned()),
                settled: latest.state() == Some(&State::Active)
                    && latest.last_update_status() == Some(&LastUpdateStatus::Successful),
                reserved_concurrency,
                foreign: foreign?.removed_by(cx, &format!("function {name}")),
                bucket: self.bucket.clone(),
                artifact: self.artifact.clone(),
                stand_in: self.stand_in.clone(),
            },
        }))
    }

    async fn create(&self, cx: &Run) -> Result<Version> {
        let (config, logging) = (&self.config, self.config.logging()?);
        let role = config.role.get()?.as_str();
        let description = self.description()?;
        let code = FunctionCode::builder()
            .s3_bucket(self.bucket.get()?.as_str())
            .s3_key(self.artifact.get()?.as_str())
            .build();
        let request = || {
            let request = cx.lambda.create_function().function_name(&self.name).code(code.clone());
            request
                .description(&description)
                .role(role)
                .runtime(Runtime::from(config.runtime.as_str()))
                .handler(&config.handler)
                .architectures(Architecture::from(config.architecture.as_str()))
                .memory_size(config.memory_mb)
                .timeout(config.timeout_seconds)
                .environment(config.environment())
                .tracing_config(config.tracing())
                .logging_config(logging.clone())
                .set_tags(Some(cx.env.tags().into_iter().collect()))
                .publish(true)
                .send()
        };
        let make = || cx.call("lambda:CreateFunction", request);
        let exists = |failure: &Failure| failure.says("already exist");
        let created = match make_or_adopt(make, exists, || adopt(self, cx)).await? {
            Made::Adopted(version) => return Ok(version),
            Made::New(created) => created,
        };
        if self.reserved_concurrency.is_some() {
            reserve(cx, &self.name, self.reserved_concurrency).await?;
        }
        let publish = async {
            let version = self.published(cx, created.version).await?;
            self.make_alias(cx, version.as_str()).await?;
            Ok::<_, anyhow::Error>(version)
        };
        publish.await.context("it was made, but is not published yet")
    }

    /// First the configuration, then the code, then a version of both. Callers get the old version,
    /// whole, until the stage moves.
    async fn update(&self, cx: &Run, live: &Live<Self, Version>) -> Result<Version> {
        let is = &live.props;
        check_resettable(&self.name, &is.config.attached)?;
        is.foreign.remove(cx, &self.name).await?;
        if is.reserved_concurrency != self.reserved_concurrency {
            reserve(cx, &self.name, self.reserved_concurrency).await?;
        }
        if is.published && is.code == self.code && is.config == self.config {
            self.name_served(cx, live.output.as_str()).await?;
            return Ok(live.output.clone());
        }
        let moves = is.config.architecture != self.config.architecture;
        // The architecture travels with the code.
        let same_but_architecture =
            Config { architecture: self.config.architecture.clone(), ..is.config.clone() };
        let mut failed = false;
        if !is.settled {
            let now = self.idle(cx, None).await?;
            failed = now.last_update_status() == Some(&LastUpdateStatus::Failed);
            if now.state() == Some(&State::Failed) {
                // No update mends this: "you must delete and recreate" (Lambda function states).
                if self.serves(cx).await? {
                    let (name, reason) = (&self.name, reason(&now));
                    bail!(
                        "Lambda could not prepare {name}: {reason}; it isn't deleted, because its \
                         versions may serve; delete it by hand if they don't, then deploy again"
                    );
                }
                Self::delete(cx, &self.name).await?;
                Self::gone(cx, &self.name).await?;
                bail!("Lambda could not prepare it, so it was deleted; deploy again to create it");
            }
        }
        let is_void = is.config.role.known().is_some_and(grant::is_noted);
        let renews = is_void && !self.config.environment.is_empty();
        if renews {
            self.put_stand_in(cx).await?;
        }
        if failed || same_but_architecture != self.config {
            self.update_config(cx, &is.config.attached).await?;
            self.idle(cx, None).await?;
        }
        if renews {
            Role::delete(cx, &self.stand_in.name).await?;
        }
        if is.code == self.code && !moves {
            return self.publish(cx).await;
        }
        let published = self.update_code(cx).await?;
        let version = self.published(cx, published).await?;
        if is.alias.is_none() {
            self.name_served(cx, version.as_str()).await?;
        }
        Ok(version)
    }

    /// Until Lambda has prepared the version. Meanwhile it can have its permission, and be called: Lambda
    /// answers when it is prepared.
    async fn settle(
        &self,
        cx: &Run,
        _: Option<&Live<Self, Version>>,
        version: &Version,
    ) -> Result<()> {
        self.settled(cx, Some(version.as_str())).await
    }

    /// Without a qualifier: all versions and aliases go with it.
    async fn delete(cx: &Run, id: &str) -> Result<()> {
        let request = || cx.lambda.delete_function().function_name(id).send();
        gone(cx.call("lambda:DeleteFunction", request).await)
    }

    /// Its log group must not meet a last invocation.
    async fn gone(cx: &Run, id: &str) -> Result<()> {
        // Twice, for Lambda may know it on one machine and not on the next.
        until("Lambda to forget the function", PREPARATION, async || {
            let seen = async || Ok::<_, anyhow::Error>(get_config(cx, id, None).await?.is_some());
            let (once, again) = tokio::try_join!(seen(), seen())?;
            Ok((!once && !again).then_some(()))
        })
        .await
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let prefix = cx.env.function("");
        let (mut names, mut marker) = (vec![], None);
        loop {
            let request = || cx.lambda.list_functions().set_marker(marker.clone()).send();
            let page = cx.call("lambda:ListFunctions", request).await?;
            let found = page.functions().iter().filter_map(FunctionConfiguration::function_name);
            names.extend(found.filter(|name| name.starts_with(&prefix)).map(ToOwned::to_owned));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        let owned = names.into_iter().map(async |name| {
            let ours = get(cx, &name).await?.is_some_and(|found| is_ours(&cx.env, &found.tags));
            Ok::<_, anyhow::Error>(ours.then(|| Owned { id: name.clone(), name }))
        });
        Ok(try_join_all(owned).await?.into_iter().flatten().collect())
    }
}
