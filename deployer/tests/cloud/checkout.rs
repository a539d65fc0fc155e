//! A small repository for the deployer to be run in, with a cargo that only pretends to compile.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// `cargo xtask package --arch ARCH --out DIR`: as the file `source` says, fails, or gives the packages.
const CARGO: &str = r#"#!/bin/sh
echo "$* GIT_SHA=$GIT_SHA AWS=$AWS_SECRET_ACCESS_KEY source=$(cat source)" >> "${0%/*}/said"
if [ "$(cat source)" = broken ]; then
    seq 100 >&2
    echo "error: it does not compile" >&2
    exit 101
fi
mkdir -p "$6" "$CARGO_TARGET_DIR" && cp "${0%/*}"/packages/* "$6"
"#;

pub struct Checkout {
    directory: TempDir,
    /// The project's directory.
    root: PathBuf,
}

impl Checkout {
    pub fn new() -> Self {
        Self::at("")
    }

    /// With the project in this directory of the repository.
    pub fn at(prefix: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join(prefix);
        let checkout = Self { directory, root };
        fs::create_dir_all(checkout.path().join("below")).unwrap();
        fs::write(checkout.path().join(".gitignore"), "/target\n").unwrap();
        fs::write(checkout.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        let mut init = ::checkout::command(checkout.top());
        assert!(init.args(["init", "--quiet"]).status().unwrap().success());
        checkout
    }

    /// The repository's uppermost directory.
    pub fn top(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    #[track_caller]
    pub fn git(&self, line: &str) -> String {
        let mut command = ::checkout::command(self.path());
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
        let Output { status, stdout, stderr } =
            command.args(line.split_whitespace()).output().unwrap();
        assert!(status.success(), "{line}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap().trim().to_owned()
    }

    /// Commits a file `source` of this content; gives eleven digits of the commit.
    pub fn commit(&self, source: &str) -> String {
        fs::write(self.path().join("source"), source).unwrap();
        self.git("add --all");
        self.git(&format!("commit --quiet -m {source}"));
        self.git("rev-parse --short=11 HEAD")
    }

    /// Has a command run in here, with git.
    pub fn around<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var_os("PATH").unwrap();
        command.current_dir(self.path().join("below")).env("PATH", path)
    }

    /// Puts a cargo before the real one, which gives copies of these packages; gives a `PATH` with it,
    /// and the file in which it says how it was called.
    pub fn pretend_cargo(&self, packages: &Path) -> (OsString, PathBuf) {
        let place = self.path().join("target/pretended");
        fs::create_dir_all(&place).unwrap();
        let cargo = place.join("cargo");
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(packages, place.join("packages")).unwrap();
        let said = place.join("said");
        let rest = std::env::var_os("PATH").unwrap();
        let path = [place].into_iter().chain(std::env::split_paths(&rest));
        (std::env::join_paths(path).unwrap(), said)
    }
}
