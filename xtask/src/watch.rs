//! Deploys to the local cloud whenever a source is saved: `cargo xtask watch`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::USAGE;
use crate::workspace::{root, say};

/// How often the sources are looked at: sooner than a hand gets from the editor to the browser.
const LOOK: Duration = Duration::from_millis(200);

/// What a deploy is made of.
const SOURCES: [&str; 6] =
    ["functions", "checkout/src", "deployer/src", "deployer/infra/src", "Cargo.toml", "Cargo.lock"];

/// Deploy to the local cloud now, and again whenever a source is saved
#[derive(Args)]
pub struct Watch {
    /// Options for each deploy, such as --stage NAME
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<String>,
}

/// When each source was last written.
type Seen = BTreeMap<PathBuf, SystemTime>;

impl Watch {
    /// Until somebody ends it.
    ///
    /// # Errors
    ///
    /// If xtask can't be run again.
    pub fn run(&self) -> Result<()> {
        loop {
            // A save during a deploy is another deploy.
            let seen = sources();
            self.deploy()?;
            say(format_args!("waiting for a save in {}; Ctrl-C ends this", SOURCES.join(", ")));
            let changed = await_change(&seen);
            say(format_args!("\n{} changed", changed.display()));
        }
    }

    fn deploy(&self) -> Result<()> {
        let program = env::current_exe().context("finding xtask's own program")?;
        let began = Instant::now();
        let mut deploy = Command::new(program);
        deploy.args(self.arguments());
        let ended = deploy.status().context("running xtask")?;
        if ended.code() == Some(USAGE.into()) {
            bail!("deploy doesn't take these options, see above");
        }
        let how = if ended.success() { "live" } else { "not live" };
        say(format_args!("{how} after {:.1} s", began.elapsed().as_secs_f64()));
        Ok(())
    }
}

impl Watch {
    /// For the deployer, which takes no flag twice.
    fn arguments(&self) -> Vec<&str> {
        let given: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let mut arguments = vec!["deploy"];
        if !given.contains(&"--local") {
            arguments.push("--local");
        }
        if !given.contains(&"--yes") && !given.contains(&"-y") {
            arguments.push("--yes");
        }
        [arguments, given].concat()
    }
}

/// Waits for a source that differs, and says which.
fn await_change(seen: &Seen) -> PathBuf {
    loop {
        thread::sleep(LOOK);
        let now = sources();
        let gone = seen.keys().find(|path| !now.contains_key(*path));
        let new = || now.iter().find(|(path, time)| seen.get(*path) != Some(time));
        if let Some(path) = gone.or_else(|| new().map(|(path, _)| path)) {
            return path.strip_prefix(root()).unwrap_or(path).to_owned();
        }
    }
}

fn sources() -> Seen {
    let mut seen = Seen::new();
    SOURCES.iter().for_each(|source| look(&root().join(source), &mut seen));
    seen
}

/// What can't be read isn't there: editors put files in another's place.
fn look(path: &Path, seen: &mut Seen) {
    // A link is not followed: it might lead back here.
    let Ok(about) = fs::symlink_metadata(path) else { return };
    if !about.is_dir() {
        seen.extend(about.modified().ok().map(|time| (path.to_owned(), time)));
        return;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    // Swap files of editors, and what is hidden otherwise.
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    entries.filter(|entry| !hidden(&entry.file_name())).for_each(|entry| look(&entry.path(), seen));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flag_is_given_twice() {
        let arguments = |line: &str| {
            let options = line.split_whitespace().map(ToOwned::to_owned).collect();
            Watch { options }.arguments().join(" ")
        };
        assert_eq!(arguments("--stage me"), "deploy --local --yes --stage me");
        assert_eq!(arguments("--local -y"), "deploy --local -y");
        assert_eq!(arguments("--yes"), "deploy --local --yes");
    }

    #[test]
    fn a_save_a_new_file_and_one_that_is_gone_are_seen() {
        let home = tempfile::tempdir().unwrap();
        let seen = || {
            let mut seen = Seen::new();
            look(home.path(), &mut seen);
            seen
        };
        let file = home.path().join("a/b.rs");
        fs::create_dir(home.path().join("a")).unwrap();
        let nothing = seen();
        fs::write(&file, "1").unwrap();
        fs::write(home.path().join("a/.b.rs.swp"), "1").unwrap();
        let one = seen();
        assert_eq!((nothing.len(), one.len()), (0, 1));
        let later = SystemTime::now() + Duration::from_secs(5);
        fs::File::open(&file).unwrap().set_modified(later).unwrap();
        assert_ne!(seen(), one);
        fs::remove_file(&file).unwrap();
        assert_eq!(seen(), nothing);
    }
}
