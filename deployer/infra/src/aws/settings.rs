//! What the SDK is set up with: region, credentials and endpoints by AWS's standard chain, and timeouts.

use super::{Access, Local};
use crate::http;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector, http_client_fn};
use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

/// The local cloud's region, unless `--region` names another.
const LOCAL_REGION: &str = "ap-southeast-2";

/// When the credentials end, where they do: those of SSO, and of roles.
pub async fn expiry(access: &Access) -> Option<SystemTime> {
    let config = load(access, &access.http.clone().unwrap_or_else(http::connector)).await;
    config.credentials_provider()?.provide_credentials().await.ok()?.expiry()
}

/// Settings from `access`, the environment and the profile.
pub async fn load(access: &Access, http: &SharedHttpConnector) -> SdkConfig {
    // A half-open connection would otherwise hang for ever: the SDK sets no read timeout.
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(60)).build();
    // The default grace of 5 s fails uploads over slow lines.
    let stalled = StalledStreamProtectionConfig::enabled().grace_period(Duration::from_secs(30));
    let http = http.clone();
    let http = http_client_fn(move |_, _| http.clone());
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .timeout_config(timeouts)
        .stalled_stream_protection(stalled.build())
        .retry_config(RetryConfig::disabled());
    if let Some(Local { endpoint, access_key, secret_key }) = &access.local {
        loader = loader
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "local"))
            .region(Region::new(LOCAL_REGION));
    }
    if let Some(clock) = &access.clock {
        loader = loader.time_source(clock.clone());
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &access.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    match (&access.local, &access.profile) {
        (None, Some(profile)) => by_profile(config, profile, http),
        _ => config,
    }
}

/// A profile that was asked for by name counts more than keys in the environment, as it does for
/// the AWS CLI. The SDK looks there first, and would quietly work in another account.
fn by_profile(config: SdkConfig, profile: &str, http: SharedHttpClient) -> SdkConfig {
    let provider = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_http_client(http);
    let credentials = ProfileFileCredentialsProvider::builder()
        .configure(&provider)
        .profile_name(profile)
        .build();
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

/// Neither a flag, nor the environment, nor the profile names a region. Holds the profile and its files, for people.
#[derive(Debug)]
pub struct NoRegion(pub String);

impl fmt::Display for NoRegion {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("no region is set")
    }
}

impl Error for NoRegion {}
