//! How long deploys take, with the local cloud as far away as AWS is: `bench/wire` lies between.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{build, built, directory};
use crate::manifest::{Manifest, Package};
use crate::workspace::{packages, say, write_atomically};
use crate::{archive, compile, local, package};

/// How far away the cloud is, in milliseconds.
const FAR: u64 = 50;
/// Each run is done so often, and the middle one counts.
const TIMES: usize = 5;
/// A run that comes sooner after another reads the stage twice.
const REST: Duration = Duration::from_secs(7);

/// What is run, one after the other, in an account of its own: what it is called, the deployer's arguments, whether
/// other code is to be deployed, and the least requests in a chain (counted in docs/PERFORMANCE.md).
const RUNS: [(&str, &str, bool, u32); 5] = [
    ("first deploy", "deploy --yes", false, 13),
    ("no-op deploy", "deploy --yes", false, 3),
    ("plan", "plan", false, 3),
    ("code of one function changed", "deploy --yes", true, 9),
    ("destroy", "destroy --yes", false, 13),
];

const HEAD: &str = "\
| run | requests | in a chain | took, s | took without distance, s | distance × least chain and start |
|---|---:|---:|---:|---:|---:|
";

/// What passed the wire in a run.
#[derive(Clone, Copy, Deserialize)]
struct Passed {
    requests: usize,
    chain: u32,
}

/// The wire, until it is dropped.
struct Wire {
    process: Child,
    asked: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl Wire {
    fn to(cloud: &str, delay: u64) -> Result<Self> {
        let place = cloud.strip_prefix("http://").unwrap_or(cloud);
        let mut process = Command::new(built("wire"))
            .args([place, &delay.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the wire")?;
        let asked = process.stdin.take();
        let output = process.stdout.take().context("the wire has no output")?;
        let mut wire = Self { process, asked, answers: BufReader::new(output), url: String::new() };
        wire.url = format!("http://{}", wire.line()?);
        Ok(wire)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("listening to the wire")?;
        Ok(line.trim().to_owned())
    }

    /// What has passed since this was asked last.
    fn passed(&mut self) -> Result<Passed> {
        let asked = self.asked.as_mut().context("the wire has no input")?;
        asked.write_all(b"\n").context("asking the wire")?;
        serde_json::from_str(&self.line()?).context("asking the wire what has passed")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.asked.take()); // which ends it
        let _ = self.process.wait();
    }
}

/// The table, in Markdown.
///
/// # Errors
///
/// If something does not compile, or a run fails.
pub fn table() -> Result<String> {
    build(&["wire"])?;
    let deployer = compile::deployer()?;
    let options = package::Options { arch: Default::default(), only: None, out: None };
    package::prepare(&options).and_then(|prepared| package::package(prepared, false))?;
    let changed = other_code()?;
    let cloud = local::ensure_up()?;
    say(format_args!("deploying {TIMES} times, {FAR} ms away and not at all"));
    let starts = (0..TIMES).map(|_| start(&deployer)).collect::<Result<_>>()?;
    let start = middle(starts, |took| *took);
    let far = measure(&deployer, &changed, &cloud, FAR)?;
    let near = measure(&deployer, &changed, &cloud, 0)?;
    let mut table = HEAD.to_owned();
    for (index, (name, .., least)) in RUNS.iter().enumerate() {
        let (took, Passed { requests, chain }) = far[index];
        let least = Duration::from_millis(FAR) * *least + start;
        let (took, without) = (took.as_secs_f64(), near[index].0.as_secs_f64());
        let ratio = (took - without + start.as_secs_f64()) / least.as_secs_f64();
        table +=
            &format!("| {name} | {requests} | {chain} | {took:.2} | {without:.2} | {ratio:.2} |\n");
    }
    table += &format!("\nThe deployer's bare start takes {:.3} s of each.\n", start.as_secs_f64());
    Ok(table)
}

/// What each run takes, and what passes in it.
fn measure(
    deployer: &Path,
    changed: &Path,
    cloud: &str,
    delay: u64,
) -> Result<Vec<(Duration, Passed)>> {
    let mut wire = Wire::to(cloud, delay)?;
    let mut taken = vec![vec![]; RUNS.len()];
    for time in 0..TIMES {
        let account = account(time);
        for (index, (name, line, other, _)) in RUNS.iter().enumerate() {
            if index > 0 && !line.starts_with("plan") {
                sleep(REST);
            }
            let packages = if *other { changed.to_owned() } else { packages() };
            let mut command = Command::new(deployer);
            command.args(line.split(' ')).arg("--packages").arg(packages).arg("--quiet");
            command.env("AWS_ENDPOINT_URL", &wire.url).env("AWS_ACCESS_KEY_ID", &account);
            command.env("AWS_SECRET_ACCESS_KEY", "bench").env("AWS_REGION", "ap-southeast-2");
            let began = Instant::now();
            let output = command.output().context("running the deployer")?;
            let took = began.elapsed();
            if !output.status.success() {
                bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
            }
            taken[index].push((took, wire.passed()?));
        }
    }
    Ok(taken.into_iter().map(|taken| middle(taken, |(took, _)| *took)).collect())
}

/// One that nobody has used: twelve digits, which the local cloud takes for an access key.
fn account(time: usize) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    format!("9{:011}", (now * 10 + time as u128) % 100_000_000_000)
}

/// How long it takes to say its version.
fn start(deployer: &Path) -> Result<Duration> {
    let began = Instant::now();
    Command::new(deployer).arg("--version").output().context("running the deployer")?;
    Ok(began.elapsed())
}

/// The one in the middle of them.
fn middle<T: Copy>(mut taken: Vec<T>, by: impl Fn(&T) -> Duration) -> T {
    taken.sort_by_key(by);
    taken[taken.len() / 2]
}

/// The same packages, but for one function's code.
fn other_code() -> Result<PathBuf> {
    let (from, to) = (packages(), directory().join("packages"));
    let copying = || format!("copying the packages to {}", to.display());
    fs::create_dir_all(&to).with_context(copying)?;
    let mut manifest = Manifest::read(&from).context("there are no packages")?;
    for package in &mut manifest.packages {
        fs::copy(from.join(&package.file), to.join(&package.file)).with_context(copying)?;
    }
    let one = manifest.packages.first_mut().context("there are no packages")?;
    let mut binary = archive::unzip(&fs::read(from.join(&one.file)).with_context(copying)?)?;
    binary.push(0); // behind the program's end, where nobody looks
    let zip = archive::zip(&binary)?;
    write_atomically(&to.join(&one.file), &zip)?;
    *one = Package::new(&one.name, &zip, &binary);
    manifest.write(&to)?;
    Ok(to)
}
