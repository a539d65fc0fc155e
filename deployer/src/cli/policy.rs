//! `deployer policy`: the rights that the deployer needs, as IAM takes them.

use super::explain::Preflight;
use super::run::connect;
use super::screen::{CHANGED, paint, result, say};
use super::{Common, Exit};
use crate::aws::{Failure, NoRegion};
use crate::env::Env;
use crate::rights::{Mode, policy};
use crate::stack::APP;
use anyhow::{Context, Error, Result};

pub const EXAMPLES: &str = "\
For the account and region of the credentials, which need no rights for this; without any, ACCOUNT
and REGION stand where yours belong. It holds for one stage, and fits a managed policy; that of
`all` a role's own policies.

Examples:
  deployer policy > deploy.json                  deploy, rollback, and all that reads
  deployer --stage prod policy --mode destroy
  deployer policy --mode all                     all of these: what `ci-role` gives a role
  deployer policy --mode ci-role                 what making that role takes
  deployer policy --mode read                    plan, status, outputs, …; the key, too
  aws iam create-policy --policy-name ops-api-dev --policy-document file://deploy.json";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it is for
    #[arg(long, value_enum, default_value = "deploy")]
    mode: Mode,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let env = match connect(common).await {
        Ok(aws) => aws.env,
        Err(error) if is_unanswered(&error) => placeholders(common)?,
        Err(error) => return Err(error),
    };
    result(format!("{:#}", policy(&env, args.mode)));
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
