//! What git knows of the project's sources, for xtask and the deployer.
//!
//! Both ask git in one way, [`command`]: the variables that git sets for its hooks and the user's settings do not change
//! the answer, because it names the commit that a package claims to be made of.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that send git to another repository, index or object store than that of the current directory: those that
/// `git rev-parse --local-env-vars` lists, except `GIT_CONFIG_*` (which may hold `safe.directory`), and those that limit
/// the search or change how paths are read.
const MISLEADING: [&str; 20] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Settings of the user that change the answers: a monitor that may miss changes, and ignored files that the project
/// itself does not ignore.
const SETTINGS: [&str; 4] = ["-c", "core.fsmonitor=false", "-c", "core.excludesFile=/dev/null"];

/// What a commit's name ends in when more was packaged than is committed.
const DIRTY: &str = "-dirty";

/// A checkout of the project.
#[derive(Debug)]
pub struct Checkout {
    /// The project's root directory, which holds the workspace's `Cargo.toml`. The repository's may be above it.
    pub root: PathBuf,
}

/// Why there is no checkout.
#[derive(Debug, PartialEq, Eq)]
pub enum Absent {
    /// Git cannot be run: the system's error.
    Git(String),
    /// The repository belongs to another user, so git refuses to read it: git's message, and the command that it
    /// advises.
    Owner { said: String, remedy: String },
    /// The `Cargo.toml` of this directory is in a repository, but not tracked there.
    Untracked(PathBuf),
    /// The directory is in no repository, or in no workspace of cargo's.
    Checkout(String),
}

/// Where a commit is, seen from what is checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// So many commits behind.
    Behind(u64),
    /// So many commits further on.
    Ahead(u64),
    /// On another branch.
    Apart,
    /// The checkout does not have it, or not enough of its history.
    Unknown,
}

/// The digits of a commit, and whether there was more than is committed; `None` where the text names no
/// commit. Anybody who may write the bucket may have written it, and git would take it for an option.
pub fn parse(git_sha: &str) -> Option<(&str, bool)> {
    let digits = git_sha.strip_suffix(DIRTY);
    let (digits, dirty) = (digits.unwrap_or(git_sha), digits.is_some());
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    ((7..=40).contains(&digits.len()) && digits.bytes().all(hex)).then_some((digits, dirty))
}

/// Removes the caller's variables that would send git elsewhere from what `command` is to see.
pub fn forget_caller(command: &mut Command) -> &mut Command {
    MISLEADING.iter().fold(command, |command, name| command.env_remove(name))
}

/// Git in `directory`, independent of the caller's variables and settings. It writes nothing that it need not write, and
/// its messages are in English.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    forget_caller(&mut command).env("LC_ALL", "C");
    command.arg("--no-optional-locks").args(SETTINGS).arg("-C").arg(directory);
    command
}

impl Checkout {
    /// The checkout that the current directory is in.
    ///
    /// # Errors
    /// When there is none, or no git.
    pub fn here() -> Result<Self, Absent> {
        let here = env::current_dir().map_err(|error| Absent::Checkout(error.to_string()))?;
        Self::around(&here)
    }

    /// The checkout that `directory` is in.
    ///
    /// # Errors
    /// When there is none, or no git.
    pub fn around(directory: &Path) -> Result<Self, Absent> {
        match directory.ancestors().find(|directory| is_workspace(directory)) {
            Some(root) => Self::at(root),
            None => {
                git(directory, &["rev-parse", "--git-dir"])?;
                let said =
                    format!("no Cargo.toml of a workspace in or above {}", directory.display());
                Err(Absent::Checkout(said))
            }
        }
    }

