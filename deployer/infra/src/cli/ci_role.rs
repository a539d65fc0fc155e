//! `deployer ci-role`: the role as which `.github/workflows/ci.yml` deploys.

use super::explain::Preflight;
use super::run::{carry_out, connect, mind_interrupts, target, tell};
use super::screen::{BOLD, DIM, GOOD, agrees, paint, result, say};
use super::{Common, Exit, show_plan};
use crate::ci::{Jobs, Repo, parse_name, subjects, trust, variable};
use crate::engine::{Graph, Kind, Plan, Silent, Stop, Survey, survey_owned};
use crate::release::Release;
use crate::resources::{CiPolicy, CiRole, OidcProvider};
use crate::rights::{Mode, policies};
use crate::run::Run;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub const EXAMPLES: &str = "\
GitHub vouches for its jobs, and AWS gives those of one branch, or of one environment, credentials
for an hour: no long-lived keys anywhere. The role may do what `policy --mode all` prints, for one
stage: managed policies under the role's own path, which it can't change. Running it again brings
the role up to date, also for another branch or repository. GitHub is made known to the account if
it isn't yet, and forgotten with the last role that needs it, if it was made so here. The tokens of
a repository that was made, renamed or transferred since 15 July 2026 have GitHub's numbers in them;
with these the role accepts both forms:
  gh api repos/OWNER/NAME --jq '\"\\(.owner.login)@\\(.owner.id)/\\(.name)@\\(.id)\"'

Examples:
  deployer ci-role --repo me/api --branch main
  deployer ci-role --repo me@1234/api@5678 --branch main
  deployer --stage prod ci-role --repo me/api --environment prod
                                        jobs that somebody has approved, if GitHub asks for that
  deployer ci-role --repo me/api \\
    --permissions-boundary arn:aws:iam::ACCOUNT:policy/NAME
  deployer ci-role --destroy";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The repository whose jobs are let in
    #[arg(long, value_name = "OWNER/NAME", value_parser = Repo::parse)]
    #[arg(required_unless_present = "destroy")]
    repo: Option<Repo>,
    /// Its branch whose jobs are let in [default: main]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    branch: Option<String>,
    /// Its environment whose jobs are let in, instead of a branch
    #[arg(long, value_name = "NAME", value_parser = parse_name, conflicts_with = "branch")]
    environment: Option<String>,
    /// Policy beyond which no other gives the role rights; without, one that is set stays
    #[arg(long, value_name = "ARN", value_parser = policy_arn)]
    permissions_boundary: Option<String>,
    /// Delete the role and its policies
    #[arg(long, conflicts_with_all = ["repo", "branch", "environment", "permissions_boundary"])]
    destroy: bool,
}

fn policy_arn(text: &str) -> Result<String, String> {
    let good = text.starts_with("arn:") && text.contains(":iam::") && text.contains(":policy/");
    match good && !text.contains(char::is_whitespace) {
        true => Ok(text.to_owned()),
        false => Err("write the ARN of a policy, arn:aws:iam::ACCOUNT:policy/NAME".to_owned()),
    }
}

static KINDS: LazyLock<[Kind<Run>; 3]> = LazyLock::new(|| {
    [
        Kind::of::<OidcProvider>(&[]),
        Kind::of::<CiPolicy>(&[]),
        Kind::of::<CiRole>(&["oidc provider", "ci policy"]),
    ]
});

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let aws = connect(common).await?;
    let survey = survey(common, &aws, args).await.context(Preflight)?;
    let plan = survey.plan(target(&aws.env, &Release::default()));
    if plan.is_empty() {
        let nothing =
            if args.destroy { "nothing to do: there is no role" } else { "nothing to do" };
        say_unless_quiet(common, nothing);
    } else {
        if !common.quiet {
            say(show_plan::show(&plan, common.verbose > 0));
        }
        if !common.yes && !agrees(question(common, args, &plan), aws.stop()).await? {
            say("nothing was changed");
            return Ok(Exit::Preflight);
        }
        mind_interrupts(aws.stop());
        let report = carry_out(common, &aws, &survey, &plan).await;
        if !report.complete() {
            return Ok(tell(&report, common, "ci-role"));
        }
        say_unless_quiet(common, paint(GOOD, format!("done: {}", show_plan::summary(&plan))));
    }
    if let Some(repo) = &args.repo {
        finish(common, &aws, args, repo);
    }
    Ok(Exit::Done)
}

fn say_unless_quiet(common: &Common, text: impl std::fmt::Display) {
    if !common.quiet {
        say(text);
    }
}

fn question(common: &Common, args: &Args, plan: &Plan) -> String {
    let (summary, stage) = (show_plan::summary(plan), &common.stage);
    match args.destroy {
        true => format!("{summary}. CI will deploy stage {stage} no more. Delete it?"),
        false => format!("{summary}. Let CI deploy stage {stage}?"),
    }
}

async fn survey(common: &Common, aws: &Run, args: &Args) -> Result<Survey<'static, Run>> {
    let (stop, silent) = (Stop::default(), Arc::new(Silent));
    let Some(repo) = &args.repo else {
        return survey_owned(aws, KINDS.as_slice(), &stop, silent).await;
    };
    let mut graph = Graph::new();
    let github = graph.add(|_| OidcProvider::github());
    let (env, boundary) = (aws.env.clone(), args.permissions_boundary.clone());
    let subjects = subjects(repo, &jobs(args));
    let documents = policies(&env, Mode::All, common.app.permissions_boundary);
    let arns = documents.keys().map(|name| env.ci_policy_arn(&env.ci_policy(name)));
    let arns: Vec<String> = arns.collect();
    let attached: Vec<_> = documents
        .into_iter()
        .map(|(name, document)| {
            let env = env.clone();
            graph.add(move |_| CiPolicy::new(&env, name, document.clone()))
        })
        .collect();
    graph.add(move |link| {
        link.after(&github);
        attached.iter().for_each(|policy| link.after(policy));
        CiRole::new(&env, trust(&env, &subjects), arns.clone(), boundary.clone())
    });
    graph.survey(aws, KINDS.as_slice(), &stop, silent).await
}

fn jobs(args: &Args) -> Jobs {
    match (&args.environment, &args.branch) {
        (Some(environment), _) => Jobs::Environment(environment.clone()),
        (None, branch) => Jobs::Branch(branch.clone().unwrap_or_else(|| "main".to_owned())),
    }
}

/// The role, and what the repository must know of it.
fn finish(common: &Common, aws: &Run, args: &Args, repo: &Repo) {
    let env = &aws.env;
    let role = env.iam_arn(&format!("role{}{}", env.ci_role_path(), env.ci_role()));
    let variables = BTreeMap::from([
        (variable(&env.stage), role.as_str()),
        ("AWS_REGION".to_owned(), env.region.as_str()),
    ]);
    if common.json {
        let subjects = subjects(repo, &jobs(args));
        let json =
            serde_json::json!({ "role": role, "subjects": subjects, "variables": variables });
        return result(format!("{json:#}"));
    }
    result(&role);
    if common.quiet {
        return;
    }
    say(format!("{} of the repository, for ci.yml:", paint(BOLD, "variables")));
    for (name, value) in &variables {
        say(format!("  gh variable set {name} --repo {} --body {value}", repo.name()));
    }
    if args.environment.is_some() {
        say("  and the line `environment:` that ci.yml tells of");
    }
    if !repo.has_ids() {
        say(paint(DIM, "if AWS refuses the jobs, the repository has numbers: see ci-role --help"));
    }
}
