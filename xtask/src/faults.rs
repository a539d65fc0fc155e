//! The fault suite: `cargo xtask faults`. It is tests of the deployer (`deployer/tests/cloud/faults`), each of which
//! leaves rows of a table; this runs them and shows it.

use std::fs;
use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::workspace::{cargo, root};

const EXAMPLES: &str = "\
Examples:
  cargo xtask faults                           what every push checks
  cargo xtask faults --all                     each request in each way: what CI does at night
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

#[derive(Deserialize)]
struct Row {
    case: String,
    broken: usize,
    converged: usize,
    left_over: usize,
}

impl Faults {
    /// Runs the suite, and prints the table on standard output.
    ///
    /// # Errors
    ///
    /// If a test fails, or none is of that name.
    pub fn run(&self) -> Result<()> {
        let file = root().join("target").join("faults.jsonl");
        let _ = fs::remove_file(&file); // that of the last time
        let mut tests = cargo("test");
        // Of the whole workspace, as `make test` does: else cargo would compile the SDK anew.
        tests.args(["--workspace", "--test", "cloud", "--"]);
        tests.arg(self.case.as_deref().unwrap_or("faults::"));
        tests.env("FAULTS_TABLE", &file).env("FAULTS", if self.all { "all" } else { "some" });
        tests.stdout(io::stderr());
        let passed = tests.status().context("running cargo test")?.success();
        let rows = fs::read_to_string(&file).unwrap_or_default();
        let rows: Vec<Row> = rows
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .with_context(|| format!("reading {}", file.display()))?;
        let _ = io::stdout().write_all(table(rows).as_bytes());
        if !passed {
            bail!("some cases failed, see above");
        }
        Ok(())
    }
}

/// In Markdown, for the README.
fn table(mut rows: Vec<Row>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    rows.sort_by(|a, b| a.case.cmp(&b.case));
    let mut total = Row { case: "all".to_owned(), broken: 0, converged: 0, left_over: 0 };
    for row in &rows {
        total.broken += row.broken;
        total.converged += row.converged;
        total.left_over += row.left_over;
    }
    rows.push(total);
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
        let table = table(vec![row("destroy: 503", 4, 4, 0), row("deploy: 503", 46, 45, 2)]);
        assert_eq!(
            table,
            "\
| case         | broken | converged | left over |
|--------------|-------:|----------:|----------:|
| deploy: 503  |     46 |        45 |         2 |
| destroy: 503 |      4 |         4 |         0 |
| all          |     50 |        49 |         2 |
"
        );
        assert_eq!(super::table(vec![]), "");
    }
}
