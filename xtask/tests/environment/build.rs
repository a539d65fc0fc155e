//! Where things are built, and where that is impossible.

use std::fs;

use crate::{Workspace, see};

#[test]
fn a_target_directory_is_the_callers_whatever_names_it() {
    let workspace = Workspace::new();
    let below = workspace.root.join("below");
    let absolute = workspace.beside("absolute");
    for (name, named, directory, expected) in [
        ("CARGO_TARGET_DIR", "out", &workspace.root, workspace.root.join("out")),
        ("CARGO_TARGET_DIR", "out", &below, below.join("out")),
        ("CARGO_TARGET_DIR", absolute.to_str().unwrap(), &below, absolute.clone()),
        ("CARGO_BUILD_TARGET_DIR", "out", &below, below.join("out")),
    ] {
        let _ = fs::remove_file(workspace.beside("bin/built"));
        let mut command = workspace.xtask("deploy");
        command.current_dir(directory).env(name, named).env("GIT_SHA", "0123456789a");
        see(&mut command).ends(0);
        let built = workspace.built();
        let expected = expected.display();
        assert_eq!(built.lines().count(), 2, "{built}");
        for line in built.lines() {
            assert!(line.contains(&format!(" target={expected} ")), "{named}: {line}");
        }
        // Its path must not get into the functions.
        assert!(built.contains(&format!("={expected}=/workspace/target")), "{built}");
    }
}

#[test]
fn a_place_that_can_not_be_written_to_is_told_before_anything_is_built() {
    let workspace = Workspace::new();
    let sha = ("GIT_SHA", "0123456789a");
    let mut command = workspace.xtask("package --out /dev/null/packages");
    see(command.env(sha.0, sha.1)).ends(1).says("writing to /dev/null/packages: ").says("next: ");

    fs::write(workspace.root.join("target"), "").unwrap();
    let mut command = workspace.xtask("deploy --yes");
    let seen = see(command.env(sha.0, sha.1)).ends(6);
    seen.says("target/lambda: ").says("next: ").says("--packages DIR");
    let seen = see(&mut workspace.xtask("local up")).ends(1);
    seen.says("target/local: ").says("next: ").says("make it writable");
    assert_eq!(workspace.built(), "");
}
