//! Stacks of many endpoints: what they ask for grows in a straight line, and takes no longer than AWS's quotas
//! force it to.

#![allow(clippy::print_stdout, reason = "libtest shows it when a test fails")]

use crate::account::{Account, REGION};
use crate::world::World;
use deployer::APP;
use infra::app::App;
use infra::aws::Access;
use infra::contract::{Endpoint, get};
use infra::quota;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Builder;

const LATENCY: Duration = Duration::from_millis(50);
/// As many requests follow one another in the longest run (`docs/PERFORMANCE.md`), and then some that quotas keep
/// from going out together.
const LONGEST: u32 = 20;

/// What a run asked for, and how long it took by the clock that waits for quotas.
struct Run {
    requests: usize,
    took: Duration,
    /// How long the quotas alone make that many requests take.
    forced: Duration,
}

impl Run {
    fn of(world: &World, account: &Account, line: &str) -> Self {
        world.pass(Duration::from_secs(60));
        let before = world.age();
        world.run(account, line).ends(0);
        let requests = world.requests();
        // The quotas' table has IAM's names for them.
        let ops: Vec<_> =
            requests.iter().map(|op| op.replace("monitoring:", "cloudwatch:")).collect();
        // Nothing is changed before all is read.
        let changes = |op: &String| ["s3:CreateBucket", "s3:PutObject"].contains(&op.as_str());
        let read = ops.iter().position(changes).unwrap_or(ops.len());
        let least = |ops: &[String]| quota::estimate(ops.iter().map(String::as_str)).least;
        // The front door comes last, and has quotas of its own: half of what the key may.
        let calls = ops.iter().filter(|op| op.ends_with(":GET")).count() as f64 / 3.0;
        let beyond = (calls - f64::from(APP.key_limit.burst) / 2.0).max(0.0);
        let door = Duration::from_secs_f64(beyond * 2.0 / APP.key_limit.rate);
        let forced = least(&ops[..read]) + least(&ops[read..]) + door;
        Self { requests: requests.len(), took: world.age() - before, forced }
    }
}

/// So many endpoints, all answered as `GET /` is.
fn endpoints(number: usize) -> &'static [Endpoint] {
    let endpoint = |n| get(format!("/e{n:03}").leak(), format!("e{n:03}").leak());
    (0..number).map(endpoint).collect::<Vec<_>>().leak()
}

/// Set where a stack of that size is to be deployed and nothing else done: see [`alone`].
const ALONE: &str = "SCALE_ALONE";

/// Which runs itself again for that.
const TEST: &str = "scale::a_larger_stack_takes_what_the_quotas_force_and_asks_for_as_much_more";

/// The most memory, in KiB, that a process has that only deploys so many endpoints (proc(5), `VmHWM`).
fn alone(size: usize, account: &Account) -> usize {
    let mut deploy = Command::new(std::env::current_exe().unwrap());
    deploy.args(["--exact", TEST, "--nocapture"]);
    deploy.env(ALONE, size.to_string()).env("RUST_BACKTRACE", "0").envs([
        ("AWS_ENDPOINT_URL", account.cloud().endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", &account.id),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", REGION),
    ]);
    let output = deploy.arg(account.packages.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let peak = said.lines().find_map(|line| line.strip_prefix("peak ")?.parse().ok());
    peak.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// What the process of [`alone`] does.
fn deploy_alone(size: usize) {
    let app = App { endpoints: endpoints(size), ..APP };
    let packages = std::env::args_os().next_back().unwrap();
    let line = ["deployer", "deploy", "--yes", "--quiet", "--packages"].map(Into::into);
    let args = line.into_iter().chain([packages]);
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let exit = runtime.block_on(infra::cli::main(args, Access::default(), &app));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    assert_eq!(exit as i32, 0);
    println!("\npeak {}", peak.trim().trim_end_matches(" kB"));
}

/// Leaves a row for `cargo xtask bench`.
fn report(endpoints: usize, runs: &[(&str, Run)], peak: usize) {
    let mut row = serde_json::json!({ "endpoints": endpoints, "peak_kib": peak });
    for (name, Run { requests, took, forced }) in runs {
        row[name] = serde_json::json!({
            "requests": requests, "seconds": took.as_secs_f64(), "forced": forced.as_secs_f64(),
        });
    }
    println!("{row}");
    if let Some(table) = std::env::var_os("SCALE_TABLE") {
        let mut file = OpenOptions::new().create(true).append(true).open(table).unwrap();
        writeln!(file, "{row}").unwrap();
    }
}

/// `SCALE` names more sizes: the bench's.
#[test]
fn a_larger_stack_takes_what_the_quotas_force_and_asks_for_as_much_more() {
    if let Ok(size) = std::env::var(ALONE) {
        return deploy_alone(size.parse().unwrap());
    }
    let sizes = std::env::var("SCALE").unwrap_or_else(|_| "3,13,23".to_owned());
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().unwrap()).collect();
    let mut asked_for: Vec<(usize, [usize; 3])> = vec![];
    for &size in &sizes {
        let account = Account::new();
        account.packages.copies("root", endpoints(size).iter().map(|endpoint| endpoint.function));
        let world = World::of(&account);
        world.set_endpoints(endpoints(size));
        world.set_latency(LATENCY);
        world.keep_quotas();
        let runs =
            [("first", "deploy --yes"), ("no_op", "deploy --yes"), ("destroy", "destroy --yes")];
        let runs = runs.map(|(name, line)| (name, Run::of(&world, &account, line)));
        let peak = alone(size, &account);
        world.run(&account, "destroy --yes").ends(0); // so many functions are a burden to other tests
        report(size, &runs, peak);
        assert!(peak < 120_000, "{size} endpoints: {peak} KiB of memory");
        for (name, Run { took, forced, .. }) in &runs {
            let most = forced.mul_f64(1.1) + LATENCY * LONGEST;
            assert!(
                *took <= most,
                "{size} endpoints, {name}: {took:?}, and quotas force {forced:?}"
            );
        }
        asked_for.push((size, runs.map(|(_, run)| run.requests)));
    }
    for pair in asked_for.windows(3) {
        let growth = |(a, from): &(usize, [usize; 3]), (b, to): &(usize, [usize; 3])| {
            [0, 1, 2].map(|run| (to[run] - from[run]) as f64 / (b - a) as f64)
        };
        let (before, after) = (growth(&pair[0], &pair[1]), growth(&pair[1], &pair[2]));
        let straight =
            before.iter().zip(after).all(|(before, after)| (after / before - 1.0).abs() < 0.05);
        assert!(straight, "requests for each endpoint more: {before:?}, then {after:?}");
    }
}
