//! How a function is configured: what a published version keeps for good.

use super::attached::{Attached, attached};
use super::grant;
use crate::engine::{Secret, Value};
use crate::ids::{LogGroupName, RoleArn};
use anyhow::Result;
use aws_sdk_lambda::types::{
    Environment, FunctionConfiguration, LogFormat, LoggingConfig, Runtime, TracingConfig,
    TracingMode,
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    pub description: String,
    pub role: Value<RoleArn>,
    pub log_group: Value<LogGroupName>,
    pub runtime: String,
    pub handler: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    pub memory_mb: i32,
    pub timeout_seconds: i32,
    pub environment: BTreeMap<String, String>,
    /// Whether X-Ray gets a sample of the calls.
    pub traced: bool,
    /// Configuration that was attached by hand. The stack declares none, so a deploy resets it.
    #[serde(flatten)]
    pub attached: Attached,
}

impl Config {
    /// Variables that nobody of us declared may be somebody's secret: they show as hashes. `known` are
    /// the declared ones.
    pub(super) fn of(
        live: &FunctionConfiguration,
        name: &str,
        known: &BTreeMap<String, String>,
    ) -> Self {
        let shown = |(name, value): (String, String)| match known.contains_key(&name) {
            true => (name, value),
            false => (name, Secret::new(value).to_string()),
        };
        let variables = live.environment().and_then(|environment| environment.variables());
        let logging = live.logging_config().and_then(LoggingConfig::log_group);
        let log_group = logging.map_or_else(|| format!("/aws/lambda/{name}"), ToOwned::to_owned);
        Self {
            description: grant::unmarked(live.description().unwrap_or_default()).0.to_owned(),
            role: RoleArn::new(live.role().unwrap_or_default()).into(),
            log_group: LogGroupName(log_group).into(),
            runtime: live.runtime().map_or("", Runtime::as_str).to_owned(),
            handler: live.handler().unwrap_or_default().to_owned(),
            architecture: live.architectures().first().map_or("x86_64", |a| a.as_str()).to_owned(),
            memory_mb: live.memory_size().unwrap_or_default(),
            timeout_seconds: live.timeout().unwrap_or_default(),
            environment: variables.cloned().unwrap_or_default().into_iter().map(shown).collect(),
            traced: live.tracing_config().and_then(|t| t.mode()) == Some(&TracingMode::Active),
            attached: attached(live),
        }
    }

    /// Sent whole: an empty `Variables` clears them, an absent one wouldn't.
    pub(super) fn environment(&self) -> Environment {
        Environment::builder()
            .set_variables(Some(self.environment.clone().into_iter().collect()))
            .build()
    }

    pub(super) fn tracing(&self) -> TracingConfig {
        let mode = if self.traced { TracingMode::Active } else { TracingMode::PassThrough };
        TracingConfig::builder().mode(mode).build()
    }

    pub(super) fn logging(&self) -> Result<LoggingConfig> {
        let logging = LoggingConfig::builder().log_format(LogFormat::Text);
        Ok(logging.log_group(self.log_group.get()?.as_str()).build())
    }
}
