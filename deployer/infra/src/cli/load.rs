//! `deployer load`: many callers at once, and whether each of them gets a right answer.

use super::run::{Deployed, connect, deployed};
use super::screen::{BAD, DIM, GOOD, count, paint, result, say};
use super::smoke_test::QUOTA_EXCEEDED;
use super::values::number;
use super::{Common, Exit};
use crate::load::{Load, Tally};
use crate::resources::SecretParameter;
use anyhow::Result;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

pub const EXAMPLES: &str = "\
Every answer is held to the table of endpoints, as in a smoke test. 429, the limit of usage plan or
stage, is a right answer; anything else but what is promised is wrong, and the exit code is 5. Times
are those of calls that were let in. On AWS calls count against the key's monthly quota, and cost;
if it is used up, the rest can't be judged, and the exit code is 6.

Examples:
  deployer load --local
  deployer load --clients 10 --seconds 30 --json";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many callers, each of whom calls again as soon as it is answered
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    #[arg(value_parser = number("clients", 1..=1000))]
    clients: u64,
    /// For how long
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    #[arg(value_parser = number("seconds", 1..=3600))]
    seconds: u64,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let aws = connect(common).await?;
    let Deployed { api, release, .. } = deployed(common, &aws).await?;
    let key = SecretParameter::value(&aws, &aws.env.parameter("api-key")).await?;
    let (url, endpoints) = (aws.url(&api), common.app.endpoints);
    let load = Load {
        http: &aws.http,
        url: &url,
        key: &key,
        endpoints,
        release: &release,
        clients: usize::try_from(args.clients)?,
        time: Duration::from_secs(args.seconds),
    };
    if !common.quiet {
        let text = format!("{} clients call {url} for {} s", args.clients, args.seconds);
        say(paint(DIM, text));
    }
    let (mut tallies, took) = load.run().await;
    let quota_exceeded: u64 = tallies.iter().map(|tally| tally.quota_exceeded).sum();
    let routes: Vec<String> =
        endpoints.iter().map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect();
    match common.json {
        true => print_json(args, &url, &routes, &mut tallies, took),
        false => table(&routes, &mut tallies, took),
    }
    let wrong: u64 = tallies.iter().flat_map(|tally| tally.wrong.values()).sum();
    for (route, tally) in routes.iter().zip(&tallies) {
        for (what, times) in &tally.wrong {
            say(format!("{} {route}, {times} times: {what}", paint(BAD, "error:")));
        }
    }
    if quota_exceeded > 0 && wrong == 0 {
        say(format!("{} {quota_exceeded} calls could not be judged", paint(BAD, "error:")));
        say(format!("  next: {QUOTA_EXCEEDED}"));
        return Ok(Exit::Preflight);
    }
    let served = tallies.iter().any(|tally| tally.requests() > tally.throttled());
    if !served {
        say(format!("{} nobody was let in", paint(BAD, "error:")));
    }
    Ok(if wrong == 0 && served { Exit::Done } else { Exit::SmokeTestFailed })
}

fn table(routes: &[String], tallies: &mut [Tally], took: Duration) {
    let width = routes.iter().map(|route| route.chars().count()).max().unwrap_or(0);
    for (route, tally) in routes.iter().zip(tallies.iter_mut()) {
        let statuses: Vec<_> =
            statuses(tally).into_iter().map(|(s, times)| format!("{times} × {s}")).collect();
        let [p50, p99, max] = [50, 99, 100].map(|percent| {
            tally.percentile(percent).map_or("-".to_owned(), |time| time.as_millis().to_string())
        });
        result(format!(
            "{route:<width$}  p50 {p50:>4} ms  p99 {p99:>4} ms  max {max:>4} ms  {}",
            statuses.join(", ")
        ));
    }
    let sum = |number: fn(&Tally) -> u64| tallies.iter().map(number).sum::<u64>();
    let (all, throttled) = (sum(Tally::requests), sum(Tally::throttled));
    let wrong = sum(|tally| tally.wrong.values().sum());
    let style = if wrong == 0 { GOOD } else { BAD };
    let requests = count(usize::try_from(all).unwrap_or(usize::MAX), "request");
    result(paint(
        style,
        format!(
            "{requests} in {:.1} s, {:.0} a second; {throttled} throttled, {wrong} wrong",
            took.as_secs_f64(),
            rate(all, took)
        ),
    ));
}

fn print_json(args: &Args, url: &str, routes: &[String], tallies: &mut [Tally], took: Duration) {
    let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1000.0);
    let all = tallies.iter().map(Tally::requests).sum();
    let routes: Vec<_> = (routes.iter().zip(tallies.iter_mut()))
        .map(|(route, tally)| {
            json!({
                "route": route, "requests": tally.requests(), "statuses": statuses(tally),
                "p50_ms": millis(tally.percentile(50)), "p99_ms": millis(tally.percentile(99)),
                "max_ms": millis(tally.percentile(100)), "wrong": tally.wrong,
            })
        })
        .collect();
    result(format!(
        "{:#}",
        json!({
            "url": url, "clients": args.clients, "seconds": took.as_secs_f64(), "requests": all,
            "requests_per_second": rate(all, took), "routes": routes,
        })
    ));
}

fn rate(requests: u64, took: Duration) -> f64 {
    f64::from(u32::try_from(requests).unwrap_or(u32::MAX)) / took.as_secs_f64().max(0.001)
}

fn statuses(tally: &Tally) -> BTreeMap<String, u64> {
    let name = |status: &Option<u16>| status.map_or("no answer".to_owned(), |s| s.to_string());
    tally.statuses.iter().map(|(status, times)| (name(status), *times)).collect()
}
