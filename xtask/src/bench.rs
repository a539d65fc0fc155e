//! The bench: `cargo xtask bench`. It measures the functions, deploys, and builds, and keeps the tables of the docs. What it
//! needs for that, and what ours is held against, is in `bench/`, a workspace of its own.

mod deploys;
mod functions;
mod maker;
mod scale;
mod table;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::git;
use crate::workspace::{cargo, root, write_atomically};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                            measure all, and write the tables into docs/PERFORMANCE.md
  cargo xtask bench --only deploys             only deploys, to the local cloud
  cargo xtask bench --with new=PATH            measure another bootstrap beside them; the page stays as it is
  cargo xtask bench --rounds 3 --with new=PATH   the same, sooner and coarser";

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How the functions start and answer, beside what else they could be
    Functions,
    /// How long deploys take, to a cloud that is far away
    Deploys,
    /// How deploys grow with the stack, under AWS's quotas
    Scale,
    /// How long whoever works on it waits
    Maker,
}

/// Measure functions, deploys and builds, and keep the tables of docs/PERFORMANCE.md.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// How often each is started, with its executable in memory and with it on the disk
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Only this part
    #[arg(long, value_name = "PART", value_enum)]
    only: Option<Part>,
    /// Also measure this executable; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    with: Vec<(String, PathBuf)>,
}

impl Bench {
    /// Measures, prints the tables on standard output, and writes them into the page.
    ///
    /// # Errors
    ///
    /// If something does not compile, or does not answer.
    pub fn run(&self) -> Result<()> {
        for part in Part::value_variants().iter().copied().filter(|part| self.wants(*part)) {
            let name = part.to_possible_value().map(|value| value.get_name().to_owned());
            let name = name.unwrap_or_default();
            let mut command = format!("cargo xtask bench --only {name}");
            let table = match part {
                Part::Functions => {
                    command += &format!(" --rounds {}", self.rounds);
                    functions::table(self.rounds, &self.with)?
                }
                Part::Deploys => deploys::table()?,
                Part::Scale => scale::table()?,
                Part::Maker => maker::table()?,
            };
            self.show(&name, &format!("{}\n{table}", circumstances(&command)?))?;
        }
        Ok(())
    }

    /// Other bootstraps are measured beside the functions, and nothing else is then.
    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
            && (self.with.is_empty() || part == Part::Functions)
    }

    /// Prints a section of the page, and keeps it there.
    fn show(&self, name: &str, section: &str) -> Result<()> {
        let _ = io::stdout().write_all(section.as_bytes());
        if self.with.is_empty() { keep(name, section) } else { Ok(()) }
    }
}

/// When, of what, where and how.
fn circumstances(command: &str) -> Result<String> {
    let commit = git::sha(&root())?;
    let date = said("date", &["-u", "+%Y-%m-%d"])?;
    let cores = std::thread::available_parallelism()?;
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name);
    let priority = priority();
    Ok(format!("{date}, commit {commit}; {model}, {cores} cores; `{command}`{priority}.\n"))
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

/// Compiles parts of the bench: each for itself, for cargo unites the features of what is compiled together.
fn build(parts: &[&str]) -> Result<()> {
    for part in parts {
        let mut command = cargo("build");
        command.arg("--release").arg("--manifest-path").arg(root().join("bench/Cargo.toml"));
        command.arg("--locked").arg("--target-dir").arg(directory()).args(["--package", part]);
        if !command.status().context("building the bench: cargo cannot be run")?.success() {
            bail!("building the bench: cargo failed, see above");
        }
    }
    Ok(())
}

fn directory() -> PathBuf {
    root().join("target/bench")
}

fn built(name: &str) -> PathBuf {
    directory().join("release").join(name)
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!("running {program}: it failed, see above");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Writes a section into the page, between its marks.
fn keep(name: &str, section: &str) -> Result<()> {
    let page = root().join("docs/PERFORMANCE.md");
    let keeping = || format!("writing the table of {name} into {}", page.display());
    let text = fs::read_to_string(&page).with_context(keeping)?;
    write_atomically(&page, replaced(&text, name, section).with_context(keeping)?.as_bytes())
}

fn replaced(text: &str, name: &str, section: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- bench {name} -->\n"), format!("<!-- /bench {name} -->\n"));
    let lacks = |mark: &str| format!("it has no line {}", mark.trim());
    let (before, rest) = text.split_once(&begin).with_context(|| lacks(&begin))?;
    let (_, after) = rest.split_once(&end).with_context(|| lacks(&end))?;
    Ok(format!("{before}{begin}{section}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_page_stays() {
        let page = "a\n<!-- bench x -->\nold\n<!-- /bench x -->\nb\n";
        let new = replaced(page, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench x -->\nnew\n<!-- /bench x -->\nb\n");
        assert_eq!(replaced(&new, "x", "new\n").unwrap(), new);
        assert!(replaced(page, "y", "new\n").is_err());
    }

    #[test]
    fn a_name_has_a_path() {
        assert_eq!(named("new=a=b"), Ok(("new".to_owned(), "a=b".into())));
        assert!(named("new").is_err());
    }
}
