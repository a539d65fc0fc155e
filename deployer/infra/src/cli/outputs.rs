//! `deployer outputs`: what others need to know of a deployed stage.

use super::run::{connect, deployed};
use super::screen::result;
use super::{Common, Exit};
use crate::release::Release;
use crate::run::Run;
use anyhow::Result;
use serde::Serialize;

pub const EXAMPLES: &str = "\
Examples:
  deployer outputs
  deployer outputs --json | jq -r .url";

/// What a deploy ends with. The key itself is never among it.
#[derive(Debug, Serialize)]
pub struct Outputs {
    pub app: String,
    pub stage: String,
    pub region: String,
    pub account: String,
    pub url: String,
    pub rest_api_id: String,
    pub api_key_parameter: String,
    pub version: String,
    pub git_sha: String,
}

impl Outputs {
    pub fn new(aws: &Run, api_id: &str, release: &Release) -> Self {
        let env = aws.env.clone();
        Self {
            url: aws.url(api_id),
            api_key_parameter: env.parameter("api-key"),
            rest_api_id: api_id.to_owned(),
            version: release.version.clone(),
            git_sha: release.git_sha.clone(),
            app: env.app,
            stage: env.stage,
            region: env.region,
            account: env.account,
        }
    }

    /// A call that works as printed, without showing the key.
    pub fn curl(&self, common: &Common) -> String {
        let key = common.command("key show --quiet");
        format!("curl -H \"x-api-key: $({key})\" {}/", self.url)
    }

    pub fn print_json(&self) {
        result(serde_json::to_string_pretty(self).unwrap_or_default());
    }
}

pub async fn run(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let deployed = deployed(common, &aws).await?;
    let outputs = Outputs::new(&aws, &deployed.api, &deployed.release);
    if common.json {
        outputs.print_json();
        return Ok(Exit::Done);
    }
    let table = serde_json::to_value(&outputs)?;
    for (key, value) in table.as_object().into_iter().flatten() {
        result(format!("{key:<18} {}", value.as_str().unwrap_or_default()));
    }
    result(format!("\n{}", outputs.curl(common)));
    Ok(Exit::Done)
}
