//! `deployer key show`: the one way to see the API key.

use super::run::connect;
use super::screen::result;
use super::{Common, Exit};
use crate::resources::SecretParameter;
use anyhow::Result;

pub const EXAMPLES: &str = "\
Example:
  curl -H \"x-api-key: $(deployer key show)\" \"$(deployer outputs --json | jq -r .url)/health\"";

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print the key's value on stdout
    Show,
}

pub async fn show(common: &Common) -> Result<Exit> {
    let aws = connect(common).await?;
    let key = SecretParameter::value(&aws, &aws.env.parameter("api-key")).await?;
    result(key.reveal());
    Ok(Exit::Done)
}
