//! How long whoever works on the project waits: from a clean clone to an API that answers, for a change of one
//! handler, for a build. In a clone of its own, with nothing compiled before.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::directory;
use crate::workspace::{root, say};

/// What a handler has before and after it is changed: it has to answer the same, or it would not be let in.
const CHANGE: (&str, &str) =
    (r#""message": "Hello, World!""#, r#""message": (["Hello, ", "World!"].concat())"#);

/// The table, in Markdown. Takes some quarter of an hour, and a handful of gigabytes while it does.
///
/// # Errors
///
/// If the clone cannot be made, or a command in it fails.
pub fn table() -> Result<String> {
    let place = directory().join("maker");
    let clone = place.join("clone");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("emptying {}", place.display()))?;
    }
    fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
    let from = root();
    run(&place, &["git", "clone", "--quiet", &from.to_string_lossy(), "clone"])?;

    let mut table = "| | command | s |\n|---|---|---:|\n".to_owned();
    let mut row = |what: &str, line: &[&str]| -> Result<Duration> {
        say(format_args!("measuring: {what}"));
        let took = run(&clone, line)?;
        table += &format!("| {what} | `{}` | {:.1} |\n", line.join(" "), took.as_secs_f64());
        Ok(took)
    };
    let measured = row("a clean clone to an API that answers", &["make", "local"])
        .and_then(|_| row("packages, nothing changed", &["cargo", "xtask", "package"]))
        .and_then(|_| edit(&clone, "functions/src/bin/root.rs", changed))
        .and_then(|()| {
            let line = ["cargo", "xtask", "deploy", "--local", "--yes"];
            row("one handler changed: compiled, packaged, deployed, proven, called", &line)
        });
    run(&clone, &["cargo", "xtask", "local", "down"])?;
    measured?;

    let build = |to: &'static str| ["cargo", "build", "--quiet", "--workspace", "--target-dir", to];
    let ours = row("everything compiled, nothing before", &build("../ours"))?;
    edit(&clone, "Cargo.toml", with_plain_profile)?;
    edit(&clone, "deployer/Cargo.toml", with_default_features)?;
    edit(&clone, "functions/Cargo.toml", with_default_features)?;
    edit(&clone, "functions/Cargo.toml", with_unicode)?;
    let plain = row(
        "the same with cargo's own profile, and all the features the SDK and `lambda_http` have by default",
        &build("../plain"),
    )?;
    let ratio = ours.as_secs_f64() / plain.as_secs_f64();
    table += &format!("\nCompiled as it is, it takes {ratio:.2} of that.\n");
    fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
    Ok(table)
}

/// Runs a command, and says how long it took.
fn run(directory: &Path, line: &[&str]) -> Result<Duration> {
    let what = || format!("running {}", line.join(" "));
    let mut words = line.iter();
    let mut command = Command::new(words.next().with_context(what)?);
    checkout::forget_caller(&mut command).args(words).current_dir(directory).stdin(Stdio::null());
    command.env_remove("CARGO_TARGET_DIR").env_remove("STAGE").stdout(Stdio::from(io::stderr()));
    let began = Instant::now();
    if !command.status().with_context(what)?.success() {
        bail!("{}: it failed, see above", what());
    }
    Ok(began.elapsed())
}

fn edit(clone: &Path, file: &str, new: fn(&str) -> Option<String>) -> Result<()> {
    let path = clone.join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {file}"))?;
    let new = new(&text).with_context(|| format!("{file} isn't as the bench knows it"))?;
    fs::write(&path, new).with_context(|| format!("writing {file}"))
}

fn changed(handler: &str) -> Option<String> {
    let (old, new) = CHANGE;
    handler.contains(old).then(|| handler.replace(old, new))
}

fn with_plain_profile(manifest: &str) -> Option<String> {
    let (before, rest) = manifest.split_once("[profile.dev]")?;
    let (_, after) = rest.split_once("[profile.lambda]")?;
    Some(format!("{before}[profile.lambda]{after}"))
}

fn with_default_features(manifest: &str) -> Option<String> {
    const WITHOUT: &str = "default-features = false, ";
    manifest.contains(WITHOUT).then(|| manifest.replace(WITHOUT, ""))
}

/// As whoever depends on `url` has it: see `functions/Cargo.toml`.
fn with_unicode(manifest: &str) -> Option<String> {
    let (before, after) = manifest.split_once("idna_adapter = \"=1.0.0\"")?;
    Some(format!("{before}idna_adapter = \"1.2\"{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_edits_is_there() {
        for (file, new) in [
            ("functions/src/bin/root.rs", changed as fn(&str) -> Option<String>),
            ("Cargo.toml", with_plain_profile),
            ("deployer/Cargo.toml", with_default_features),
            ("functions/Cargo.toml", with_default_features),
            ("functions/Cargo.toml", with_unicode),
        ] {
            let text = fs::read_to_string(root().join(file)).unwrap();
            assert_ne!(new(&text).unwrap(), text, "{file}");
        }
    }
}
