//! `deployer policy`: the rights that the deployer needs, as IAM takes them.

use super::explain::Preflight;
use super::run::connect;
use super::screen::{CHANGED, paint, result, say};
use super::{Common, Exit};
use crate::aws::{Failure, NoRegion};
use crate::env::Env;
use crate::rights::{Mode, policies};
use crate::stack::APP;
use anyhow::{Context, Error, Result};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

pub const EXAMPLES: &str = "\
One object of several policies by name, for IAM takes at most 6,144 characters in one: all that is
about a service is in one of them. They are for the account and region of the credentials, which
need no rights for this; without any, ACCOUNT and REGION stand where yours belong. They hold for one
stage.

Examples:
  deployer policy | jq 'keys'                    deploy, rollback, and all that reads
  deployer --stage prod policy --mode destroy
  deployer policy --mode all                     all of these: what `ci-role` gives a role
  deployer policy --mode ci-role                 what making that role takes
  deployer policy --mode read                    plan, status, outputs, …; the key, too
  deployer policy --out policies                 a file for each, whose paths are printed
  for file in policies/*.json; do
    aws iam create-policy --policy-name \"ops-api-dev-$(basename $file .json)\" \\
      --policy-document \"file://$file\"
  done";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What they are for
    #[arg(long, value_enum, default_value = "deploy")]
    mode: Mode,
    /// Write each to a file NAME.json in this directory instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let env = match connect(common).await {
        Ok(aws) => aws.env,
        Err(error) if is_unanswered(&error) => placeholders(common)?,
        Err(error) => return Err(error),
    };
    let policies = policies(&env, args.mode);
    let Some(directory) = &args.out else {
        result(format!("{:#}", json!(policies)));
        return Ok(Exit::Done);
    };
    fs::create_dir_all(directory)
        .with_context(|| format!("creating directory {}", directory.display()))?;
    for (name, document) in policies {
        let path = directory.join(format!("{name}.json"));
        fs::write(&path, format!("{document:#}\n"))
            .with_context(|| format!("writing {}", path.display()))?;
        result(path.display());
    }
    Ok(Exit::Done)
}

/// Without credentials, or without a region.
fn is_unanswered(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<NoRegion>()
            || cause.downcast_ref::<Failure>().is_some_and(|failure| failure.status.is_none())
    })
}

fn placeholders(common: &Common) -> Result<Env> {
    let region = common.region.clone();
    let env = Env {
        app: APP.to_owned(),
        stage: common.stage.clone(),
        region: region.unwrap_or_else(|| "REGION".to_owned()),
        account: "ACCOUNT".to_owned(),
        partition: "aws".to_owned(),
    };
    env.check(common.functions()).context(Preflight)?;
    if !common.quiet {
        let text = "no credentials or no region: put yours in the place of ACCOUNT and REGION";
        say(paint(CHANGED, text));
    }
    Ok(env)
}
