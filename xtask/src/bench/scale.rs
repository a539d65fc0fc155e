//! How deploys grow with the stack, under AWS's quotas: a test of the deployer in a world whose clock jumps, for the
//! quotas of a large stack take minutes (`deployer/tests/cloud/scale.rs`).

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::suite::{rows, suite};
use crate::workspace::say;

/// How many endpoints.
const SIZES: &str = "3,30,100,300";

#[derive(Deserialize)]
struct Row {
    endpoints: usize,
    peak_kib: usize,
    first: Run,
    no_op: Run,
    destroy: Run,
}

#[derive(Deserialize)]
struct Run {
    requests: usize,
    seconds: f64,
    forced: f64,
}

const HEAD: &str = "\
| endpoints | first deploy: requests | s | quotas force | no-op: requests | s | quotas force | destroy: requests | s | quotas force | memory, 1000 KiB |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// The table, in Markdown.
///
/// # Errors
///
/// If the test fails.
pub fn table() -> Result<String> {
    say(format_args!("deploying stacks of {SIZES} endpoints, by a clock that jumps"));
    let mut table = HEAD.to_owned();
    // Each in a process of its own, whose memory is that of this size.
    for size in SIZES.split(',') {
        let row = row(size)?;
        table += &format!("| {} |", row.endpoints);
        for Run { requests, seconds, forced } in [row.first, row.no_op, row.destroy] {
            table += &format!(" {requests} | {seconds:.1} | {forced:.1} |");
        }
        table += &format!(" {} |\n", row.peak_kib.div_ceil(1000));
    }
    Ok(table)
}

fn row(size: &str) -> Result<Row> {
    let mut test = suite();
    test.arg("scale::").env("SCALE", size);
    let (passed, mut rows) = rows(&mut test, "SCALE_TABLE")?;
    match rows.pop() {
        Some(row) if passed => Ok(row),
        _ => bail!("a stack of {size} endpoints: see above"),
    }
}
