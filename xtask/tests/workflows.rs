//! What CI may do, and what it runs of others': as little as possible, and nothing that can change by itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Name and text of every workflow.
fn workflows() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = fs::read_dir(root.join(".github/workflows")).unwrap().map(|file| file.unwrap());
    let workflow = |file: fs::DirEntry| {
        let text = fs::read_to_string(file.path()).unwrap();
        (file.file_name().into_string().unwrap(), text)
    };
    let workflows: Vec<_> = files.map(workflow).collect();
    assert!(!workflows.is_empty());
    workflows
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split(" #").next().unwrap().trim_end()
}

/// The lines of a block `permissions:` that is so far indented, without comments.
fn granted(block: &str, indent: usize) -> Vec<&str> {
    assert!(block.starts_with('\n'), "all of one kind is granted at once: {block:.60}");
    let inside = " ".repeat(indent + 2);
    let lines = block.lines().skip(1).take_while(|line| line.starts_with(&inside));
    lines.map(|line| code(line).trim()).collect()
}

#[test]
fn a_workflow_may_read_and_only_a_deploy_may_ask_who_it_is() {
    for (name, text) in workflows() {
        let (head, jobs) = text.split_once("\njobs:\n").unwrap();
        let (_, top) =
            head.split_once("\npermissions:").unwrap_or_else(|| panic!("{name}: none at its top"));
        assert_eq!(granted(top, 0), ["contents: read"], "{name}");
        // A job may ask for more: the one that deploys, which comes last, and no other.
        let (others, deploy) = jobs.split_once("\n  deploy:\n").unwrap();
        assert!(
            !others.contains("permissions:"),
            "{name}: another job than deploy widens what it may"
        );
        let (_, own) = deploy.split_once("\n    permissions:").unwrap();
        assert_eq!(granted(own, 4), ["contents: read", "id-token: write"], "{name}");
        assert!(!own.contains("permissions:"), "{name}");
        let is_job = |line: &str| line.starts_with("  ") && !line.starts_with("   ");
        assert!(!own.lines().any(is_job), "{name}: a job after deploy");
        assert!(deploy.starts_with("    needs: test\n"), "{name}");
    }
}

#[test]
fn every_action_is_pinned_to_a_commit_and_says_its_version() {
    let mut seen = 0;
    for (name, text) in workflows() {
        let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
        for line in lines.filter(|line| line.starts_with("uses:")) {
            let (_, commit) =
                code(line).split_once('@').unwrap_or_else(|| panic!("{name}: {line}"));
            let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            assert!(commit.len() == 40 && commit.chars().all(hex), "{name}: {line}");
            assert!(line.contains(" # v"), "{name}: which version is {line}?");
            seen += 1;
        }
    }
    assert!(seen > 5);
}

#[test]
fn no_checkout_leaves_credentials_behind() {
    for (name, text) in workflows() {
        let checkouts = text.matches("actions/checkout@").count();
        assert_eq!(text.matches("persist-credentials: false").count(), checkouts, "{name}");
    }
}

#[test]
fn the_dependencies_are_checked_by_one_version_of_cargo_deny() {
    let ci = ci();
    assert!(ci.contains("cargo install --locked cargo-deny --version "));
    assert!(ci.contains("cargo deny --locked check\n"));
}

/// The script of a step, as the runner's shell gets it.
fn script(workflow: &str, step: &str) -> String {
    let head = format!("      - name: {step}\n");
    let (_, step) = workflow.split_once(&head).unwrap();
    let (_, script) = step.split_once("        run: |\n").unwrap();
    let lines = script.lines().take_while(|line| line.starts_with("          "));
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

fn ci() -> String {
    workflows().into_iter().find(|(name, _)| name == "ci.yml").unwrap().1
}

#[test]
fn deploy_fails_where_the_region_is_not_set() {
    let ci = ci();
    let (_, deploy) = ci.split_once("\n  deploy:\n").unwrap();
    let script = script(deploy, "Region");
    let run = |region: &str| {
        // As GitHub runs a step (GitHub: "Workflow syntax", jobs.<job_id>.steps[*].shell).
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &script]).env("REGION", region).output().unwrap()
    };
    let failed = run("");
    let said = String::from_utf8(failed.stdout).unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(said.starts_with("::error::") && said.contains("AWS_REGION"), "{said}");
    assert_eq!(run("eu-central-1").status.code(), Some(0));
    // No other region anywhere instead, and the step comes before anything is built.
    assert!(!deploy.contains("ap-southeast-2") && !deploy.contains("vars.AWS_REGION ||"));
    let at = |text: &str| deploy.find(text).unwrap();
    assert!(at("name: Region") < at("actions/checkout@"));
}

/// A commit that isn't the branch's head any more isn't deployed over a newer one.
#[test]
fn deploy_steps_aside_for_a_newer_commit() {
    let ci = ci();
    let script = script(&ci, "Head");
    let home = tempfile::tempdir().unwrap();
    let gh = home.path().join("gh");
    fs::write(&gh, "#!/bin/sh\necho aaaa\n").unwrap();
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let run = |commit: &str| {
        let output = home.path().join(commit);
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &script]).env("PATH", &path).env("GITHUB_OUTPUT", &output);
        bash.envs([
            ("GITHUB_REPOSITORY", "me/api"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_SHA", commit),
        ]);
        assert!(bash.output().unwrap().status.success());
        fs::read_to_string(&output).unwrap_or_default()
    };
    assert_eq!(run("aaaa"), "");
    assert_eq!(run("bbbb"), "moved=true\n");
}
