//! `deployer policy`: the rights that the deployer needs, as IAM takes them.

use super::explain::Preflight;
use super::run::connect;
use super::screen::{CHANGED, paint, result, say};
use super::{Common, Exit};
use crate::aws::{Failure, NoRegion};
use crate::env::Env;
use crate::rights::{Mode, policies};
use anyhow::{Context, Error, Result, bail};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub const EXAMPLES: &str = "\
The output is one JSON object: each key is the name of a policy, each value its document. There are
several policies because IAM limits one to 6,144 characters. All permissions for a service are in
one policy. The policies cover one stage in the account and region of the credentials. The
credentials need no permissions for this command. Without credentials, ACCOUNT and REGION are
placeholders that you replace.

Examples:
  deployer policy | jq 'keys'                    deploy, rollback and the verbs that only read
  deployer --stage prod policy --mode destroy    destroy
  deployer policy --mode read                    plan, status, outputs, …; can read the API key
  deployer policy --mode all                     deploy, destroy and read: the policies that
                                                 `ci-role` attaches to its role
  deployer policy --mode ci-role                 create and delete that role
  deployer policy --out policies                 write one file per policy and print the paths
  for file in policies/*.json; do
    aws iam create-policy --policy-name \"ops-api-dev-$(basename $file .json)\" \\
      --policy-document \"file://$file\"
  done

--out uses the same file names for every mode and stage. It replaces no file that has other content.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which verbs the policies are for
    #[arg(long, value_enum, default_value = "deploy")]
    mode: Mode,
    /// Write each policy to a file NAME.json in this directory instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let env = match connect(common).await {
        Ok(aws) => aws.env.clone(),
        Err(error) if is_unanswered(&error) => placeholders(common)?,
        Err(error) => return Err(error),
    };
    let policies = policies(&env, args.mode, common.app.permissions_boundary);
    let Some(directory) = &args.out else {
        result(format!("{:#}", json!(policies)));
        return Ok(Exit::Done);
    };
    let files: BTreeMap<_, _> = (policies.into_iter())
        .map(|(name, document)| {
            (name, (directory.join(format!("{name}.json")), format!("{document:#}\n")))
        })
        .collect();
    for (path, text) in files.values() {
        check_replaces_nothing(path, text).context(Preflight)?;
    }
    fs::create_dir_all(directory)
        .with_context(|| format!("creating directory {}", directory.display()))?;
    for (path, text) in files.values() {
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    if common.json {
        let path = |(name, (path, _)): (_, (PathBuf, _))| (name, path.display().to_string());
        result(format!("{:#}", json!(files.into_iter().map(path).collect::<BTreeMap<_, _>>())));
    } else {
        files.values().for_each(|(path, _)| result(path.display()));
    }
    Ok(Exit::Done)
}

/// A file that `--out` would replace has other content, such as the policy of another mode or stage.
#[derive(Debug)]
pub struct FileDiffers(PathBuf);

impl fmt::Display for FileDiffers {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "writing {}: the file exists already and has other content", self.0.display())
    }
}

impl std::error::Error for FileDiffers {}

fn check_replaces_nothing(path: &Path, text: &str) -> Result<()> {
    match fs::read(path) {
        Ok(content) if content != text.as_bytes() => bail!(FileDiffers(path.to_owned())),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("reading {}", path.display()))
        }
        _ => Ok(()),
    }
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
        app: common.app.name.to_owned(),
        stage: common.stage.clone(),
        region: region.unwrap_or_else(|| "REGION".to_owned()),
        account: "ACCOUNT".to_owned(),
        partition: "aws".to_owned(),
    };
    env.check(common.app.functions()).context(Preflight)?;
    if !common.quiet {
        let text = "no credentials or no region: put yours in the place of ACCOUNT and REGION";
        say(paint(CHANGED, text));
    }
    Ok(env)
}
