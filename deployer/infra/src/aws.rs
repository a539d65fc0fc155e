//! The way to AWS: one client a service from one configuration, and AWS's errors in one shape.
//!
//! Every call goes through [`Aws::call`], which paces and retries by the tables in `retry.rs`. The
//! SDK's own retries are off: they know neither API Gateway's quotas nor which creates must not be
//! sent twice.

use crate::app::App;
use crate::engine::{Secret, Stop};
use crate::env::Env;
use crate::http::{self, Clock};
use crate::retry::{Outage, Pacer};
use anyhow::{Context, Result, bail};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

mod endpoints;
mod profile;
mod settings;

use endpoints::Endpoints;

pub use crate::failure::{Failure, Missing, Secrets};
pub use endpoints::{BadEndpoint, clock_url};
pub use profile::{BadConfigFile, NeedsMfa, NoProfile, file_names};
pub use settings::{NoRegion, expiry};

/// How long an upload may take; everything else has a minute.
pub const UPLOAD: Duration = Duration::from_secs(900);

/// Where the local cloud listens, unless `AWS_ENDPOINT_URL` says otherwise.
pub const LOCAL_ENDPOINT: &str = "http://127.0.0.1:4566";

/// Which account, and how to get in. By default as every AWS tool does: environment, profiles, SSO.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub region: Option<String>,
    pub profile: Option<String>,
    /// The local cloud instead of AWS.
    pub local: Option<Local>,
    /// Hears of every request: operation, time, and what went wrong.
    pub trace: Option<Trace>,
    /// Stands between this program and the network: a recorder, or something that breaks requests.
    pub http: Option<SharedHttpConnector>,
    /// Another clock than the system's.
    pub clock: Option<SharedTimeSource>,
    /// Asks the run to stop, as Ctrl-C does.
    pub stop: Stop,
    /// Tells when no request is answered any more, and whether something was changed by then.
    pub outage: Outage,
    /// Whether AWS's quotas set the pace. By default they do but for a cloud on this machine, which has none.
    pub quotas: Option<bool>,
}

/// The local cloud, where nobody needs credentials and an access key of twelve digits is an
/// account of its own.
#[derive(Clone, Debug)]
pub struct Local {
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
}

impl Default for Local {
    /// Where `AWS_ENDPOINT_URL` says, or where `cargo xtask local up` puts it.
    fn default() -> Self {
        let endpoint = std::env::var("AWS_ENDPOINT_URL");
        Self {
            endpoint: endpoint.unwrap_or_else(|_| LOCAL_ENDPOINT.to_owned()),
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
        }
    }
}

pub type Trace = fn(&str, Duration, Option<&Failure>);

/// What resources need to reach AWS.
pub struct Aws {
    pub env: Env,
    /// Short names of the functions that the stack declares.
    pub functions: BTreeSet<&'static str>,
    /// Who the credentials are, as STS says it: an ARN.
    pub caller: String,
    /// Where API Gateway is, if it isn't AWS's: the local cloud, or something before it.
    pub endpoint: Option<String>,
    /// Which services aren't AWS's, in a few words.
    pub elsewhere: Option<String>,
    /// The domain of the region's services: `amazonaws.com`.
    suffix: String,
    pub apigateway: aws_sdk_apigateway::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub iam: aws_sdk_iam::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub s3: aws_sdk_s3::Client,
    pub ssm: aws_sdk_ssm::Client,
    /// For the API's own door.
    pub http: SharedHttpConnector,
    /// AWS's time, and how far ours is from it.
    pub clock: Clock,
    /// What errors must not repeat.
    pub secrets: Secrets,
    pacer: Pacer,
    /// Which nobody can stop.
    last: Pacer,
}

