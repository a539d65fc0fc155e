//! How the functions start and answer: compiled as they are packaged, measured by `bench/meter` beside what they are
//! held against.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::table::{self, Row};
use super::{build, built, directory, said};
use crate::target::{Arch, Target};
use crate::workspace::{root, say};
use crate::{archive, compile};

/// What is measured: as `bench/meter` takes it.
#[derive(Serialize)]
struct Subject {
    name: String,
    command: Vec<PathBuf>,
}

/// Measures the functions, and these executables beside them. The table, in Markdown.
///
/// # Errors
///
/// If something does not compile, or does not answer.
pub fn table(rounds: u16, with: &[(String, PathBuf)]) -> Result<String> {
    let arch = Arch::host().filter(|_| cfg!(target_os = "linux"));
    let arch = arch.context("the bench runs what Lambda would run, which takes Linux")?;
    let target = Target::installed(arch)?;
    let mut subjects = ours(&target)?;
    subjects.extend(others()?);
    subjects.extend(with.iter().map(|(name, path)| subject(name, &[path])));
    // Copied, so that each is on the disk like the others, and nothing else has it open.
    subjects.iter_mut().try_for_each(place)?;

    say(format_args!("measuring {} bootstraps, {rounds} times each", subjects.len()));
    let mut rows: Vec<Row> =
        serde_json::from_slice(&meter(rounds, &subjects)?).context("reading what was measured")?;
    for (row, subject) in rows.iter_mut().zip(&subjects) {
        let program = subject.command.last().map(fs::read).transpose()?.unwrap_or_default();
        row.zip = archive::zip(&program)?.len();
        row.program = program.len();
    }
    table::table(&rows)
}

fn meter(rounds: u16, subjects: &[Subject]) -> Result<Vec<u8>> {
    let mut meter = Command::new(built("meter"))
        .arg(rounds.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the meter")?;
    // Dropped when written, which is the end of what the meter reads.
    if let Some(input) = meter.stdin.take() {
        serde_json::to_writer(input, subjects).context("telling the meter what to measure")?;
    }
    let output = meter.wait_with_output().context("measuring")?;
    if !output.status.success() {
        bail!("measuring failed, see above");
    }
    Ok(output.stdout)
}

fn subject(name: &str, command: &[&Path]) -> Subject {
    Subject {
        name: name.to_owned(),
        command: command.iter().map(|part| part.to_path_buf()).collect(),
    }
}

/// The functions, as they are packaged.
fn ours(target: &Target) -> Result<Vec<Subject>> {
    let programs = compile::functions(target, None)?.programs;
    Ok(programs.iter().map(|(name, path)| subject(name, &[path])).collect())
}

/// What the functions are held against.
fn others() -> Result<Vec<Subject>> {
    build(&["floor", "meter", "template"])?;
    // The interpreter itself, not a script that looks for one.
    let python = said("python3", &["-c", "import sys; print(sys.executable)"])
        .context("looking for Python, which the functions are held against")?;
    let script = root().join("bench/bootstrap.py");
    Ok(vec![
        subject("floor", &[&built("floor")]),
        subject("template", &[&built("template")]),
        subject("python", &[Path::new(&python), &script]),
    ])
}

/// Copies what the subject brings along to where the bench runs it.
fn place(subject: &mut Subject) -> Result<()> {
    let Some(program) = subject.command.last_mut() else { return Ok(()) };
    let place = directory().join("run").join(&subject.name);
    let placing = || format!("copying {} to {}", program.display(), place.display());
    fs::create_dir_all(&place).with_context(placing)?;
    fs::copy(&*program, place.join("bootstrap")).with_context(placing)?;
    *program = place.join("bootstrap");
    Ok(())
}
