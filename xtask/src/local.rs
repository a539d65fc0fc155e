//! The local cloud: `cargo xtask local up|down|status|logs|reset`.
//!
//! It is a program of its own (`local/cloud.py`) that outlives us. What we know of it lies in its home:
//!
//! | `target/local/` | |
//! |---|---|
//! | `venv/` | Python with the locked requirements, see `venv` |
//! | `cloud.json` | who runs: locked by the cloud for as long as it lives, see `process` |
//! | `cloud.log` | what it said since its last start |
//! | `state/` | buckets, functions, APIs: kept over `down` and `up`, emptied by `reset` |

mod http;
mod log;
mod process;
mod venv;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::exit;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::workspace::{make_writable, root, say};
use process::{Cloud, Home};

const NOT_RUNNING: i32 = 3;

/// The local cloud: an emulator of the AWS services that this API uses. Needs Python 3.10 or newer, and no Docker.
#[derive(Debug, Args)]
pub struct Local {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start it, if it isn't running, and print its URL
    Up {
        /// Port on 127.0.0.1 [default: that of the last time, or 4566]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
    },
    /// Stop it; its state stays for the next `up`
    Down,
    /// Say whether it runs, and where: exit code 0 if it does, 3 if not
    Status,
    /// Print the end of its log
    Logs {
        /// Go on printing what is added, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
    },
    /// Empty it: every bucket, function, API, role, parameter and log group of every account
    Reset,
}

impl Local {
    /// Does what the verb says. Results go to standard output, everything else to standard error.
    pub fn run(self) -> Result<()> {
        let home = Home::of_workspace();
        match self.verb {
            Verb::Up { port } => up(&home, port).map(|cloud| answer(cloud.url())),
            Verb::Down => down(&home),
            Verb::Status => status(&home),
            Verb::Logs { follow, lines } => log::print(&home.log(), lines, follow),
            Verb::Reset => reset(&home),
        }
    }
}

/// Starts the local cloud unless it runs, and gives its endpoint URL, such as `http://127.0.0.1:4566`.
pub fn ensure_up() -> Result<String> {
    let home = Home::of_workspace();
    match home.running()? {
        Some(cloud) => process::await_running(&home, &cloud).map(|()| cloud.url()),
        None => up(&home, None).map(|cloud| cloud.url()),
    }
}

/// The endpoint URL of the local cloud, if it runs.
pub fn running() -> Result<Option<String>> {
    Ok(Home::of_workspace().running()?.map(|cloud| cloud.url()))
}

fn up(home: &Home, port: Option<u16>) -> Result<Cloud> {
    let directory = root().join("target").join("local");
    make_writable(
        &directory,
        "the local cloud keeps its Python packages and its state there: make it writable",
    )?;
    let _turn = home.take_turn()?;
    if let Some(cloud) = home.running()? {
        if port.is_some_and(|port| port != cloud.port) {
            bail!(
                "starting the local cloud: it already runs at {}\n  next: cargo xtask local down, then up with another port",
                cloud.url()
            );
        }
        process::await_running(home, &cloud)?;
        say(format_args!("the local cloud is already running: pid {}", cloud.pid));
        return Ok(cloud);
    }
    let port = port.or_else(|| home.last_port()).unwrap_or(4566);
    process::check_free(port)?;
    let python = venv::ready()?;
    let cloud = process::start(home, &python, port)?;
    say(format_args!(
        "started the local cloud: pid {}, log in {}",
        cloud.pid,
        home.log().display()
    ));
    Ok(cloud)
}

fn down(home: &Home) -> Result<()> {
    let _turn = home.take_turn()?;
    match home.running()? {
        None => say("the local cloud is not running"),
        Some(cloud) => {
            process::stop(home, &cloud)?;
            say(format_args!(
                "stopped the local cloud: pid {}; its state is kept in {}",
                cloud.pid,
                home.state().display()
            ));
        }
    }
    Ok(())
}

fn status(home: &Home) -> Result<()> {
    let Some(cloud) = home.running()? else {
        answer("not running");
        exit(NOT_RUNNING);
    };
    answer(format_args!("running   {}", cloud.url()));
    answer(format_args!("pid       {}", cloud.pid));
    answer(format_args!("for       {}", age(cloud.since())));
    answer(format_args!("emulator  ministack {}", cloud.ministack));
    answer(format_args!("state     {}", home.state().display()));
    answer(format_args!("log       {}", home.log().display()));
    Ok(())
}

fn reset(home: &Home) -> Result<()> {
    let _turn = home.take_turn()?;
    match home.running()? {
        Some(cloud) => process::empty(&cloud)?,
        None => home.delete_state()?,
    }
    say("emptied the local cloud");
    Ok(())
}

/// Prints a result.
fn answer(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The time since `since`, in its two largest units: `2 h 5 min`.
fn age(since: SystemTime) -> String {
    let seconds = since.elapsed().unwrap_or(Duration::ZERO).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_two_units() {
        let told = |seconds| age(SystemTime::now() - Duration::from_secs(seconds));
        assert_eq!(told(5), "5 s");
        assert_eq!(told(125), "2 min 5 s");
        assert_eq!(told(3 * 3600 + 120), "3 h 2 min");
        assert_eq!(told(50 * 3600), "2 d 2 h");
    }
}
