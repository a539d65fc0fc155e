//! What git knows of the checkout that the current directory is in.

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What git sets for its hooks: it would look there, wherever it is sent.
const MISLEADING: [&str; 4] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"];

/// What a commit's name ends in when more was packaged than is committed.
const DIRTY: &str = "-dirty";

/// A checkout of some repository, by its uppermost directory.
#[derive(Debug)]
pub struct Checkout {
    pub root: PathBuf,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Absent {
    /// Git can't be run.
    Git(String),
    /// In git's words.
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

impl Checkout {
    /// The one around the current directory.
    ///
    /// # Errors
    /// When there is none, or no git.
    pub fn here() -> Result<Self, Absent> {
        let here = env::current_dir().map_err(|error| Absent::Checkout(error.to_string()))?;
        Self::around(&here)
    }

    /// # Errors
    /// When there is none, or no git.
    pub fn around(directory: &Path) -> Result<Self, Absent> {
        let run = git(directory, &["rev-parse", "--show-toplevel"]);
        let root =
            run.map_err(|error| Absent::Git(error.to_string()))?.map_err(Absent::Checkout)?;
        Ok(Self { root: root.into() })
    }

    /// Whether it has the commit of these digits.
    pub fn has(&self, digits: &str) -> bool {
        self.git(&["cat-file", "-e", &format!("{digits}^{{commit}}")]).is_ok()
    }

    /// Where the commit of these digits is.
    pub fn place(&self, digits: &str) -> Place {
        let both = format!("{digits}...HEAD");
        let counts = match self.has(digits) {
            true => self.git(&["rev-list", "--left-right", "--count", &both]).unwrap_or_default(),
            false => return Place::Unknown,
        };
        let counts: Vec<u64> = counts.split_whitespace().flat_map(str::parse).collect();
        match counts[..] {
            [0, behind] => Place::Behind(behind),
            [ahead, 0] => Place::Ahead(ahead),
            [_, _] => Place::Apart,
            _ => Place::Unknown,
        }
    }

    /// What git prints when it is asked this, without the end of its last line.
    ///
    /// # Errors
    /// When it can't be run or refuses: what it says.
    pub fn git(&self, arguments: &[&str]) -> Result<String, String> {
        git(&self.root, arguments).map_err(|error| error.to_string())?
    }
}

fn git(directory: &Path, arguments: &[&str]) -> io::Result<Result<String, String>> {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(arguments);
    for name in MISLEADING {
        command.env_remove(name);
    }
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    })
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Git(error) => write!(f, "git cannot be run: {error}"),
            Self::Checkout(said) => write!(f, "here is no checkout of the sources: {said}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_commit_gets_to_git() {
        assert_eq!(parse("abc57858585"), Some(("abc57858585", false)));
        assert_eq!(parse("abc57858585-dirty"), Some(("abc57858585", true)));
        for bad in
            ["", "main", "-dirty", "--output=x", "../../abc5785", "abc57858585 dirty", "abc57"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_commit_is_behind_ahead_apart_or_unknown() {
        let directory = tempfile::tempdir().unwrap();
        let run = |line: &str| {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
            let words = identity.into_iter().chain(line.split_whitespace());
            git(directory.path(), &words.collect::<Vec<_>>()).unwrap().unwrap()
        };
        let commit = |message: &str| {
            run(&format!("commit --quiet --allow-empty -m {message}"));
            run("rev-parse HEAD")
        };
        assert!(matches!(Checkout::around(directory.path()), Err(Absent::Checkout(_))));
        run("init --quiet");
        let [first, second] = [commit("a"), commit("b")];
        std::fs::create_dir(directory.path().join("below")).unwrap();
        let checkout = Checkout::around(&directory.path().join("below")).unwrap();
        assert_eq!(checkout.place(&first), Place::Behind(1));
        assert_eq!(checkout.place(&second[..11]), Place::Behind(0));
        run("checkout --quiet HEAD^");
        assert_eq!(checkout.place(&second), Place::Ahead(1));
        commit("c");
        assert_eq!(checkout.place(&second), Place::Apart);
        assert_eq!(checkout.place("0123456789a"), Place::Unknown);
    }
}
