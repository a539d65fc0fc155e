//! How many instructions a bootstrap takes, as callgrind counts them: whatever else the machine does, and hardly
//! dependent on which it is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::api::Api;
use crate::run::{Process, Subject, converse};

/// So many later events, of which the mean is taken.
const LATER: usize = 10;

#[derive(Serialize)]
pub struct Instructions {
    /// From the start to the first answer.
    pub first: u64,
    /// From event to answer, for those that follow.
    pub later: u64,
}

/// None where valgrind isn't installed, and for interpreters.
///
/// # Errors
///
/// If it does not answer, or nothing was counted.
pub fn instructions(subject: &Subject) -> Result<Option<Instructions>> {
    let ([program], Some(valgrind)) = (&subject.command[..], valgrind()) else { return Ok(None) };
    let count = |events| {
        let counted = count(&valgrind, program, events);
        counted.with_context(|| format!("counting the instructions of {}", subject.name))
    };
    let first = count(1)?;
    Ok(Some(Instructions { first, later: count(1 + LATER)?.saturating_sub(first) / LATER as u64 }))
}

fn valgrind() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|place| place.join("valgrind")).find(|file| file.is_file())
}

fn count(valgrind: &Path, program: &Path, events: usize) -> Result<u64> {
    let out = program.with_extension("callgrind");
    let mut api = Api::start()?;
    let mut command = Command::new(valgrind);
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program);
    let process = Process::start(command, &api)?;
    converse(&mut api, Instant::now(), events)?;
    process.end()?;
    let text = fs::read_to_string(&out).with_context(|| format!("reading {}", out.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
    match total {
        Some(total) => Ok(total),
        None => bail!("{} has no summary", out.display()),
    }
}
