//! The role as which CI deploys, as documents: whom it lets in. What it may do is what `policy` prints.

use crate::env::Env;
use serde_json::{Value, json};

/// Who says which job asks: GitHub, as an OpenID Connect provider (GitHub: "Configuring OpenID Connect in
/// Amazon Web Services").
pub const ISSUER: &str = "token.actions.githubusercontent.com";

/// For whom the token is made that a job shows: `aws-actions/configure-aws-credentials` asks for this one.
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// Which jobs are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// Those of a branch that name no environment.
    Branch(String),
    /// Those of an environment, of whatever branch that lets in.
    Environment(String),
}

/// A repository as GitHub's tokens name it: `OWNER/NAME`, or `OWNER@ID/NAME@ID`. The second since 15 July
/// 2026 for those that were made or renamed since, so that nobody inherits a name (GitHub: "Immutable
/// subject claims").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo(String);

impl Repo {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = |text: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !text.is_empty() && text.chars().all(good)
        };
        let id = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let good = text.split_once('/').is_some_and(|(owner, repo)| {
            match (owner.split_once('@'), repo.split_once('@')) {
                (None, None) => name(owner) && name(repo),
                (Some((owner, first)), Some((repo, second))) => {
                    name(owner) && id(first) && name(repo) && id(second)
                }
                _ => false,
            }
        });
        match good {
            true => Ok(Self(text.to_owned())),
            false => Err("write OWNER/NAME, or OWNER@ID/NAME@ID with GitHub's numbers".to_owned()),
        }
    }

    /// Without numbers, as people name it.
    pub fn name(&self) -> String {
        let plain = |part: &str| part.split('@').next().unwrap_or(part).to_owned();
        self.0.split('/').map(plain).collect::<Vec<_>>().join("/")
    }

    pub fn has_ids(&self) -> bool {
        self.0.contains('@')
    }
}

/// A branch or an environment by its name. A token spells a colon otherwise, and IAM compares letter by
/// letter.
///
/// # Errors
/// When it can't be one.
pub fn parse_name(text: &str) -> Result<String, String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || ":*?[\\^~".contains(c);
    match text.is_empty() || text.starts_with("refs/") || text.chars().any(bad) {
        true => Err("write its name alone, as in main".to_owned()),
        false => Ok(text.to_owned()),
    }
}

pub fn provider_arn(env: &Env) -> String {
    env.iam_arn(&format!("oidc-provider/{ISSUER}"))
}

/// The `sub` claims that GitHub may put into the job's token. With GitHub's numbers two forms, since it depends on when the
/// repository was made, renamed or transferred which of them GitHub writes.
pub fn subjects(repo: &Repo, jobs: &Jobs) -> Vec<String> {
    let of = |repo: &str| match jobs {
        Jobs::Branch(branch) => format!("repo:{repo}:ref:refs/heads/{branch}"),
        Jobs::Environment(name) => format!("repo:{repo}:environment:{name}"),
    };
    let mut subjects = vec![of(&repo.name())];
    if repo.has_ids() {
        subjects.push(of(&repo.0));
    }
    subjects
}

/// Lets in the jobs whose subject is one of these, compared letter by letter, and no other.
pub fn trust(env: &Env, subjects: &[String]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Principal": { "Federated": [provider_arn(env)] },
            "Condition": { "StringEquals": {
                format!("{ISSUER}:aud"): AUDIENCE,
                format!("{ISSUER}:sub"): subjects,
            } },
        }],
    })
}

/// The variable of a repository in which `ci.yml` looks for a stage's role.
pub fn variable(stage: &str) -> String {
    format!("AWS_DEPLOY_ROLE_{}", stage.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_repository_and_branch_or_environment() {
        let repo = |text| Repo::parse(text).unwrap();
        let branch = Jobs::Branch("main".into());
        assert_eq!(subjects(&repo("me/api"), &branch), ["repo:me/api:ref:refs/heads/main"]);
        let numbered = repo("me@12/api@345");
        let both = ["repo:me/api:ref:refs/heads/main", "repo:me@12/api@345:ref:refs/heads/main"];
        assert_eq!(subjects(&numbered, &branch), both);
        assert_eq!(numbered.name(), "me/api");
        let prod = Jobs::Environment("prod".into());
        assert_eq!(subjects(&repo("me/api"), &prod), ["repo:me/api:environment:prod"]);
    }

    #[test]
    fn what_is_no_repository_or_branch_is_refused() {
        for text in ["", "me", "me/", "/api", "me/api/more", "*/api", "me/*", "me/a pi"] {
            assert!(Repo::parse(text).is_err(), "{text}");
        }
        for text in ["me@1/api", "me/api@1", "me@x/api@1", "me@1/api@", "me@*/api@*", "m:e/api"] {
            assert!(Repo::parse(text).is_err(), "{text}");
        }
        for text in ["", "refs/heads/main", "*", "a b", "a:b", "a?"] {
            assert!(parse_name(text).is_err(), "{text}");
        }
        assert_eq!(parse_name("release/1.x").as_deref(), Ok("release/1.x"));
    }

    /// The workflow isn't run here; but that it asks for what `ci-role` makes can be seen.
    #[test]
    fn the_workflow_looks_where_the_role_is_put() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let workflow = std::fs::read_to_string(root.join(".github/workflows/ci.yml")).unwrap();
        assert_eq!(variable("my-stage"), "AWS_DEPLOY_ROLE_MY_STAGE");
        for word in ["AWS_DEPLOY_ROLE_", "tr 'a-z-' 'A-Z_'", "id-token: write"] {
            assert!(workflow.contains(word), "{word}");
        }
        // With one, a job's token tells no branch.
        assert!(!workflow.lines().any(|line| line.trim_start().starts_with("environment:")));
    }
}
