//! The Python environment of the local cloud: `target/local/venv`, with exactly what `local/requirements.txt` locks.
//!
//! A stamp is written last. One that is missing or differs (other requirements, another Python, a pip that was killed) has
//! the environment made again from nothing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::process::take_turn;
use crate::workspace::{root, say};

const OLDEST: (u32, u32) = (3, 10);
const CANDIDATES: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];

/// The interpreter of the environment, which is made or brought up to date first if need be.
///
/// # Errors
///
/// If there is no fitting Python, or the packages can't be had; each with the remedy.
pub fn ready() -> Result<PathBuf> {
    let local = root().join("target").join("local");
    let _turn =
        take_turn(&local.join("venv.turn"), "another cargo xtask to install the local cloud")?;
    let requirements = root().join("local").join("requirements.txt");
    let hash = hash(&requirements)?;
    let environment = local.join("venv");
    let python = environment.join("bin").join("python");
    let stamp = environment.join("stamp");

    // The system's Python may have become another version under the environment that was made from it.
    let wanted = |version: &Version| format!("{hash} python {version}\n");
    if let Ok(found) = Python::ask(&python)
        && fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted(&found.version))
    {
        return Ok(python);
    }

    let base = choose(CANDIDATES.iter().map(|name| Python::ask(Path::new(name))))?;
    say(format_args!(
        "installing the local cloud with {} into {} (once)",
        base.program.display(),
        environment.display()
    ));
    make(&base, &environment)?;
    install(&python, &requirements)?;
    import(&python, &requirements.with_extension("in"))?;
    fs::write(&stamp, wanted(&base.version))
        .with_context(|| format!("writing {}", stamp.display()))?;
    Ok(python)
}

fn hash(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[derive(Debug, Clone, PartialEq)]
struct Version {
    major: u32,
    minor: u32,
    micro: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Python {
    program: PathBuf,
    version: Version,
    /// Debian and Ubuntu leave out what makes environments.
    makes_environments: bool,
}

/// What is wrong with a program that was asked whether it is Python.
struct Absent;

impl Python {
    fn ask(program: &Path) -> Result<Python, Absent> {
        let question =
            "import sys; print(*sys.version_info[:3], flush=True); import ensurepip, venv";
        let output = python(program).args(["-c", question]).output().map_err(|_| Absent)?;
        let version = parse_version(&String::from_utf8_lossy(&output.stdout)).ok_or(Absent)?;
        Ok(Python {
            program: program.to_owned(),
            version,
            makes_environments: output.status.success(),
        })
    }
}

/// A Python that takes neither the caller's variables nor the current directory's modules (`-I`). What it runs, such as
/// `ensurepip`, does not see the variables either.
fn python(program: &Path) -> Command {
    let mut command = Command::new(program);
    forget_settings(&mut command, "PYTHON");
    command.arg("-I");
    command
}

/// Removes the caller's variables whose names begin so from what `command` is to see.
pub fn forget_settings(command: &mut Command, start: &str) {
    let names = env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.to_string_lossy().starts_with(start)).for_each(|name| {
        command.env_remove(name);
    });
}

fn parse_version(text: &str) -> Option<Version> {
    let numbers: Vec<u32> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[major, minor, micro] = numbers.as_slice() else { return None };
    Some(Version { major, minor, micro })
}

/// The first that will do; the error tells of the one that came nearest.
fn choose(found: impl Iterator<Item = Result<Python, Absent>>) -> Result<Python> {
    let (mut old, mut incomplete) = (None, None);
    for python in found.flatten() {
        if (python.version.major, python.version.minor) < OLDEST {
            old.get_or_insert(python);
        } else if python.makes_environments {
            return Ok(python);
        } else {
            incomplete.get_or_insert(python);
        }
    }
    let what = "installing the local cloud";
    let again = "and run this again";
    if let Some(Python { program, version, .. }) = incomplete {
        bail!(
            "{what}: {} ({version}) can't make environments, its module ensurepip is missing\n  \
             next: install it (Debian, Ubuntu: sudo apt install python{}.{}-venv) {again}",
            program.display(),
            version.major,
            version.minor
        );
    }
    let lack = match old {
        Some(Python { program, version, .. }) => {
            format!("{} is {version}, too old", program.display())
        }
        None => "there is no python3 on PATH".to_owned(),
    };
    bail!(
        "{what}: {lack}\n  next: install Python {}.{} or newer (Debian, Ubuntu: sudo apt install python3 python3-venv; \
         macOS: brew install python3) {again}",
        OLDEST.0,
        OLDEST.1
    )
}

fn make(base: &Python, environment: &Path) -> Result<()> {
    // `--clear` for what an interrupted attempt left.
    let output = python(&base.program).args(["-m", "venv", "--clear"]).arg(environment).output();
    let output = output.with_context(|| format!("running {}", base.program.display()))?;
    if !output.status.success() {
        bail!("making a Python environment in {}: {}", environment.display(), complaint(&output));
    }
    Ok(())
}

/// The caller's settings of pip's that say where packages come from. Others, such as `PIP_USER`, `PIP_TARGET` or
/// `PIP_NO_DEPS`, would have other packages installed, or elsewhere.
const SOURCES: [&str; 16] = [
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_KEYRING_PROVIDER",
    "PIP_NO_CACHE_DIR",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_PYPI_URL",
    "PIP_RETRIES",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
];

/// Pip's configuration files hold both kinds of settings, so what they may say of the place is said again as options,
/// which count more.
fn install(python_of_environment: &Path, requirements: &Path) -> Result<()> {
    let mut pip = python(python_of_environment);
    forget_settings(&mut pip, "PIP_");
    pip.envs(SOURCES.iter().filter_map(|name| env::var_os(name).map(|value| (name, value))));
    pip.args([
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--disable-pip-version-check",
        "--quiet",
    ]);
    pip.args(["--retries", "2", "--no-user", "--prefix=", "--root=/", "--target"]);
    pip.arg(site_packages(python_of_environment)?).arg("--requirement").arg(requirements);
    let output = pip.output().context("running pip")?;
    if output.status.success() {
        return Ok(());
    }
    let said = complaint(&output);
    match Cause::of(&said) {
        Cause::Unreachable => bail!(
            "installing the local cloud: could not reach the package index\n{said}\n  \
             next: check the network (behind a proxy set HTTPS_PROXY, with an index of your own PIP_INDEX_URL) \
             and run this again"
        ),
        Cause::Altered => bail!(
            "installing the local cloud: a package isn't the one that {} locks; what was downloaded has been \
             altered, or a stale cache serves it\n{said}\n  next: pip cache purge, and run this again",
            requirements.display()
        ),
        Cause::Unknown => bail!(
            "installing the local cloud: pip failed\n{said}\n  likely cause: a setting of pip's (see: pip config list)\n  \
             {WITHOUT_SETTINGS}"
        ),
    }
}

const WITHOUT_SETTINGS: &str = "next: PIP_CONFIG_FILE=/dev/null cargo xtask local up";

/// Where the environment's Python looks for packages.
fn site_packages(python_of_environment: &Path) -> Result<PathBuf> {
    let question = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = python(python_of_environment).args(["-c", question]).output();
    let output = output.context("asking the Python environment for its packages' directory")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Imports the packages that `requirements.in` names: pip may be content and have installed nothing, or elsewhere.
fn import(python_of_environment: &Path, wanted: &Path) -> Result<()> {
    let text =
        fs::read_to_string(wanted).with_context(|| format!("reading {}", wanted.display()))?;
    let names = text.lines().filter_map(|line| line.split_once("==")).map(|(name, _)| name);
    let names: Vec<&str> = names.filter(|name| !name.starts_with('#')).collect();
    let script = format!("import {}", names.join(", "));
    let output = python(python_of_environment).args(["-c", &script]).output();
    let output = output.context("importing the local cloud's packages")?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "installing the local cloud: pip reported success, but Python does not find what it installed\n{}\n  \
         likely cause: a setting of pip's (see: pip config list)\n  {WITHOUT_SETTINGS}",
        complaint(&output)
    );
}

/// Why pip failed, as far as its words tell.
#[derive(Debug, PartialEq)]
enum Cause {
    Unreachable,
    Altered,
    Unknown,
}

impl Cause {
    fn of(said: &str) -> Cause {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["DO NOT MATCH THE HASHES"]) {
            Cause::Altered
        } else if has(&[
            "connection broken",
            "ConnectionError",
            "Max retries",
            "(from versions: none)",
            "timed out",
        ]) {
            Cause::Unreachable
        } else {
            Cause::Unknown
        }
    }
}

