//! Which checkout the deployer takes itself to be in.

use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[track_caller]
fn git(directory: &Path, line: &str) -> String {
    let mut command = ::checkout::command(directory);
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    let output = command.args(line.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(directory: &Path) -> String {
    git(directory, "init --quiet");
    git(directory, "add --all");
    git(directory, "commit --quiet --allow-empty -m a");
    git(directory, "rev-parse --short=11 HEAD")
}

/// A directory in the home, made if need be.
fn make(home: &TempDir, name: &str) -> PathBuf {
    let directory = home.path().canonicalize().unwrap().join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// The project's sources, as far as they matter here.
fn sources(root: &Path) {
    fs::create_dir_all(root.join("deployer/src")).unwrap();
    fs::write(root.join("Cargo.toml"), "[workspace]\n").unwrap();
    fs::write(root.join("deployer/src/stack.rs"), "").unwrap();
}

/// The doctor's finding about the checkout around `directory`: level, what is found, and what helps.
#[track_caller]
fn diagnosis(directory: &Path, env: &[(&str, &Path)]) -> [String; 3] {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = Command::new(env!("CARGO_BIN_EXE_deployer"))
        .args(["doctor", "--json"])
        .current_dir(directory)
        .env_clear()
        .env("HOME", "/nowhere")
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "ap-southeast-2")
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // There are no credentials.
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = said["checks"].as_array().unwrap();
    let line = lines.iter().find(|line| line["check"] == "checkout").unwrap();
    ["level", "found", "next"].map(|part| line[part].as_str().unwrap_or_default().to_owned())
}

#[test]
fn the_project_is_found_wherever_it_is_in_its_repository() {
    for below in ["", "apps/api"] {
        let home = tempfile::tempdir().unwrap();
        let top = make(&home, "repository");
        let root = top.join(below);
        sources(&root);
        let own = commit(&top);
        let found = diagnosis(&root.join("deployer/src"), &[]);
        assert_eq!(found[..2], ["ok".to_owned(), format!("commit {own}")]);
    }
}

#[test]
fn the_repository_of_a_hook_is_not_that_of_the_project() {
    let home = tempfile::tempdir().unwrap();
    let [root, other] = ["project", "other"].map(|name| make(&home, name));
    sources(&root);
    let own = commit(&root);
    assert_ne!(commit(&other), own);
    let git_dir = other.join(".git");
    let found = diagnosis(&root, &[("GIT_DIR", &git_dir), ("GIT_WORK_TREE", &other)]);
    assert_eq!(found[..2], ["ok".to_owned(), format!("commit {own}")]);
}

#[test]
fn a_tarball_unpacked_in_another_repository_is_not_a_checkout() {
    let home = tempfile::tempdir().unwrap();
    commit(&make(&home, "other"));
    let root = make(&home, "other/unpacked");
    sources(&root);
    let [level, found, next] = diagnosis(&root, &[]);
    assert_eq!(level, "warning");
    assert!(found.contains("does not track its Cargo.toml"), "{found}");
    assert!(!next.is_empty());
}

#[test]
fn a_checkout_of_another_user_comes_with_gits_own_remedy() {
    let home = tempfile::tempdir().unwrap();
    let root = make(&home, "project");
    sources(&root);
    commit(&root);
    // With which git's own tests have it refuse a repository.
    let refuses = [("GIT_TEST_ASSUME_DIFFERENT_OWNER", Path::new("1"))];
    let [level, found, next] = diagnosis(&root, &refuses);
    assert_eq!(level, "failed");
    assert!(found.contains("dubious ownership"), "{found}");
    assert_eq!(next, format!("git config --global --add safe.directory {}", root.display()));
}
