//! Which commit is being packaged.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The commit of the checkout at `root`: eleven digits or as many as it takes, and `-dirty` if anything is uncommitted.
///
/// `GIT_SHA` in the environment is taken instead, for builds that have no `.git`.
///
/// # Errors
///
/// If there is no commit to name, with the remedy.
pub fn sha(root: &Path) -> Result<String> {
    match env::var("GIT_SHA") {
        Ok(sha) if !sha.is_empty() => given(sha),
        _ => of_checkout(root),
    }
}

fn of_checkout(root: &Path) -> Result<String> {
    let sha = git(root, &["rev-parse", "--short=11", "HEAD"])?;
    let clean = git(root, &["status", "--porcelain"])?.is_empty();
    Ok(if clean { sha } else { format!("{sha}-dirty") })
}

fn given(sha: String) -> Result<String> {
    let digits = sha.strip_suffix("-dirty").unwrap_or(&sha);
    if (7..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(sha);
    }
    bail!(
        "reading GIT_SHA: `{sha}` is not a commit; expected 7 to 40 hexadecimal digits, with or without -dirty"
    );
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let what = format!("asking git for the commit of {}", root.display());
    let remedy = "next: commit the checkout, or name the commit yourself: GIT_SHA=0123456789a cargo xtask package";
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let output = output.with_context(|| format!("{what}: git cannot be run\n  {remedy}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{what}: {}\n  {remedy}", said.lines().next().unwrap_or("git gave no reason"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_commit_is_checked() {
        assert_eq!(given("0123456789a".into()).unwrap(), "0123456789a");
        assert_eq!(given("0123456789a-dirty".into()).unwrap(), "0123456789a-dirty");
        for bad in ["main", "0123456", "-dirty", "0123456789a dirty", "$(git rev-parse HEAD)"] {
            assert_eq!(given(bad.into()).is_ok(), bad == "0123456", "{bad}");
        }
    }

    #[test]
    fn a_place_without_commits_is_an_error_with_a_remedy() {
        let empty = tempfile::tempdir().unwrap();
        let error = of_checkout(empty.path()).unwrap_err().to_string();
        assert!(error.contains("not a git repository") && error.contains("GIT_SHA="), "{error}");

        git(empty.path(), &["init", "--quiet"]).unwrap();
        let error = of_checkout(empty.path()).unwrap_err().to_string();
        assert!(error.contains("GIT_SHA="), "{error}");
    }

    #[test]
    fn uncommitted_changes_make_it_dirty() {
        let checkout = tempfile::tempdir().unwrap();
        let root = checkout.path();
        let commit = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "a",
        ];
        git(root, &["init", "--quiet"]).unwrap();
        git(root, &commit).unwrap();
        let clean = of_checkout(root).unwrap();
        assert!(clean.len() == 11 && !clean.ends_with("-dirty"), "{clean}");

        std::fs::write(root.join("new"), "").unwrap();
        assert_eq!(of_checkout(root).unwrap(), format!("{clean}-dirty"));
    }
}
