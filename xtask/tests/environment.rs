//! xtask as it is built, in odd surroundings: variables, files and checkouts that others have. Each test demands a
//! message with cause and remedy, the documented exit code, no panic, and that nothing is written where something is
//! wrong.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "environment/build.rs"]
mod build;
#[path = "environment/dotenv.rs"]
mod dotenv;
#[path = "environment/git.rs"]
mod git;
#[path = "environment/python.rs"]
mod python;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs xtask for `cargo xtask`, and only writes down what it was to build, and with which variables.
const CARGO: &str = r#"#!/bin/sh
if [ "$1" = xtask ]; then
    shift
    exec env CARGO_MANIFEST_DIR="$ROOT/xtask" "$XTASK" "$@"
fi
[ "$1" = tree ] && exit
echo "cargo $* target=$CARGO_TARGET_DIR flags=$CARGO_ENCODED_RUSTFLAGS" >> "$BIN/built"
case "$*" in *"--bin deployer "*)
    echo '{"package_id":"deployer","target":{"name":"deployer","kind":["bin"]},"filenames":[],"executable":"'"$BIN/deployer"'"}'
esac
"#;

/// A deployer that only prints what it was given.
const DEPLOYER: &str = r#"#!/bin/sh
echo "$* stage=$STAGE profile=$AWS_PROFILE region=$AWS_REGION${EMPTY+ EMPTY is set}"
"#;

/// A workspace with the project's Makefile, and programs in place of cargo and the deployer.
struct Workspace {
    directory: TempDir,
    root: PathBuf,
}

/// What a user sees.
#[derive(Debug)]
struct Seen {
    code: i32,
    out: String,
    err: String,
}

impl Workspace {
    fn new() -> Self {
        Self::below("project")
    }

    /// With its root directory at `path`, below a directory of the test's own.
    fn below(path: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().canonicalize().unwrap();
        let root = place.join(path);
        fs::create_dir_all(root.join("below")).unwrap();
        fs::create_dir(place.join("bin")).unwrap();
        for (name, script) in [("cargo", CARGO), ("deployer", DEPLOYER)] {
            let file = place.join("bin").join(name);
            fs::write(&file, script).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for file in ["Makefile", ".gitignore"] {
            fs::copy(project.join(file), root.join(file)).unwrap();
        }
        fs::write(root.join("Cargo.toml"), "[workspace]\n").unwrap();
        fs::write(root.join("Cargo.lock"), "version = 4\n").unwrap();
        Self { directory, root }
    }

    /// A directory beside the workspace.
    fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    /// A program in an environment with nothing of this test's own.
    fn command(&self, program: &str) -> Command {
        let bin = self.beside("bin");
        let rest = std::env::var_os("PATH").unwrap();
        let path = [bin.clone()].into_iter().chain(std::env::split_paths(&rest));
        let path = std::env::join_paths(path).unwrap();
        let mut command = Command::new("env");
        command.env_clear().current_dir(&self.root).arg(program);
        command.env("HOME", self.directory.path()).env("PATH", path);
        for name in ["RUSTUP_HOME", "CARGO_HOME", "RUSTUP_TOOLCHAIN"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        // Where rustup keeps its toolchains unless it is told.
        if std::env::var_os("RUSTUP_HOME").is_none() {
            let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".rustup"));
            command.envs(home.map(|home| ("RUSTUP_HOME", home)));
        }
        command.env("ROOT", &self.root).env("BIN", bin).env("XTASK", env!("CARGO_BIN_EXE_xtask"));
        command
    }

    fn xtask(&self, line: &str) -> Command {
        let mut command = self.command("cargo");
        command.arg("xtask").args(line.split_whitespace());
        command
    }

    fn make(&self, line: &str) -> Command {
        let mut command = self.command("make");
        command.arg("--silent").args(line.split_whitespace());
        command
    }

    /// What cargo was called for, a line a call.
    fn built(&self) -> String {
        fs::read_to_string(self.beside("bin/built")).unwrap_or_default()
    }
}

#[track_caller]
fn see(command: &mut Command) -> Seen {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    let code = status.code().unwrap();
    assert!(code != 101 && !err.contains("panicked"), "{err}");
    Seen { code, out, err }
}

impl Seen {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in {}", self.err);
        self
    }
}
