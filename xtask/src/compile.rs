//! Compiles with cargo: the functions, so that the same sources give the same bytes wherever they lie; and the deployer.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::target::Target;
use crate::workspace::{cargo, root, say, target_directory};

/// What cargo has built, whether or not it had to.
pub struct Built {
    /// By name.
    pub programs: BTreeMap<String, PathBuf>,
    /// The ids of the packages whose libraries are in the programs: not what ran while they were compiled, as
    /// macros and build scripts do.
    pub crates: BTreeSet<String>,
}

/// Compiles every function for `target`, or the one named `only`.
///
/// # Errors
///
/// If one does not compile (the compiler has told why), or there is none of that name.
pub fn functions(target: &Target, only: Option<&str>) -> Result<Built> {
    let mut command = cargo("build");
    command.args(["--profile", "lambda", "--package", "functions", "--target", target.triple]);
    match only {
        Some(name) => command.args(["--bin", known(name)?]),
        None => command.arg("--bins"),
    };
    fix_environment(&mut command, target);
    built(command, target.triple, "the functions")
}

/// Compiles the deployer, and gives its path.
///
/// Of the whole workspace, not of its package alone: cargo unites the features of what is selected, and the SDK would
/// be compiled anew between this and `cargo test`.
///
/// # Errors
///
/// If it does not compile.
pub fn deployer() -> Result<PathBuf> {
    let mut command = cargo("build");
    command.args(["--workspace", "--bin", "deployer"]);
    built(command, "", "the deployer")?
        .programs
        .remove("deployer")
        .context("building the deployer: cargo named no program")
}

/// Takes away what the caller's environment could change in the binaries.
fn fix_environment(command: &mut Command, target: &Target) {
    let profile_overrides = env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("CARGO_PROFILE_"));
    for name in profile_overrides {
        command.env_remove(name);
    }
    command.env("CARGO_INCREMENTAL", "0");
    // Takes precedence over RUSTFLAGS and every `rustflags` of a config file.
    let flags = remapped_paths().into_iter().chain(target.flags.iter().map(OsString::from));
    let flags: Vec<OsString> = flags.collect();
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}".as_ref()));

    if let Some(linker) = target.linker {
        let variable =
            format!("CARGO_TARGET_{}_LINKER", target.triple.to_uppercase().replace('-', "_"));
        if env::var_os(&variable).is_none() {
            command.env(variable, linker);
        }
    }
}

/// Flags that give the sources neutral names: a panic's message holds its file's path.
///
/// Later ones win in rustc, so the general come first. A registry's directory is named after the host that served it,
/// which need not be the same everywhere.
fn remapped_paths() -> Vec<OsString> {
    let mut paths = vec![(root(), "/workspace")];
    paths.extend(target_directory().map(|target| (target, "/workspace/target")));

    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    if let Some(cargo) = env::var_os("CARGO_HOME").map(PathBuf::from).or(home) {
        let registries =
            fs::read_dir(cargo.join("registry").join("src")).into_iter().flatten().flatten();
        let mut registries: Vec<_> =
            registries.map(|registry| (registry.path(), "/registry")).collect();
        registries.sort();
        paths.push((cargo, "/cargo"));
        paths.extend(registries);
    }

    let flag = |(path, name): (PathBuf, &str)| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(path);
        flag.push("=");
        flag.push(name);
        flag
    };
    paths.into_iter().map(flag).collect()
}

/// The part that we need of what `cargo build --message-format=json` tells of each thing it has built.
#[derive(Deserialize)]
struct Message {
    package_id: String,
    /// Whether cargo had it from before.
    #[serde(default)]
    fresh: bool,
    target: BuildTarget,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct BuildTarget {
    name: String,
    kind: Vec<String>,
}

/// How often a build tells how far it is.
const TELL: Duration = Duration::from_secs(10);

/// What is built for a target lies in a directory of its name; what is built for this machine does not.
fn built(mut command: Command, triple: &str, what: &str) -> Result<Built> {
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let cannot = || format!("building {what}: cargo cannot be run");
    let mut cargo = command.spawn().with_context(cannot)?;
    let lines = cargo.stdout.take().map(|out| BufReader::new(out).split(b'\n'));
    let messages = (lines.into_iter().flatten().map_while(Result::ok))
        .filter_map(|line| serde_json::from_slice::<Message>(&line).ok());
    let mut built = Built { programs: BTreeMap::new(), crates: BTreeSet::new() };
    let (mut compiled, mut told) = (0, Instant::now());
    for Message { package_id, fresh, target, filenames, executable } in messages {
        compiled += u32::from(!fresh);
        // On a terminal cargo shows its own progress.
        if !io::stderr().is_terminal() && told.elapsed() >= TELL {
            say(format_args!(
                "compiling {what}: {compiled} crates so far, the last is {}",
                target.name
            ));
            told = Instant::now();
        }
        let inside = |file: &PathBuf| file.components().any(|part| part.as_os_str() == triple);
        match executable {
            Some(executable) => drop(built.programs.insert(target.name, executable)),
            None if target.kind.iter().any(|kind| kind.ends_with("lib"))
                && filenames.iter().any(inside) =>
            {
                built.crates.insert(package_id);
            }
            None => {}
        }
    }
    if !cargo.wait().with_context(cannot)?.success() {
        bail!("building {what}: cargo failed, see above");
    }
    Ok(built)
}

/// `name`, if it is a function's.
fn known(name: &str) -> Result<&str> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        targets: Vec<BuildTarget>,
    }

    let mut command = cargo("metadata");
    let output =
        command.args(["--no-deps", "--format-version", "1"]).stderr(Stdio::inherit()).output();
    let output = output.context("listing the functions: cargo cannot be run")?;
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("listing the functions")?;

    let functions = metadata.packages.into_iter().filter(|package| package.name == "functions");
    let targets =
        functions.flat_map(|package| package.targets).filter(|target| target.kind == ["bin"]);
    let mut names: Vec<String> = targets.map(|target| target.name).collect();
    names.sort();
    if names.iter().any(|known| known == name) {
        return Ok(name);
    }
    bail!("there is no function `{name}`; there are: {}", names.join(", "));
}
