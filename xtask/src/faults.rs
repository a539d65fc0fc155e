//! The fault suite: `cargo xtask faults`. It is tests of the deployer (`deployer/tests/cloud/faults`), each of which
//! leaves rows of a table; this runs them and shows it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::suite::{rows, suite};

const EXAMPLES: &str = "\
Examples:
  cargo xtask faults                           each request that changes something, in each way
  cargo xtask faults --all                     also those that only read: what CI does at night
  cargo xtask faults --case deploy_killed      the tests whose names contain that";

/// Break the deployer's requests to the local cloud, and show whether the next run finishes the job.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Faults {
    /// Only tests whose names contain this
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Break every request in every way, also those that only read
    #[arg(long)]
    all: bool,
}

#[derive(Default, Deserialize)]
struct Row {
    case: String,
    broken: usize,
    converged: usize,
    left_over: usize,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.broken += other.broken;
        self.converged += other.converged;
        self.left_over += other.left_over;
    }
}

impl Faults {
    /// Runs the suite, and prints the table on standard output.
    ///
    /// # Errors
    ///
    /// If a test fails, or none is of that name.
    pub fn run(&self) -> Result<()> {
        let mut tests = suite();
        tests.arg("--exact").args(self.names()?);
        tests.env("FAULTS", if self.all { "all" } else { "writes" });
        let (passed, rows) = rows(&mut tests, "FAULTS_TABLE")?;
        let _ = io::stdout().write_all(table(rows).as_bytes());
        if !passed {
            bail!("some cases failed, see above");
        }
        Ok(())
    }
}

impl Faults {
    /// The tests of the suite that were asked for.
    fn names(&self) -> Result<Vec<String>> {
        let Output { status, stdout, .. } = suite()
            .arg("--list")
            .stderr(Stdio::inherit())
            .output()
            .context("running cargo test")?;
        if !status.success() {
            bail!("the suite does not compile");
        }
        let case = self.case.as_deref().unwrap_or_default();
        let names = String::from_utf8_lossy(&stdout);
        let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
        let names = names.filter(|name| name.starts_with("faults::") && name.contains(case));
        let names: Vec<String> = names.map(ToOwned::to_owned).collect();
        if names.is_empty() {
            bail!("no test of the suite has {case:?} in its name");
        }
        Ok(names)
    }
}

/// In Markdown, for the README. Rows of one case (of a deploy, an update and a destroy) are added up.
fn table(rows: Vec<Row>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut cases: BTreeMap<String, Row> = BTreeMap::new();
    let mut total = Row { case: "all".to_owned(), ..Row::default() };
    for row in rows {
        total.add(&row);
        let case = row.case.clone();
        cases.entry(case.clone()).or_insert(Row { case, ..Row::default() }).add(&row);
    }
    let rows: Vec<Row> = cases.into_values().chain([total]).collect();
    let width = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or(0);
    let mut text = format!("| {:<width$} | broken | converged | left over |\n", "case");
    text += &format!("|{}|-------:|----------:|----------:|\n", "-".repeat(width + 2));
    for Row { case, broken, converged, left_over } in rows {
        text += &format!("| {case:<width$} | {broken:>6} | {converged:>9} | {left_over:>9} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_added_up() {
        let row = |case: &str, broken, converged, left_over| Row {
            case: case.to_owned(),
            broken,
            converged,
            left_over,
        };
        let rows = vec![row("lost", 4, 4, 0), row("Ctrl-C", 46, 45, 2), row("lost", 3, 3, 0)];
        assert_eq!(
            table(rows),
            "\
| case   | broken | converged | left over |
|--------|-------:|----------:|----------:|
| Ctrl-C |     46 |        45 |         2 |
| lost   |      7 |         7 |         0 |
| all    |     53 |        52 |         2 |
"
        );
        assert_eq!(super::table(vec![]), "");
    }
}
