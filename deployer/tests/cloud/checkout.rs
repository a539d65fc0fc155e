//! A small repository for the deployer to be run in.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

pub struct Checkout {
    directory: TempDir,
}

impl Checkout {
    pub fn new() -> Self {
        let checkout = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(checkout.path().join("below")).unwrap();
        fs::write(checkout.path().join(".gitignore"), "/target/\n").unwrap();
        checkout.git("init --quiet");
        checkout
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    #[track_caller]
    pub fn git(&self, line: &str) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
        let Output { status, stdout, stderr } =
            command.args(line.split_whitespace()).current_dir(self.path()).output().unwrap();
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
}
