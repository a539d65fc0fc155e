//! The project's scripts: `cargo xtask VERB`.
//!
//! Builds in seconds, because it links no AWS SDK: what speaks to AWS is the deployer, which xtask compiles and becomes.
//!
//! | file | what it knows |
//! |---|---|
//! | `package` | the steps from sources to zips; `compile`, `elf`, `archive`, `manifest`, `sbom`, `git` and `target` are one each |
//! | `local` | the local cloud |
//! | `faults` | the fault suite and its table; `suite` has tests leave their rows |
//! | `watch` | to deploy when something is saved |
//! | `bench` | the bench of the functions and its table |
//! | `dotenv` | the settings in `.env` |
//! | `front` | the deployer's verbs, and what each needs beforehand |

mod archive;
mod bench;
mod compile;
mod dotenv;
mod elf;
mod faults;
mod front;
mod git;
mod link;
mod local;
mod manifest;
mod package;
mod sbom;
mod suite;
mod target;
mod watch;
mod workspace;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::workspace::say;

const FAILED: u8 = 1;
/// As the deployer's: preparations failed, nothing was changed.
const PREFLIGHT: u8 = 6;
const USAGE: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  cargo xtask deploy --local             to the local cloud, which is started if need be
  cargo xtask deploy --stage prod        to AWS
  cargo xtask package --arch arm64       zips and their manifest in target/lambda
  cargo xtask watch                      to the local cloud, at every save
  cargo xtask local down                 stop the local cloud
  cargo xtask faults                     break every request, and see that nothing is broken
  cargo xtask bench                      how quickly functions start and answer, and deploys go

The deployer's verbs take the deployer's options: see `cargo xtask deploy --help`.";

/// Package, run and deploy this API.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Package(package::Options),
    Local(local::Local),
    Faults(faults::Faults),
    Watch(watch::Watch),
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    if let Err(error) = dotenv::adopt() {
        return fail(&error, PREFLIGHT);
    }
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if let Some(verb) = front::verb_of(&arguments) {
        return match front::become_deployer(verb, &arguments) {
            Ok(never) => match never {},
            Err(error) => fail(&error, PREFLIGHT),
        };
    }
    let outcome = match parse() {
        Ok(Cli { verb: Verb::Package(options) }) => {
            package::prepare(&options).and_then(|prepared| package::package(prepared, true))
        }
        Ok(Cli { verb: Verb::Local(local) }) => local.run(),
        Ok(Cli { verb: Verb::Faults(faults) }) => faults.run(),
        Ok(Cli { verb: Verb::Watch(watch) }) => watch.run(),
        Ok(Cli { verb: Verb::Bench(bench) }) => bench.run(),
        Err(usage) => {
            let _ = usage.print();
            return if usage.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, FAILED),
    }
}

/// Parses our own verbs; the deployer's are known to the help and to suggestions.
fn parse() -> Result<Cli, clap::Error> {
    let foreign = front::VERBS.iter().map(|verb| clap::Command::new(verb.name).about(verb.about));
    let matches = Cli::command().subcommands(foreign).try_get_matches()?;
    Cli::from_arg_matches(&matches)
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    say(format_args!("error: {error:#}"));
    code.into()
}
