//! One life of a bootstrap: started, asked, and killed.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{Advice, fadvise, fsync};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;

/// A proxy event as API Gateway sends it.
const EVENT: &str = include_str!("../../../functions/handler/tests/event.json");

/// What to measure.
#[derive(Deserialize)]
pub struct Subject {
    pub name: String,
    /// The program and, if it is an interpreter, what it reads.
    pub command: Vec<PathBuf>,
}

/// What was measured.
pub struct Life {
    /// From the start to the first `next`.
    pub next: Duration,
    /// From the start to the first answer.
    pub answer: Duration,
    /// From event to answer, for those that followed.
    pub warm: Vec<Duration>,
    /// The most memory it had, in KiB.
    pub peak: u64,
    /// How often it had to wait for the disk.
    pub faults: u64,
}

/// Ends with its scope.
pub struct Process(Child);

impl Process {
    /// Starts a program as Lambda would, for `api` to serve.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(mut command: Command, api: &Api) -> Result<Self> {
        command.env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        command.env("AWS_LAMBDA_RUNTIME_API", api.address()?.to_string()).envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("VERSION", "1.0.0"),
            ("GIT_SHA", "0123456789a"),
        ]);
        Ok(Self(command.spawn().context("starting it")?))
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// If it is gone already.
    pub fn end(mut self) -> Result<()> {
        let id = Pid::from_child(&self.0);
        kill_process(id, Signal::TERM).context("ending it")?;
        self.0.wait().context("waiting for its end")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `subject` and gives it `events`, of which the first is not warm. If `evicted`, its files have to be read from
/// the disk first.
///
/// # Errors
///
/// If it cannot be started, does not follow the protocol, or answers wrongly.
pub fn run(subject: &Subject, evicted: bool, events: usize) -> Result<Life> {
    live(subject, evicted, events).with_context(|| format!("measuring {}", subject.name))
}

fn live(subject: &Subject, evicted: bool, events: usize) -> Result<Life> {
    let [program, arguments @ ..] = &subject.command[..] else { bail!("it has no program") };
    let mut api = Api::start()?;
    let mut command = Command::new(program);
    command.args(arguments);
    if evicted {
        subject.command.iter().try_for_each(evict)?;
    }
    let started = Instant::now();
    let process = Process::start(command, &api)?;
    let mut life = converse(&mut api, started, events)?;
    (life.peak, life.faults) = (peak(&process.0)?, faults(&process.0)?);
    Ok(life)
}

/// Gives so many events to who asks for them.
///
/// # Errors
///
/// If it does not follow the protocol, or answers wrongly.
pub fn converse(api: &mut Api, started: Instant, events: usize) -> Result<Life> {
    let mut asked = api.asked()?;
    let mut life = Life {
        next: started.elapsed(),
        answer: Duration::ZERO,
        warm: Vec::with_capacity(events),
        peak: 0,
        faults: 0,
    };
    for event in 0..events {
        if !asked.line.ends_with("/runtime/invocation/next http/1.1") {
            bail!("it asked for `{}` where it should take the next event", asked.line);
        }
        let id = format!("request-{event}");
        let response = invocation(&id);
        let given = Instant::now();
        api.answer(&asked, &response)?;
        let answer = api.asked()?;
        match event {
            0 => life.answer = started.elapsed(),
            _ => life.warm.push(given.elapsed()),
        }
        check(&answer.line, &answer.body, &id)?;
        api.answer(&answer, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")?;
        asked = api.asked()?;
    }
    Ok(life)
}

fn invocation(id: &str) -> String {
    let length = EVENT.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: {id}\r\n\
         lambda-runtime-deadline-ms: 4102444800000\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:f\r\n\
         lambda-runtime-trace-id: Root=1-674265f0-5a1c6d3e2f4b7a8c9d0e1f2a;Sampled=0\r\n\
         content-length: {length}\r\n\r\n{EVENT}"
    )
}

fn check(line: &str, body: &[u8], id: &str) -> Result<()> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if line.ends_with(&format!("/{id}/response http/1.1")) && answer["statusCode"] == 200 {
        return Ok(());
    }
    bail!("it answered {id} with `{line}` and {}", String::from_utf8_lossy(body));
}

/// Has the system forget what it holds of a file. It keeps what others have mapped, such as the C library.
fn evict(path: &PathBuf) -> Result<()> {
    let evicting = || format!("evicting {}", path.display());
    let file = File::open(path).with_context(evicting)?;
    fsync(&file).with_context(evicting)?;
    fadvise(&file, 0, None, Advice::DontNeed).with_context(evicting)
}

fn peak(child: &Child) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    peak.context("reading its peak memory")
}

/// The tenth field after the program's name: see proc(5).
fn faults(child: &Child) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
    let faults = fields.and_then(|mut fields| fields.nth(9)?.parse().ok());
    faults.context("reading its page faults")
}
