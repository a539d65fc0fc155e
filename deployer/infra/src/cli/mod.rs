//! The command line: one file a verb, and the only code that prints.
//!
//! Results (plans, outputs, JSON) go to stdout; progress, prompts, warnings and errors to stderr.

mod advice;
mod ci_role;
mod defect;
mod deploy;
mod destroy;
mod doctor;
mod explain;
mod foreign;
pub mod graph;
mod incomplete;
mod invoke;
mod key;
mod load;
mod logs;
mod outputs;
mod plan;
mod policy;
mod progress;
mod pulse;
mod releases;
mod rights;
mod rollback;
mod run;
mod screen;
pub mod show_plan;
mod smoke_test;
mod status;
mod values;
mod verify;
mod watch;
mod widen;

use screen::{BAD, paint, say};

pub use defect::keep as keep_panic;
pub use screen::{Said, overheard};

use crate::app::App;
use crate::aws::Access;
use crate::http::connector;
use crate::record::Recorder;
use anyhow::{Context, Result};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// How a run ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// Only with `--detailed-exitcode`.
    Differences = 2,
    /// Some things were changed and some were not.
    PartlyDone = 3,
    /// Another run has the stage; nothing was changed.
    Held = 4,
    SmokeTestFailed = 5,
    /// Something is missing or wrong; nothing was changed.
    Preflight = 6,
    Usage = 64,
    /// By SIGHUP: the terminal was closed.
    HungUp = 129,
    /// By Ctrl-C.
    Interrupted = 130,
    /// By SIGTERM: `docker stop`, a cancelled CI job.
    Terminated = 143,
}

const EXIT_CODES: &str = "\
For a bug report:
  deployer --record deploy.jsonl deploy
                  each request and answer; secrets, names, addresses and account ids are replaced

Exit codes:
  0 done · 1 failed · 2 differences (only with --detailed-exitcode) · 3 partly done, run again
  4 another run has the stage · 5 smoke test or proof failed · 6 preflight failed, nothing changed
  64 usage · 129 SIGHUP · 130 Ctrl-C · 143 SIGTERM";

/// States the stack in Rust, shows the difference to AWS, and makes it so.
#[derive(Debug, Parser)]
#[command(name = "deployer", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that every verb takes, before or after it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Common {
    /// Which stage of the API: its own copy of everything
    #[arg(
        long,
        global = true,
        default_value = "dev",
        env = "STAGE",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub stage: String,
    /// AWS region, instead of the environment's or the profile's
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// Profile of the AWS configuration files
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// The local cloud instead of AWS (see `cargo xtask local`)
    #[arg(long, global = true)]
    pub local: bool,
    /// Where `cargo xtask package` left the zips
    #[arg(long, global = true, default_value = "target/lambda", value_name = "DIR")]
    pub packages: PathBuf,
    /// Results as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Don't ask
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Show more: once, every property and what is unchanged; twice, every call to AWS
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Show results and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colours; auto means on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// Write each request and its answer to a new file, for a bug report; without secrets and names
    #[arg(long, global = true, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// What was typed, so that it can be told to be typed again.
    #[arg(skip)]
    pub verb: &'static str,
    /// Set by programs that run this one inside themselves: tests.
    #[arg(skip)]
    pub access: Access,
    /// The application of which this is the deployer.
    #[arg(skip = App::new("", &[]))]
    pub app: App,
}

impl Common {
    /// A command for the same place as this run, to be typed as printed.
    pub fn command(&self, verb: &str) -> String {
        let mut command = format!("cargo xtask {verb}");
        if self.local {
            command += " --local";
        }
        let implied = self.stage == "dev" && std::env::var_os("STAGE").is_none();
        let stage = (!implied).then_some(&self.stage);
        let flags = [
            ("stage", stage),
            ("region", self.region.as_ref()),
            ("profile", self.profile.as_ref()),
        ];
        for (flag, value) in flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))) {
            command += &format!(" --{flag} {value}");
        }
        command
    }
}

/// For verbs that change a stage, which one run does at a time.
#[derive(Clone, Debug, Args)]
pub struct Patience {
    /// How long to wait for another run that has the stage to finish
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    #[arg(value_parser = values::number("seconds", 0..=86_400))]
    wait: u64,
}

impl Patience {
    fn time(&self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what a deploy would change; never writes
    #[command(alias = "diff", after_help = plan::EXAMPLES)]
    Plan(plan::Args),
    /// Make it so: plan, ask, apply
    #[command(after_help = deploy::EXAMPLES)]
    Deploy(deploy::Args),
    /// Delete everything that bears the tags of this app and stage
    #[command(after_help = destroy::EXAMPLES)]
    Destroy(destroy::Args),
    /// Call every endpoint as its users would, and see that it keeps its promise
    #[command(after_help = smoke_test::EXAMPLES)]
    SmokeTest(smoke_test::Args),
    /// Put an earlier release back, by one flip and without building anything
    #[command(after_help = rollback::EXAMPLES)]
    Rollback(rollback::Args),
    /// List the releases that can be gone back to, and what became of the others
    #[command(after_help = releases::EXAMPLES)]
    Releases,
    /// Rebuild the commit that is deployed, and see that it is what serves
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Say what is live, since when, and whether it has drifted
    #[command(after_help = status::EXAMPLES)]
    Status,
    /// Show what the functions and API Gateway logged, merged by time
    #[command(after_help = logs::EXAMPLES)]
    Logs(logs::Args),
    /// Call an endpoint with the key, and show the answer
    #[command(after_help = invoke::EXAMPLES)]
    Invoke(invoke::Args),
    /// Have many callers call at once, and see that each gets a right answer
    #[command(after_help = load::EXAMPLES)]
    Load(load::Args),
    /// Print an endpoint's URL, and open it where there is a browser
    #[command(after_help = invoke::OPEN_EXAMPLES)]
    Open(invoke::OpenArgs),
    /// Print the URL and what else others need to know
    #[command(after_help = outputs::EXAMPLES)]
    Outputs,
    /// Print the API key, and have another take its place
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(key::Verb),
    /// Print the least IAM policies that the deployer can work with
    #[command(after_help = policy::EXAMPLES)]
    Policy(policy::Args),
    /// Make or delete the role as which GitHub's jobs deploy a stage
    #[command(after_help = ci_role::EXAMPLES)]
    CiRole(ci_role::Args),
    /// Look at everything that a deploy needs, and say what is missing
    #[command(after_help = doctor::EXAMPLES)]
    Doctor,
    /// Draw what exists and what uses what, as Mermaid
    Graph,
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  deployer completions bash > ~/.local/share/bash-completion/completions/deployer"
    )]
    Completions { shell: clap_complete::Shell },
}

