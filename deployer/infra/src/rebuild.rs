//! Makes the packages of a commit anew, from nothing but the commit: in a checkout of its own, below
//! `target/` of the one that the current directory is in.

use anyhow::{Context, Result, bail};
use checkout::{Absent, Checkout, forget_caller, parse};
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// So many of the last lines of a build that failed are shown.
const LAST: usize = 20;

/// What of our environment a build must not see: what cargo told the program that it ran last, what
/// would change the sources or how they are compiled, and what is none of a build script's business.
const WITHHELD: [&str; 7] = [
    "AWS_",
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PROFILE_",
    "RUSTFLAGS",
];

/// Where a commit says which Rust it wants. Otherwise it is ours that is taken.
const TOOLCHAINS: [&str; 2] = ["rust-toolchain.toml", "rust-toolchain"];

/// Nobody can say whether a commit is what serves; and what helps.
#[derive(Debug)]
pub struct CannotTell {
    pub why: String,
    pub next: String,
}

impl fmt::Display for CannotTell {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for CannotTell {}

fn cannot(why: impl Into<String>, next: impl Into<String>) -> CannotTell {
    CannotTell { why: why.into(), next: next.into() }
}

/// The digits of a commit that can be rebuilt.
///
/// # Errors
/// When it can't.
pub fn commit(git_sha: &str) -> Result<&str> {
    match parse(git_sha) {
        Some((digits, false)) => Ok(digits),
        Some((_, true)) => bail!(cannot(
            format!("{git_sha} was packaged with changes that nobody committed: no commit is it"),
            "commit them, and deploy that"
        )),
        None => bail!(cannot(
            format!("{:?} is not a commit", git_sha.chars().take(64).collect::<String>()),
            "deploy again, from a checkout"
        )),
    }
}

/// Packages a commit as `cargo xtask package` does, and gives the directory with the packages. A
/// later call is quicker, also for another commit: what both need is compiled once.
///
/// # Errors
/// When it can't be, with what helps.
pub fn rebuild(git_sha: &str, arch: &str) -> Result<PathBuf> {
    build(git_sha, arch).with_context(|| format!("rebuilding commit {git_sha}"))
}

fn build(git_sha: &str, arch: &str) -> Result<PathBuf> {
    let digits = commit(git_sha)?;
    if !["x86_64", "arm64"].contains(&arch) {
        bail!(cannot(format!("Lambda has no architecture {arch:?}"), "deploy again"));
    }
    let elsewhere = "run it in a checkout of the sources; or give it packages, with --rebuilt DIR";
    let checkout = Checkout::here().map_err(|absent| match absent {
        Absent::Git(_) => cannot(absent.to_string(), "install git; or use --rebuilt DIR"),
        Absent::Owner { ref remedy, .. } => cannot(absent.to_string(), remedy),
        Absent::Untracked(_) | Absent::Checkout(_) => cannot(absent.to_string(), elsewhere),
    })?;
    if !checkout.has(digits) {
        let why = format!("the checkout {} does not have it", checkout.root.display());
        bail!(cannot(why, format!("{}, then run it again", checkout.fetch())));
    }
    let place = checkout.root.join("target/verify");
    let lock = fs::create_dir_all(&place).and_then(|()| File::create(place.join("lock")));
    let lock = lock.map_err(|error| {
        let why = format!("writing to {}: {error}", place.display());
        cannot(why, "run it in a checkout that can be written to; or use --rebuilt DIR")
    })?;
    if lock.try_lock().is_err() {
        bail!(cannot(
            "another verify is at work in this checkout",
            "run it again when it has ended"
        ));
    }
    let sources = Sources::of(&checkout, digits, place.join("checkout"))?;
    let packages = place.join("packages");
    let mut cargo = Command::new("cargo");
    cargo.args(["xtask", "package", "--arch", arch, "--out"]).arg(&packages);
    withhold(forget_caller(&mut cargo));
    if TOOLCHAINS.iter().any(|file| sources.project.join(file).exists()) {
        cargo.env_remove("RUSTUP_TOOLCHAIN");
    }
    cargo.env("GIT_SHA", git_sha).env("CARGO_TARGET_DIR", place.join("target"));
    match cargo.current_dir(&sources.project).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(packages),
        Ok(output) => bail!(cannot(
            format!("cargo xtask package failed, and last said:\n{}", last_lines(&output)),
            format!("run it yourself, in a checkout of {git_sha}; or use --rebuilt DIR")
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(cannot(
                "cargo cannot be run: it isn't there",
                "install Rust; or use --rebuilt DIR"
            ))
        }
        Err(error) => Err(error).context("running cargo"),
    }
}

fn withhold(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if WITHHELD.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            command.env_remove(name);
        }
    }
}

fn last_lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<String> = text.trim_end().lines().map(|line| format!("    {line}")).collect();
    lines[lines.len().saturating_sub(LAST)..].join("\n")
}

/// A commit, checked out; gone again with this value. It lies always in the same place, as compilers are
/// told where that is: elsewhere, nothing that was compiled before would do.
struct Sources<'a> {
    checkout: &'a Checkout,
    path: PathBuf,
    /// The project in it: below `path` where the repository holds more than the project.
    project: PathBuf,
}

impl<'a> Sources<'a> {
    fn of(checkout: &'a Checkout, digits: &str, path: PathBuf) -> Result<Self> {
        // A run that was killed has left it.
        remove(checkout, &path);
        let prefix = checkout.prefix();
        let prefix = prefix.map_err(|said| cannot(said, "mend that"))?;
        let sources = Self { checkout, project: path.join(prefix), path };
        let path = sources.path.to_string_lossy();
        // Somebody's hooks are for somebody's own work. Once forced is for a place that is known and gone,
        // twice for one where git itself was killed.
        let no_hooks = ["-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"];
        let add = ["worktree", "add", "--force", "--force", "--detach", &*path, digits];
        let added = checkout.git(&[&no_hooks[..], &add].concat());
        added.map_err(|said| cannot(format!("git cannot check it out: {said}"), "mend that"))?;
        Ok(sources)
    }
}

impl Drop for Sources<'_> {
    fn drop(&mut self) {
        remove(self.checkout, &self.path);
    }
}

fn remove(checkout: &Checkout, path: &Path) {
    let _ = checkout.git(&["worktree", "remove", "--force", "--force", &path.to_string_lossy()]);
    let _ = fs::remove_dir_all(path);
}