    /// The checkout whose root directory is `root`.
    ///
    /// # Errors
    /// When git tracks no `Cargo.toml` there, as in a tarball that was unpacked inside another repository; or no git.
    pub fn at(root: &Path) -> Result<Self, Absent> {
        match git(root, &["ls-files", "--error-unmatch", "--", "Cargo.toml"]) {
            Ok(_) => Ok(Self { root: root.to_owned() }),
            Err(Failure { code: Some(1), .. }) => Err(Absent::Untracked(root.to_owned())),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The commit that is checked out: eleven digits, or as many as it takes.
    ///
    /// # Errors
    /// When nothing is committed yet: git's message.
    pub fn commit(&self) -> Result<String, String> {
        self.git(&["rev-parse", "--short=11", "HEAD"])
    }

    /// [`commit`](Self::commit), with `-dirty` if anything in the repository is uncommitted.
    ///
    /// # Errors
    /// When nothing is committed yet: git's message.
    pub fn commit_or_dirty(&self) -> Result<String, String> {
        let status =
            ["status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none"];
        let commit = self.commit()?;
        let clean = self.git(&status)?.is_empty();
        Ok(if clean { commit } else { commit + DIRTY })
    }

    /// Where the project is in its repository: empty at its top, else `sub/directory/`.
    ///
    /// # Errors
    /// When git refuses: its message.
    pub fn prefix(&self) -> Result<String, String> {
        self.git(&["rev-parse", "--show-prefix"])
    }

    /// The command that gets commits which the checkout does not have. A shallow clone lacks old ones, and
    /// `git fetch --all` would not get them.
    pub fn fetch(&self) -> &'static str {
        if self.is_shallow() { "git fetch --unshallow" } else { "git fetch --all" }
    }

    fn is_shallow(&self) -> bool {
        self.git(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|answer| answer == "true")
    }

    /// Whether it has the commit of these digits.
    pub fn has(&self, digits: &str) -> bool {
        self.git(&["cat-file", "-e", &format!("{digits}^{{commit}}")]).is_ok()
    }

    /// Where the commit of these digits is.
    pub fn place(&self, digits: &str) -> Place {
        if !self.has(digits) {
            return Place::Unknown;
        }
        let both = format!("{digits}...HEAD");
        let counts = self.git(&["rev-list", "--left-right", "--count", &both]).unwrap_or_default();
        let counts: Vec<u64> = counts.split_whitespace().flat_map(str::parse).collect();
        match counts[..] {
            [0, behind] => Place::Behind(behind),
            [ahead, 0] => Place::Ahead(ahead),
            // What the two have in common may be what a shallow clone lacks.
            [_, _] if !self.is_shallow() => Place::Apart,
            _ => Place::Unknown,
        }
    }

    /// What git prints when it is asked this, without the end of its last line.
    ///
    /// # Errors
    /// When it can't be run or refuses: what it says.
    pub fn git(&self, arguments: &[&str]) -> Result<String, String> {
        git(&self.root, arguments).map_err(|failure| failure.said)
    }
}

/// Whether cargo takes `directory` for the root of a workspace.
fn is_workspace(directory: &Path) -> bool {
    let manifest = fs::read_to_string(directory.join("Cargo.toml"));
    manifest.is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
}

/// Why git gave no answer.
struct Failure {
    /// None if git could not be run.
    code: Option<i32>,
    said: String,
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = command(directory).args(arguments).output();
    let output = output.map_err(|error| Failure { code: None, said: error.to_string() })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    // A git that was killed has no code of its own.
    Err(Failure { code: Some(output.status.code().unwrap_or(-1)), said: text(&output.stderr) })
}

impl From<Failure> for Absent {
    fn from(Failure { code, said }: Failure) -> Self {
        if code.is_none() {
            return Self::Git(said);
        }
        // Git 2.35.2 and newer: "To add an exception for this directory, call:", and the command.
        let remedy = said.lines().map(str::trim).find(|line| line.contains("safe.directory"));
        match remedy {
            Some(remedy) => {
                Self::Owner { said: reason(&said).to_owned(), remedy: remedy.to_owned() }
            }
            None => Self::Checkout(reason(&said).to_owned()),
        }
    }
}

/// The line of git's message that holds the reason.
fn reason(said: &str) -> &str {
    let fatal = said.lines().find(|line| line.starts_with("fatal: "));
    fatal.or(said.lines().next()).unwrap_or("git gave no reason")
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Git(error) => write!(f, "git cannot be run: {error}"),
            Self::Owner { said, .. } => f.write_str(said),
            Self::Untracked(root) => write!(
                f,
                "{} is not a checkout: it is in a git repository that does not track its Cargo.toml",
                root.display()
            ),
            Self::Checkout(said) => write!(f, "here is no checkout of the sources: {said}"),
        }
    }
}

#[cfg(test)]
mod tests;
