//! The longest chain of requests that have to follow one another: so long does a run take where AWS is
//! far away, however many it sends side by side.

use crate::account::Account;
use crate::world::World;
use std::time::Duration;

const LATENCY: Duration = Duration::from_millis(50);

/// How many requests a run of this line waits for, one after the other, when the last is a while ago.
fn chain(world: &World, account: &Account, line: &str) -> f64 {
    world.pass(Duration::from_secs(60));
    let before = world.age();
    world.run(account, line).ends(0);
    ((world.age() - before).as_secs_f64() / LATENCY.as_secs_f64()).round()
}

/// The table of `docs/PERFORMANCE.md`. On a machine that is overloaded a function may answer too late and be called
/// again, which lengthens a chain: so a second run decides.
#[test]
fn chains_are_as_long_as_the_documentation_says() {
    let documented = include_str!("../../../docs/PERFORMANCE.md");
    let missing = || {
        let rows = chains().map(|(what, chain)| format!("| {what} | {chain} | "));
        rows.into_iter().filter(|row| !documented.contains(row)).collect::<Vec<_>>()
    };
    assert!(missing().is_empty() || missing().is_empty(), "not in the table: {:?}", missing());
}

fn chains() -> [(&'static str, f64); 5] {
    let account = Account::new();
    let world = World::of(&account);
    world.set_latency(LATENCY);
    let chain = |line| chain(&world, &account, line);
    let (first, same, plan) = (chain("deploy --yes"), chain("deploy --yes"), chain("plan"));
    account.packages.change_code("root");
    [
        ("first deploy", first),
        ("no-op deploy", same),
        ("plan", plan),
        ("code of one function changed", chain("deploy --yes")),
        ("destroy", chain("destroy --yes")),
    ]
}
