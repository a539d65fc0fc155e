//! `.env`, through make and through `cargo xtask`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Workspace, see};

/// Each file, and what the deployer then has for stage, profile and region.
const CASES: [(&str, &str); 7] = [
    ("bom.env", "stage=prod profile= region=x"),
    ("comment.env", "stage=dev profile= region="),
    ("export.env", "stage=prod profile=me region="),
    ("indented.env", "stage=prod profile= region="),
    ("profile-with-space.env", "stage= profile=my company region="),
    ("quoted.env", "stage=dev profile= region="),
    ("spaces.env", "stage=prod profile= region="),
];

/// The two ways to call a verb.
fn both(workspace: &Workspace) -> [Command; 2] {
    [workspace.make("destroy"), workspace.xtask("destroy")]
}

#[test]
fn every_case_is_read_as_it_is_meant() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/dotenv");
    let files = fs::read_dir(&cases).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), names);

    let workspace = Workspace::new();
    for (name, expected) in CASES {
        fs::copy(cases.join(name), workspace.root.join(".env")).unwrap();
        for mut command in both(&workspace) {
            let seen = see(&mut command).ends(0);
            assert_eq!(seen.out, format!("destroy {expected}\n"), "{name} by {command:?}");
        }
    }
}

#[test]
fn a_dollar_is_literal() {
    let workspace = Workspace::new();
    fs::write(workspace.root.join(".env"), "AWS_PROFILE=a$HOME $(id) $$\n").unwrap();
    for mut command in both(&workspace) {
        let seen = see(&mut command).ends(0);
        assert_eq!(seen.out, "destroy stage= profile=a$HOME $(id) $$ region=\n");
    }
}

#[test]
fn what_is_set_outside_counts_more_unless_it_is_empty() {
    let workspace = Workspace::new();
    fs::write(workspace.root.join(".env"), "STAGE=prod\nAWS_PROFILE=me\n").unwrap();
    for mut command in both(&workspace) {
        let seen = see(command.env("STAGE", "test").env("AWS_PROFILE", "")).ends(0);
        assert_eq!(seen.out, "destroy stage=test profile=me region=\n");
    }
    let seen = see(&mut workspace.make("destroy STAGE=test ARGS=--yes")).ends(0);
    assert_eq!(seen.out, "destroy --yes stage=test profile=me region=\n");
    // An empty value is no reason to run again and again.
    fs::write(workspace.root.join(".env"), "STAGE=\n").unwrap();
    let seen = see(&mut workspace.xtask("destroy")).ends(0);
    assert_eq!(seen.out, "destroy stage= profile= region=\n");
}

#[test]
fn an_empty_variable_is_unset_for_what_xtask_runs() {
    let workspace = Workspace::new();
    for mut command in both(&workspace) {
        let seen = see(command.env("EMPTY", "").env("RUSTC", "").env("CARGO_HOME", "")).ends(0);
        assert_eq!(seen.out, "destroy stage= profile= region=\n");
    }
}

#[test]
fn without_settings_the_makefile_sets_none() {
    let workspace = Workspace::new();
    for mut command in both(&workspace) {
        assert_eq!(see(&mut command).ends(0).out, "destroy stage= profile= region=\n");
    }
}

#[test]
fn it_is_read_from_the_root_wherever_xtask_is_called() {
    let workspace = Workspace::new();
    fs::write(workspace.root.join(".env"), "STAGE=prod\n").unwrap();
    fs::write(workspace.root.join("below/.env"), "STAGE=wrong\n").unwrap();
    let mut command = workspace.xtask("destroy");
    let seen = see(command.current_dir(workspace.root.join("below"))).ends(0);
    assert!(seen.out.contains("destroy stage=prod "), "{}", seen.out);
}

#[test]
fn any_other_line_is_named_and_nothing_runs() {
    let workspace = Workspace::new();
    let file = workspace.root.join(".env");
    for line in
        ["AWS_SECRET_ACCESS_KEY: hunter2", "export hunter2", "KEY=\"hunter2", "MY-KEY=hunter2"]
    {
        fs::write(&file, format!("STAGE=dev\n{line}\n")).unwrap();
        // What make itself adds ends with another code than the verb.
        for (mut command, code) in both(&workspace).into_iter().zip([2, 6]) {
            let seen = see(&mut command).ends(code);
            assert_eq!(seen.out, "", "{line}");
            assert!(!seen.err.contains("hunter2"), "{}", seen.err);
            let named = format!("error: reading {}: line 2 is no setting", file.display());
            seen.says(&named).says("likely cause: ").says("next: write it as NAME=value");
        }
        see(&mut workspace.xtask("package")).ends(6).says("line 2");
    }
    assert_eq!(workspace.built(), "");
    assert!(!workspace.root.join("target").exists());
}

#[test]
fn a_file_that_is_no_text_is_an_error() {
    let workspace = Workspace::new();
    let file = workspace.root.join(".env");
    fs::write(&file, b"\xff\xfeS\0T\0A\0G\0E\0=\0p\0").unwrap();
    see(&mut workspace.xtask("destroy")).ends(6).says("valid UTF-8").says("next: ");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    see(&mut workspace.xtask("destroy")).ends(6).says("directory").says("next: ");
    assert_eq!(workspace.built(), "");
}
