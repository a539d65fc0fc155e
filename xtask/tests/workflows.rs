//! What CI may do, and what it runs of others': as little as possible, and nothing that can change by itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
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
    assert!(workflows.len() >= 2);
    workflows
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split(" #").next().unwrap().trim_end()
}

#[test]
fn a_workflow_may_read_and_only_a_deploy_may_ask_who_it_is() {
    for (name, text) in workflows() {
        let mut blocks = text.split("\npermissions:");
        let (before, block) = (blocks.next().unwrap(), blocks.next());
        let block = block.unwrap_or_else(|| panic!("{name} has no permissions at its top"));
        assert!(blocks.next().is_none() && !before.starts_with("permissions:"), "{name}");
        assert!(block.starts_with('\n'), "{name} grants all of one kind at once");
        let granted = block.lines().skip(1).take_while(|line| line.starts_with("  "));
        let granted: Vec<_> = granted.map(|line| code(line).trim()).collect();
        let wanted: &[&str] = match name.as_str() {
            "deploy.yml" => &["contents: read", "id-token: write"],
            _ => &["contents: read"],
        };
        assert_eq!(granted, wanted, "{name}");
        // A job could ask for more.
        assert!(!text.contains(" permissions:"), "{name} widens what its top grants");
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
    let ci = workflows().into_iter().find(|(name, _)| name == "ci.yml").unwrap().1;
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

#[test]
fn deploy_fails_where_the_region_is_not_set() {
    let deploy = workflows().into_iter().find(|(name, _)| name == "deploy.yml").unwrap().1;
    let script = script(&deploy, "Region");
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
