//! The bench: `cargo xtask bench`. It compiles the functions as they are packaged, and beside them what they are held
//! against (`bench/`, a workspace of its own); has `bench/meter` measure them all; and keeps the table of the docs.

mod table;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::target::{Arch, Target};
use crate::workspace::{cargo, root, say, write_atomically};
use crate::{archive, compile, git};

use table::{Row, table};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                            measure, and write the table into docs/PERFORMANCE.md
  cargo xtask bench --with new=PATH            measure another bootstrap beside them; the page stays as it is
  cargo xtask bench --rounds 3 --with new=PATH   the same, sooner and coarser";

/// Between these, the page is the bench's.
const MARKS: [&str; 2] = ["<!-- bench -->\n", "<!-- /bench -->\n"];

/// Measure how the functions start and answer, beside what else they could be.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// How often each is started, with its executable in memory and with it on the disk
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Also measure this executable; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    with: Vec<(String, PathBuf)>,
}

/// What is measured: as `bench/meter` takes it.
#[derive(Serialize)]
struct Subject {
    name: String,
    command: Vec<PathBuf>,
}

impl Bench {
    /// Measures, prints the table on standard output, and writes it into the page.
    ///
    /// # Errors
    ///
    /// If something does not compile, or does not answer.
    pub fn run(&self) -> Result<()> {
        let arch = Arch::host().filter(|_| cfg!(target_os = "linux"));
        let arch = arch.context("the bench runs what Lambda would run, which takes Linux")?;
        let target = Target::installed(arch)?;
        let mut subjects = ours(&target)?;
        subjects.extend(others()?);
        let with = self.with.iter().map(|(name, path)| subject(name, &[path]));
        subjects.extend(with);
        // Copied, so that each is on the disk like the others, and nothing else has it open.
        subjects.iter_mut().try_for_each(place)?;

        say(format_args!("measuring {} bootstraps, {} times each", subjects.len(), self.rounds));
        let mut rows: Vec<Row> =
            serde_json::from_slice(&self.meter(&subjects)?).context("reading what was measured")?;
        for (row, subject) in rows.iter_mut().zip(&subjects) {
            let program = subject.command.last().map(fs::read).transpose()?.unwrap_or_default();
            row.zip = archive::zip(&program)?.len();
            row.program = program.len();
        }
        let section = format!("{}\n{}", self.circumstances(&target)?, table(&rows)?);
        let _ = io::stdout().write_all(section.as_bytes());
        if self.with.is_empty() { keep(&section) } else { Ok(()) }
    }

    fn meter(&self, subjects: &[Subject]) -> Result<Vec<u8>> {
        let mut meter = Command::new(built("meter"))
            .arg(self.rounds.to_string())
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

    /// When, of what, where and how.
    fn circumstances(&self, target: &Target) -> Result<String> {
        let commit = git::sha(&root())?;
        let date = said("date", &["-u", "+%Y-%m-%d"])?;
        let cores = std::thread::available_parallelism()?;
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find(|line| line.starts_with("model name"));
        let model =
            model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
        let Bench { rounds, .. } = self;
        let (triple, priority) = (target.triple, priority());
        Ok(format!(
            "{date}, commit {commit}, {triple}; {model}, {cores} cores; `cargo xtask bench --rounds {rounds}`{priority}.\n"
        ))
    }
}

/// Whether other work was kept out, by the scheduling policy: see proc(5).
fn priority() -> &'static str {
    const POLICY: usize = 38; // counted from the program's name
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    match fields.and_then(|mut fields| fields.nth(POLICY)) {
        Some("1" | "2") => ", at real-time priority",
        _ => "",
    }
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=PATH")?;
    Ok((name.to_owned(), path.into()))
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
    let mut command = cargo("build");
    command.arg("--release").arg("--manifest-path").arg(root().join("bench/Cargo.toml"));
    command.arg("--locked").arg("--target-dir").arg(directory());
    if !command.status().context("building the bench: cargo cannot be run")?.success() {
        bail!("building the bench: cargo failed, see above");
    }
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

fn directory() -> PathBuf {
    root().join("target/bench")
}

fn built(name: &str) -> PathBuf {
    directory().join("release").join(name)
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

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!("running {program}: it failed, see above");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Writes `section` into the page, between the marks.
fn keep(section: &str) -> Result<()> {
    let page = root().join("docs/PERFORMANCE.md");
    let keeping = || format!("writing the table into {}", page.display());
    let text = fs::read_to_string(&page).with_context(keeping)?;
    write_atomically(&page, replaced(&text, section).with_context(keeping)?.as_bytes())
}

fn replaced(text: &str, section: &str) -> Result<String> {
    let [begin, end] = MARKS;
    let (before, rest) = text.split_once(begin).context("it has no line <!-- bench -->")?;
    let (_, after) = rest.split_once(end).context("it has no line <!-- /bench -->")?;
    Ok(format!("{before}{begin}{section}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_page_stays() {
        let page = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n";
        let new = replaced(page, "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n");
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("a\n", "new\n").is_err());
    }

    #[test]
    fn a_name_has_a_path() {
        assert_eq!(named("new=a=b"), Ok(("new".to_owned(), "a=b".into())));
        assert!(named("new").is_err());
    }
}
