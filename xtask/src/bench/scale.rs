//! How deploys grow with the stack, under AWS's quotas: a test of the deployer in a world whose clock jumps, for the
//! quotas of a large stack take minutes (`deployer/tests/cloud/scale.rs`).

use std::fs;
use std::io;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::{cargo, root, say};

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
    let file = root().join("target").join("scale.jsonl");
    let _ = fs::remove_file(&file); // that of the last time
    let mut test = cargo("test");
    test.args(["--workspace", "--test", "cloud", "--", "scale::"]);
    test.env("SCALE", size).env("SCALE_TABLE", &file).stdout(io::stderr());
    if !test.status().context("running cargo test")?.success() {
        bail!("a stack of {size} endpoints: see above");
    }
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))
}
