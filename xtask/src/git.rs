//! Which commit is being packaged.

use std::env;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use checkout::{Absent, Checkout, parse};

/// The commit of the checkout at `root`: eleven digits or as many as it takes, and `-dirty` if anything is uncommitted.
///
/// `GIT_SHA` in the environment is taken instead, for builds that have no `.git`.
///
/// # Errors
///
/// If there is no commit to name, with the remedy.
pub fn sha(root: &Path) -> Result<String> {
    match env::var_os("GIT_SHA").filter(|sha| !sha.is_empty()) {
        Some(sha) => given(&sha.to_string_lossy()),
        None => of_checkout(root),
    }
}

fn of_checkout(root: &Path) -> Result<String> {
    let (said, remedy) = match Checkout::at(root) {
        Ok(checkout) => match checkout.commit_or_dirty() {
            Ok(commit) => return Ok(commit),
            Err(said) => (
                said.lines().next().unwrap_or_default().to_owned(),
                "commit the checkout".to_owned(),
            ),
        },
        Err(absent) => {
            let remedy = match &absent {
                Absent::Git(_) => "install git",
                Absent::Owner { remedy, .. } => remedy,
                Absent::Untracked(_) | Absent::Checkout(_) => "run it in a checkout",
            };
            (absent.to_string(), remedy.to_owned())
        }
    };
    Err(anyhow!(
        "asking git for the commit of {}: {said}\n  next: {remedy}; or name the commit yourself: \
         GIT_SHA=0123456789a cargo xtask package",
        root.display()
    ))
}

/// Commits are lower-case in all that is compared with this one.
fn given(sha: &str) -> Result<String> {
    let lower = sha.to_ascii_lowercase();
    if parse(&lower).is_some() {
        return Ok(lower);
    }
    bail!(
        "reading GIT_SHA: `{sha}` is not a commit; expected 7 to 40 hexadecimal digits, with or without -dirty"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_commit_is_checked_and_in_lower_case() {
        assert_eq!(given("0123456789a").unwrap(), "0123456789a");
        assert_eq!(given("0123456789A-dirty").unwrap(), "0123456789a-dirty");
        for bad in ["main", "012345", "-dirty", "0123456789a dirty", "$(git rev-parse HEAD)"] {
            assert!(given(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_place_without_commits_is_an_error_with_a_remedy() {
        let empty = tempfile::tempdir().unwrap();
        let error = of_checkout(empty.path()).unwrap_err().to_string();
        assert!(error.contains("not a git repository") && error.contains("GIT_SHA="), "{error}");

        let init = checkout::command(empty.path()).args(["init", "--quiet"]).status();
        assert!(init.unwrap().success());
        let error = of_checkout(empty.path()).unwrap_err().to_string();
        assert!(error.contains("does not track its Cargo.toml"), "{error}");
        assert!(error.contains("GIT_SHA="), "{error}");
    }
}