impl Aws {
    /// Finds credentials and region by the standard chain, and asks STS whose they are.
    ///
    /// # Errors
    /// No region, no credentials, expired ones, an endpoint that doesn't answer, a clock that is
    /// wrong.
    pub async fn connect(access: &Access, app: &App, stage: &str) -> Result<Self> {
        let clock = Clock::new(access.clock.clone().unwrap_or_default());
        let http = clock.heard_from(access.http.clone().unwrap_or_else(http::connector));
        let profiles = profile::read(access).await?;
        let config = settings::load(access, &http).await;
        let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
        let Some(region) = region else { bail!(NoRegion(profile::described(profiles.as_ref()))) };
        let suffix = endpoints::suffix(&region).await;
        let endpoints = Endpoints::of(&config, &suffix)?;
        let here = access.local.is_some() || endpoints.are_on_this_machine();
        let paced = access.quotas.unwrap_or(!here);
        let pacer = |stop| Pacer::new(access.trace, stop, access.outage.clone(), paced);
        let (pacer, last) = (pacer(access.stop.clone()), pacer(Stop::default()));
        let secrets = Secrets::default();
        let sts = aws_sdk_sts::Client::new(&config);
        let whose = || sts.get_caller_identity().send();
        let who = call(&pacer, &secrets, "sts:GetCallerIdentity", false, whose).await;
        // With a wrong clock STS refuses the signature, or the next service will.
        clock.check()?;
        let who = who.map_err(|failure| {
            let mfa = profiles.as_ref().filter(|_| failure.unsigned);
            let error = anyhow::Error::from(failure);
            let error = match mfa.and_then(|profiles| profile::needs_mfa(profiles, &region)) {
                Some(mfa) => error.context(mfa),
                None => error,
            };
            error.context("asking AWS whose credentials these are")
        })?;
        let account = who.account().unwrap_or_default().to_owned();
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            bail!("asking AWS whose credentials these are: it named no account, but {account:?}");
        }
        let caller = who.arn.unwrap_or_default();
        let partition = caller.split(':').nth(1).unwrap_or("aws").to_owned();
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(endpoints.of_service("S3").is_some())
            .build();
        Ok(Self {
            env: Env {
                app: app.name.to_owned(),
                stage: stage.to_owned(),
                region,
                account,
                partition,
            },
            functions: app.functions(),
            caller,
            endpoint: endpoints.of_service("API Gateway").map(ToOwned::to_owned),
            elsewhere: endpoints.described(),
            suffix,
            apigateway: aws_sdk_apigateway::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            ssm: aws_sdk_ssm::Client::new(&config),
            http: access.outage.watched(http),
            clock,
            secrets,
            pacer,
            last,
        })
    }

    /// Once it is asked, nothing more is sent to AWS but what gives the lease back.
    pub fn stop(&self) -> &Stop {
        &self.pacer.stop
    }

    /// Whether AWS's quotas set the pace of this run.
    pub fn is_paced(&self) -> bool {
        self.pacer.is_paced()
    }

    /// What this run knows of its connection.
    pub fn outage(&self) -> &Outage {
        &self.pacer.outage
    }

    /// Sends a request, when AWS's quotas allow and as often as `retry.rs` deems useful. `op` is
    /// the operation as IAM writes it: `lambda:CreateFunction`.
    pub async fn call<T, E, F>(&self, op: &'static str, send: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.noted(op, Box::pin(call(&self.pacer, &self.secrets, op, false, send)).await)
    }

    /// The same, for requests about something that was made a moment ago: that AWS doesn't know it
    /// is no answer yet.
    pub async fn call_new<T, E, F>(
        &self,
        op: &'static str,
        send: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.noted(op, Box::pin(call(&self.pacer, &self.secrets, op, true, send)).await)
    }

    /// Notes a request that may have changed the stage.
    fn noted<T>(&self, op: &str, result: Result<T, Failure>) -> Result<T, Failure> {
        let reads = ["Get", "List", "Head", "Describe", "Filter", "Invoke", "Test", "Simulate"];
        let verb = op.split_once(':').map_or(op, |(_, verb)| verb);
        let done = result.as_ref().err().is_none_or(|failure| failure.ambiguous);
        if done && !reads.iter().any(|read| verb.starts_with(read)) {
            self.pacer.outage.note_change();
        }
        result
    }

    /// The same, whether or not the run was asked to stop. The lease, stages and aliases are written by this.
    pub async fn call_last<T, E, F>(
        &self,
        op: &'static str,
        new: bool,
        send: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let result = Box::pin(call(&self.last, &self.secrets, op, new, send)).await;
        // The lease is in S3, and is no change of the stage.
        if op.starts_with("s3:") { result } else { self.noted(op, result) }
    }

    /// Where callers reach a stage of an API, without a slash at the end. An API that isn't AWS's is never looked
    /// for at AWS, where its id may be another account's and the key would be sent to that.
    pub fn url(&self, api_id: &str) -> String {
        let stage = &self.env.stage;
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/_aws/execute-api/{api_id}/{stage}"),
            None => {
                let (region, suffix) = (&self.env.region, &self.suffix);
                format!("https://{api_id}.execute-api.{region}.{suffix}/{stage}")
            }
        }
    }
}

/// Its future is large, as the SDK's are, and so is boxed by its callers: they are nested deeply.
async fn call<T, E, F>(
    pacer: &Pacer,
    secrets: &Secrets,
    op: &'static str,
    new: bool,
    send: impl Fn() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let sent = || async { send().await.map_err(|error| Failure::new(op, &error, secrets)) };
    pacer.run(op, new, sent).await
}

/// Forty random letters and digits: an API key that AWS accepts (20 to 128 characters) and nobody
/// guesses (238 bits).
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn random_key() -> Result<Secret> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut key = String::new();
    while key.len() < 40 {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).context("asking the operating system for randomness")?;
        // Bytes beyond the last whole alphabet would make some letters likelier: drop them.
        let fair = bytes.iter().filter(|&&byte| usize::from(byte) < 256 / 62 * 62);
        key.extend(
            fair.map(|&byte| char::from(ALPHABET[usize::from(byte) % 62])).take(40 - key.len()),
        );
    }
    Ok(Secret::new(key))
}
