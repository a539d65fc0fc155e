//! The requests that change `$LATEST` of a function, from which versions are published.

use super::attached::{Attached, reset};
use super::config::Config;
use super::function::Function;
use super::grant;
use crate::engine::Resource;
use crate::run::Run;
use anyhow::{Context, Result};
use aws_sdk_lambda::types::{Architecture, Runtime};

impl Function {
    /// The description, which names the role where Lambda gives it a grant.
    pub(super) fn description(&self) -> Result<String> {
        let Config { description, environment, role, .. } = &self.config;
        if environment.is_empty() {
            return Ok(description.clone());
        }
        let id = role.get()?.id.as_ref().context("IAM returned no id of the role")?;
        Ok(grant::marked(description, id))
    }

    /// Gives `$LATEST` another role, so that Lambda creates a grant for the right one when that is set. Killed
    /// after this, the next run finds the other role there, and sets the right one.
    pub(super) async fn put_stand_in(&self, cx: &Run) -> Result<()> {
        let role = self.stand_in.create(cx).await?;
        let request = || {
            let request = cx.lambda.update_function_configuration().function_name(&self.name);
            request.role(role.as_str()).send()
        };
        cx.call("lambda:UpdateFunctionConfiguration", request).await?;
        self.settled(cx, None).await
    }

    /// Sets the configuration that the stack declares, and resets `attached` to Lambda's defaults.
    pub(super) async fn update_config(&self, cx: &Run, attached: &Attached) -> Result<()> {
        let (config, logging) = (&self.config, self.config.logging()?);
        let role = config.role.get()?.as_str();
        let description = self.description()?;
        let request = || {
            let request = cx.lambda.update_function_configuration().function_name(&self.name);
            reset(request, attached)
                .description(&description)
                .role(role)
                .runtime(Runtime::from(config.runtime.as_str()))
                .handler(&config.handler)
                .memory_size(config.memory_mb)
                .timeout(config.timeout_seconds)
                .environment(config.environment())
                .tracing_config(config.tracing())
                .logging_config(logging.clone())
                .send()
        };
        cx.call("lambda:UpdateFunctionConfiguration", request).await?;
        Ok(())
    }

    /// Gives the version that Lambda published of it.
    pub(super) async fn update_code(&self, cx: &Run) -> Result<Option<String>> {
        let (bucket, key) = (self.bucket.get()?.as_str(), self.artifact.get()?.as_str());
        let request = || {
            let request = cx.lambda.update_function_code().function_name(&self.name);
            let request = request.s3_bucket(bucket).s3_key(key);
            let request =
                request.architectures(Architecture::from(self.config.architecture.as_str()));
            request.publish(true).send()
        };
        Ok(cx.call("lambda:UpdateFunctionCode", request).await?.version)
    }
}
