//! `deployer logs`: what the functions and API Gateway wrote, in the order of time.

mod line;
mod tail;

use super::run::connect;
use super::screen::{result, say};
use super::values::duration;
use super::{Common, Exit, explain};
use crate::resources::{log_lines, log_sources};
use crate::retry::pause;
use crate::run::Run;
use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use line::Line;
use std::time::Duration;
use tail::Tail;

pub const EXAMPLES: &str = "\
NAME is a function, or `gateway` for API Gateway's own line a request; none means all. The id in
the third column is Lambda's of the call: the function's lines of a request and the gateway's bear
the same one. START and END of each call are left out, unless -v.

Examples:
  deployer logs
  deployer logs -f --errors
  deployer logs health --since 2h --filter timeout
  deployer logs --json | jq 'select(.message.status == \"502\")'";

/// How often a follower asks: FilterLogEvents is allowed some five times a second, for everybody.
const ASK: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose lines
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// From how long ago
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = duration(1))]
    since: Duration,
    /// Only lines in which this text stands
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only what failed: errors, panics, timeouts, answers with 5xx
    #[arg(long)]
    errors: bool,
}

impl Args {
    /// Looked through here and not by AWS, whose patterns split a text into terms.
    fn wants(&self, line: &Line, verbose: bool) -> bool {
        let text = |text: &String| line.message.contains(text.as_str());
        self.filter.as_ref().is_none_or(text)
            && (!self.errors || line.is_error())
            && (verbose || !line.is_ceremony())
    }
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let aws = connect(common).await?;
    let sources = choose(common, &aws, &args.names).await?;
    let now = || aws.clock.now() * 1000;
    let since = i64::try_from(args.since.as_millis()).unwrap_or(i64::MAX);
    let mut tail = Tail::since(now().saturating_sub(since).max(0));
    let all = common.verbose > 0 || common.json;
    let width = sources.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut shown = 0;
    loop {
        let from = tail.from();
        let aws = &aws;
        let reads = sources.iter().map(|(name, group)| async move {
            let lines = log_lines(aws, group, from).await?;
            Ok::<_, anyhow::Error>(lines.into_iter().map(|line| (name.clone(), line)))
        });
        let lines = try_join_all(reads).await?.into_iter().flatten();
        for (source, line) in tail.fresh(lines, now()) {
            let line = Line { source, time: line.time, message: line.message };
            if args.wants(&line, all) {
                shown += 1;
                result(if common.json { line.json() } else { line.text(width) });
            }
        }
        if !args.follow {
            break;
        }
        pause(ASK, aws.stop()).await?;
    }
    if shown == 0 && !common.quiet {
        say("nothing was logged, or not yet: AWS shows lines some seconds after they are written");
    }
    Ok(Exit::Done)
}

/// The log groups that are asked for, by name.
async fn choose(common: &Common, aws: &Run, names: &[String]) -> Result<Vec<(String, String)>> {
    let mut sources = log_sources(aws).await?;
    if sources.is_empty() {
        bail!(explain::NotDeployed(common.stage.clone()));
    }
    let known: Vec<_> = sources.iter().map(|(name, _)| name.clone()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        bail!("stage {} has no logs of {unknown:?}, only of {}", common.stage, known.join(", "));
    }
    sources.retain(|(name, _)| names.is_empty() || names.contains(name));
    Ok(sources)
}
