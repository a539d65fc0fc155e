//! The deployer's verbs, with a deployer that only tells what it was given.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const DEPLOYER: &str = r#"
    fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        println!("{}", arguments.join("|"));
        std::process::exit(if arguments.contains(&"--fail".to_string()) { 3 } else { 0 });
    }
"#;

/// A workspace with that deployer, and nothing else of ours.
fn workspace() -> tempfile::TempDir {
    let workspace = tempfile::tempdir().unwrap();
    let root = workspace.path();
    fs::create_dir_all(root.join("deployer/src")).unwrap();
    fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"deployer\"]\nresolver = \"3\"\n")
        .unwrap();
    fs::write(
        root.join("deployer/Cargo.toml"),
        "[package]\nname = \"deployer\"\nedition = \"2024\"\n",
    )
    .unwrap();
    fs::write(root.join("deployer/src/main.rs"), DEPLOYER).unwrap();
    workspace
}

/// Calls xtask of the workspace at `root` from `directory`; gives the exit code and both streams.
fn call(root: &Path, directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).current_dir(directory);
    command
        .env("CARGO_MANIFEST_DIR", root.join("xtask"))
        .env("CARGO_TARGET_DIR", root.join("target"));
    let Output { status, stdout, stderr } = command.env("GIT_SHA", "no commit").output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_deployer_gets_the_arguments_and_gives_the_exit_code() {
    let workspace = workspace();
    let root = &workspace.path().canonicalize().unwrap();

    let answer = call(root, root, &["outputs", "--stage", "prod", "--json", "two words", ""]);
    assert_eq!(answer, (Some(0), "outputs|--stage|prod|--json|two words|\n".into(), String::new()));
    let (code, stdout, _) = call(root, root, &["--local=no", "--fail", "status"]);
    assert_eq!((code, &*stdout), (Some(3), "--local=no|--fail|status\n"));

    // Help wants neither packages nor a cloud.
    let (_, stdout, stderr) = call(root, root, &["deploy", "--local", "--help"]);
    assert_eq!((&*stdout, &*stderr), ("deploy|--local|--help\n", ""));

    // Elsewhere, the deployer is told where the packages are, unless the user has.
    let (_, stdout, _) = call(root, &root.join("deployer"), &["status"]);
    assert_eq!(stdout, format!("--packages|{}|status\n", root.join("target/lambda").display()));
    for own in [&["plan", "--packages", "zips"][..], &["plan", "--packages=zips"]] {
        let (_, stdout, stderr) = call(root, &root.join("deployer"), own);
        assert_eq!((stdout, &*stderr), (own.join("|") + "\n", ""));
    }
}

#[test]
fn what_fails_beforehand_is_a_preflight_failure() {
    let workspace = workspace();
    let root = workspace.path();

    for verb in ["plan", "diff", "deploy"] {
        let (code, stdout, stderr) = call(root, root, &[verb]);
        assert_eq!((code, &*stdout), (Some(6), ""), "{stderr}");
        assert!(stderr.starts_with("error: reading GIT_SHA: "), "{stderr}");
    }

    fs::write(root.join("deployer/src/main.rs"), "fn main() { 1 }").unwrap();
    let (code, _, stderr) = call(root, root, &["status"]);
    assert_eq!(code, Some(6));
    assert!(
        stderr.contains("mismatched types")
            && stderr.ends_with("error: building the deployer: cargo failed, see above\n"),
        "{stderr}"
    );
}
