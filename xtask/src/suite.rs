//! Parts of the deployer's tests that leave rows for a table.

use std::fs;
use std::io;
use std::process::Command;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::workspace::{cargo, root};

/// The tests with the local cloud; of the whole workspace, as `make test` runs them: else cargo would compile the SDK
/// anew.
pub fn suite() -> Command {
    let mut tests = cargo("test");
    tests.args(["--workspace", "--test", "cloud", "--"]);
    tests
}

/// Runs tests that write rows into the file that `variable` names. Says whether all have passed, and gives the rows.
///
/// # Errors
///
/// If cargo cannot be run, or a row cannot be read.
pub fn rows<T: DeserializeOwned>(tests: &mut Command, variable: &str) -> Result<(bool, Vec<T>)> {
    let file = root().join("target").join(variable.to_lowercase()).with_extension("jsonl");
    let _ = fs::remove_file(&file); // that of the last time
    tests.env(variable, &file).stdout(io::stderr());
    let passed = tests.status().context("running cargo test")?.success();
    let rows = fs::read_to_string(&file).unwrap_or_default();
    let rows = rows.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    Ok((passed, rows.with_context(|| format!("reading {}", file.display()))?))
}
