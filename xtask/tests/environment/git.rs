//! Which commit a package says it is made of.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Seen, Workspace, see};

/// Runs git in `directory`; gives what it prints.
#[track_caller]
fn git(directory: &Path, line: &str) -> String {
    let mut command = checkout::command(directory);
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    let seen = see(command.args(line.split_whitespace())).ends(0);
    seen.out.trim().to_owned()
}

/// Commits all that is in `directory`, in a new repository there; gives eleven digits of the commit.
fn commit(directory: &Path) -> String {
    git(directory, "init --quiet");
    git(directory, "add --all");
    git(directory, "commit --quiet -m a");
    git(directory, "rev-parse --short=11 HEAD")
}

/// Packages, and gives the commit that the manifest names.
#[track_caller]
fn packaged(workspace: &Workspace, command: &mut Command) -> String {
    see(command).ends(0);
    let manifest = fs::read(workspace.root.join("target/lambda/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["git_sha"].as_str().unwrap().to_owned()
}

/// Nothing was compiled and nothing written.
#[track_caller]
fn refused(workspace: &Workspace, command: &mut Command) -> Seen {
    let seen = see(command).ends(1);
    assert_eq!((workspace.built(), &*seen.out), (String::new(), ""));
    assert!(!workspace.root.join("target").exists());
    seen.says("next: ").says("GIT_SHA=")
}

#[test]
fn the_repository_of_a_hook_is_not_that_of_the_project() {
    let workspace = Workspace::new();
    let own = commit(&workspace.root);
    let other = workspace.beside("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();
    assert_ne!(commit(&other), own);

    let mut command = workspace.xtask("package");
    command.env("GIT_DIR", other.join(".git")).env("GIT_WORK_TREE", &other);
    command.env("GIT_INDEX_FILE", other.join(".git/index")).env("GIT_PREFIX", "");
    assert_eq!(packaged(&workspace, &mut command), own);
}

#[test]
fn settings_of_the_user_do_not_hide_what_is_not_committed() {
    let workspace = Workspace::new();
    let own = commit(&workspace.root);
    let settings = workspace.beside("gitconfig");
    fs::write(workspace.beside("ignored"), "*.rs\n").unwrap();
    let ignored = workspace.beside("ignored");
    let text = format!(
        "[status]\nshowUntrackedFiles = no\n[diff]\nignoreSubmodules = all\n[core]\nexcludesFile = {}\n",
        ignored.display()
    );
    fs::write(&settings, text).unwrap();
    let mut command = workspace.xtask("package");
    command.env("GIT_CONFIG_GLOBAL", &settings);
    assert_eq!(packaged(&workspace, &mut command), own);
    fs::write(workspace.root.join("below/new.rs"), "").unwrap();
    assert_eq!(packaged(&workspace, &mut command), format!("{own}-dirty"));
}

#[test]
fn a_tarball_unpacked_in_another_repository_is_not_a_checkout() {
    for ignored in [false, true] {
        let workspace = Workspace::below("other/unpacked");
        let other = workspace.beside("other");
        fs::write(other.join(".gitignore"), if ignored { "/unpacked\n" } else { "" }).unwrap();
        git(&other, "init --quiet");
        git(&other, "add .gitignore");
        git(&other, "commit --quiet -m a");
        let seen = refused(&workspace, &mut workspace.xtask("package"));
        seen.says("is not a checkout").says("does not track its Cargo.toml");
    }
}

#[test]
fn a_project_below_the_top_of_its_repository_has_its_commit() {
    let workspace = Workspace::below("repository/apps/api");
    let own = commit(&workspace.beside("repository"));
    assert_eq!(packaged(&workspace, &mut workspace.xtask("package")), own);
    assert!(!workspace.beside("repository/target").exists());
}

#[test]
fn a_commit_in_capitals_is_the_same_commit() {
    let workspace = Workspace::new();
    let mut command = workspace.xtask("package");
    command.env("GIT_SHA", "0123456789ABCDEF-dirty");
    assert_eq!(packaged(&workspace, &mut command), "0123456789abcdef-dirty");
}

#[test]
fn a_commit_that_is_no_text_is_refused_and_not_replaced() {
    use std::os::unix::ffi::OsStrExt;
    let workspace = Workspace::new();
    commit(&workspace.root);
    let mut command = workspace.xtask("package");
    command.env("GIT_SHA", std::ffi::OsStr::from_bytes(b"0123456789a\xff"));
    see(&mut command).ends(1).says("reading GIT_SHA: ");
    assert_eq!(workspace.built(), "");
}

#[test]
fn a_checkout_of_another_user_comes_with_gits_own_remedy() {
    let workspace = Workspace::new();
    commit(&workspace.root);
    let mut command = workspace.xtask("package");
    // With which git's own tests have it refuse a repository.
    command.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let remedy =
        format!("next: git config --global --add safe.directory {}", workspace.root.display());
    refused(&workspace, &mut command).says("dubious ownership").says(&remedy);
}

#[test]
fn without_git_the_remedy_is_to_install_it() {
    let workspace = Workspace::new();
    commit(&workspace.root);
    let bin = workspace.beside("bin");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("package").env_clear().env("PATH", &bin);
    command.env("CARGO_MANIFEST_DIR", workspace.root.join("xtask"));
    refused(&workspace, &mut command).says("git cannot be run").says("next: install git");
}

#[test]
fn every_checkout_has_line_feeds() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let workspace = Workspace::new();
    fs::copy(project.join(".gitattributes"), workspace.root.join(".gitattributes")).unwrap();
    fs::write(workspace.root.join("run"), "#!/bin/sh\necho\n").unwrap();
    let case = "xtask/tests/cases/windows.txt";
    fs::create_dir_all(workspace.root.join("xtask/tests/cases")).unwrap();
    fs::write(workspace.root.join(case), "a\r\n").unwrap();
    commit(&workspace.root);
    let clone = workspace.beside("clone");
    let from = workspace.root.display();
    git(workspace.directory.path(), &format!("-c core.autocrlf=true clone --quiet {from} clone"));
    assert_eq!(fs::read_to_string(clone.join("run")).unwrap(), "#!/bin/sh\necho\n");
    assert_eq!(fs::read_to_string(clone.join(case)).unwrap(), "a\r\n");
}
