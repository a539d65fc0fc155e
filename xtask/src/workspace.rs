//! Where the workspace is, and small things that every verb shares.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

/// The workspace's root directory, from wherever below it xtask was called.
///
/// Cargo says where xtask's manifest is; the place at compile time would be wrong once a checkout has moved.
pub fn root() -> PathBuf {
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// Where packages are made, and where the deployer looks for them.
pub fn packages() -> PathBuf {
    root().join("target").join("lambda")
}

/// Where cargo builds, if the caller says so: cargo takes it relative to the directory in which it is called, and ours is
/// called in another.
pub fn target_directory() -> Option<PathBuf> {
    let named = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].iter().find_map(env::var_os);
    named.and_then(|named| std::path::absolute(named).ok())
}

/// The cargo that runs xtask, at work in the workspace's root; without progress unless someone watches.
pub fn cargo(verb: &str) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    checkout::forget_caller(&mut command).current_dir(root()).arg(verb);
    command.envs(target_directory().map(|directory| ("CARGO_TARGET_DIR", directory)));
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    command
}

/// Creates `directory`, and proves that files can be written there: what comes next may take minutes.
///
/// # Errors
///
/// If it can't be written to; `next` is the remedy.
pub fn make_writable(directory: &Path, next: &str) -> Result<()> {
    let probe = directory.join(format!(".{}.tmp", std::process::id()));
    let write = || fs::create_dir_all(directory).and_then(|()| fs::write(&probe, ""));
    write()
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|error| anyhow!("writing to {}: {error}\n  next: {next}", directory.display()))
}

/// Prints a line of progress to standard error: standard output is for results, and those are the deployer's.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a file as a whole: whoever reads `path` meanwhile sees the old content or the new, never a part.
///
/// # Errors
///
/// If the directory cannot be written to.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    write()
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .with_context(|| format!("writing {}", path.display()))
}
