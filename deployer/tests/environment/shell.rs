//! The program in an empty home, with nothing in its environment but what a test puts there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Credentials that nobody knows, and a region.
pub const SOMEBODY: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "a-secret-key"),
    REGION,
];

pub const REGION: (&str, &str) = ("AWS_REGION", "ap-southeast-2");

pub struct Shell {
    home: TempDir,
    env: Vec<(String, String)>,
}

/// What a run said, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Shell {
    pub fn new(env: &[(&str, &str)]) -> Self {
        let shell = Self { home: tempfile::tempdir().unwrap(), env: vec![] };
        env.iter().fold(shell, |shell, (name, value)| shell.with(name, value))
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Puts a file into the home.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.home().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        file
    }

    /// Runs the program, which may write nothing into its home and never panics.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ran {
        let before = files(self.home());
        let output = Command::new(env!("CARGO_BIN_EXE_deployer"))
            .args(line.split_whitespace())
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", self.home())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        let ran = Ran { code: output.status.code(), out, err };
        assert!(ran.code.is_some_and(|code| code != 101), "{ran:?}");
        assert!(!ran.err.contains("panicked"), "{ran:?}");
        assert_eq!(files(self.home()), before, "{ran:?}");
        for secret in ["a-secret-key", "a-proxy-password"] {
            assert!(!format!("{ran:?}").contains(secret), "{ran:?}");
        }
        ran
    }
}

impl Shell {
    /// Level, finding and remedy of one of the doctor's lines.
    pub fn finds(&self, check: &str) -> (String, String, String) {
        let said: serde_json::Value = serde_json::from_str(&self.run("doctor --json").out).unwrap();
        let mut lines = said["checks"].as_array().unwrap().iter();
        let line = lines.find(|line| line["check"] == check).unwrap();
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (text("level"), text("found"), text("next"))
    }
}

impl Ran {
    /// Ended so.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Was refused before anything was changed, with a cause and a remedy. `said` are in it.
    #[track_caller]
    pub fn refused(self, said: &[&str]) -> Self {
        let ran = self.ends(6);
        assert_eq!(ran.out, "", "{ran:?}");
        for part in ["error: ", "\n  likely cause: ", "\n  next: ", "\nnothing was changed"] {
            assert!(ran.err.contains(part), "no {part:?}: {}", ran.err);
        }
        for part in said {
            assert!(ran.err.contains(part), "no {part:?}: {}", ran.err);
        }
        ran
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}