impl Verb {
    fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Deploy(_) => "deploy",
            Self::Destroy(_) => "destroy",
            Self::SmokeTest(_) => "smoke-test",
            Self::Rollback(_) => "rollback",
            Self::Releases => "releases",
            Self::Verify(_) => "verify",
            Self::Status => "status",
            Self::Logs(_) => "logs",
            Self::Invoke(_) => "invoke",
            Self::Load(_) => "load",
            Self::Open(_) => "open",
            Self::Outputs => "outputs",
            Self::Policy(_) => "policy",
            Self::CiRole(_) => "ci-role",
            Self::Key(verb) => verb.name(),
            Self::Doctor => "doctor",
            Self::Graph => "graph",
            Self::Completions { .. } => "completions",
        }
    }
}

/// Parses, runs, and says how it ended. Everything that can go wrong is printed in here. `access`
/// is the way to AWS where the arguments don't say otherwise.
pub async fn main(
    args: impl IntoIterator<Item = std::ffi::OsString>,
    access: Access,
    app: &App,
) -> Exit {
    let exit = match parse_and_run(args, access, app).await {
        Exit::Interrupted => run::ended_by().unwrap_or(Exit::Interrupted),
        exit => exit,
    };
    let Some(error) = screen::unwritten() else { return exit };
    let failed = paint(BAD, "error:");
    say(format!("{failed} the result could not be written to standard output: {error}"));
    say("  next: run it again with another place for its output; what was done is done");
    if [Exit::Done, Exit::Differences].contains(&exit) { Exit::Failed } else { exit }
}

async fn parse_and_run(
    args: impl IntoIterator<Item = std::ffi::OsString>,
    access: Access,
    app: &App,
) -> Exit {
    let mut cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            screen::note_unwritten(error.print());
            let asked = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&error.kind());
            return if asked { Exit::Done } else { Exit::Usage };
        }
    };
    cli.common.access = access;
    cli.common.app = *app;
    cli.common.verb = cli.verb.name();
    screen::choose_colors(cli.common.color);
    let recorder = match record(&mut cli.common) {
        Ok(recorder) => recorder,
        Err(error) => {
            explain::print(&error, &cli.common);
            return explain::exit(&error, &cli.common);
        }
    };
    let common = &cli.common;
    let result = defect::caught(Box::pin(run(&cli.verb, common))).await;
    let exit = result.unwrap_or_else(|error| {
        explain::print(&error, common);
        explain::exit(&error, common)
    });
    if let (Some(recorder), Some(file)) = (recorder, &common.record) {
        screen::say(match recorder.finish() {
            Ok(1) => format!("1 request is recorded in {}", file.display()),
            Ok(requests) => format!("{requests} requests are recorded in {}", file.display()),
            Err(error) => format!("warning: {} is not complete: {error}", file.display()),
        });
    }
    exit
}

async fn run(verb: &Verb, common: &Common) -> Result<Exit> {
    match verb {
        Verb::Plan(args) => plan::run(common, args).await,
        Verb::Deploy(args) => deploy::run(common, args).await,
        Verb::Destroy(args) => destroy::run(common, args).await,
        Verb::SmokeTest(args) => smoke_test::run(common, args).await,
        Verb::Rollback(args) => rollback::run(common, args).await,
        Verb::Releases => releases::run(common).await,
        Verb::Verify(args) => verify::run(common, args).await,
        Verb::Status => status::run(common).await,
        Verb::Logs(args) => logs::run(common, args).await,
        Verb::Invoke(args) => invoke::run(common, args).await,
        Verb::Load(args) => load::run(common, args).await,
        Verb::Open(args) => invoke::open(common, args).await,
        Verb::Outputs => outputs::run(common).await,
        Verb::Policy(args) => policy::run(common, args).await,
        Verb::CiRole(args) => ci_role::run(common, args).await,
        Verb::Key(verb) => key::run(common, verb).await,
        Verb::Doctor => doctor::run(common).await,
        Verb::Graph => graph::run(common),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "deployer", &mut script);
            screen::result(String::from_utf8_lossy(&script).trim_end());
            Ok(Exit::Done)
        }
    }
}

/// From now on every request is recorded, if that is asked for.
fn record(common: &mut Common) -> Result<Option<Recorder>> {
    let Some(file) = &common.record else { return Ok(None) };
    let clock = common.access.clock.clone().unwrap_or_default();
    let recorder = Recorder::create(file, common.verb, clock).context(explain::Preflight)?;
    let http = common.access.http.take().unwrap_or_else(connector);
    common.access.http = Some(recorder.record(http));
    Ok(Some(recorder))
}