/// The last lines that a program printed, indented.
fn complaint(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(6)..];
    last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(program: &str, minor: u32, makes_environments: bool) -> Result<Python, Absent> {
        Ok(Python {
            program: program.into(),
            version: Version { major: 3, minor, micro: 1 },
            makes_environments,
        })
    }

    #[test]
    fn the_first_fitting_python_is_taken() {
        let all = [
            Err(Absent),
            found("old", 9, true),
            found("bare", 12, false),
            found("good", 11, true),
            found("late", 13, true),
        ];
        assert_eq!(choose(all.into_iter()).unwrap().program, Path::new("good"));
    }

    #[test]
    fn without_one_the_nearest_is_named_with_the_remedy() {
        let error = |all: Vec<_>| choose(all.into_iter()).unwrap_err().to_string();

        let none = error(vec![Err(Absent)]);
        assert!(none.contains("no python3 on PATH") && none.contains("3.10 or newer"), "{none}");

        let old = error(vec![found("python3", 9, true)]);
        assert!(
            old.contains("python3 is 3.9.1, too old") && old.contains("3.10 or newer"),
            "{old}"
        );

        let bare = error(vec![found("old", 9, true), found("python3", 11, false)]);
        assert!(
            bare.contains("ensurepip is missing") && bare.contains("python3.11-venv"),
            "{bare}"
        );
    }

    #[test]
    fn a_version_is_three_numbers() {
        assert_eq!(parse_version("3 11 7\n"), Some(Version { major: 3, minor: 11, micro: 7 }));
        for nonsense in ["", "3 11", "pyenv: python3.14: command not found"] {
            assert_eq!(parse_version(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn pips_words_tell_the_cause() {
        let offline = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n\
                       ERROR: Could not find a version that satisfies the requirement botocore (from versions: none)";
        assert_eq!(Cause::of(offline), Cause::Unreachable);
        assert_eq!(
            Cause::of("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."),
            Cause::Altered
        );
        assert_eq!(Cause::of("ERROR: No space left on device"), Cause::Unknown);
    }
}
