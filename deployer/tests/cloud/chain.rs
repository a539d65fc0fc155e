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

/// The table of `docs/PERFORMANCE.md`.
#[test]
fn chains_are_as_long_as_the_documentation_says() {
    let account = Account::new();
    let world = World::of(&account);
    world.set_latency(LATENCY);
    let mut chains = vec![("first deploy", chain(&world, &account, "deploy --yes"))];
    chains.push(("no-op deploy", chain(&world, &account, "deploy --yes")));
    chains.push(("plan", chain(&world, &account, "plan")));
    account.packages.change_code("root");
    chains.push(("code of one function changed", chain(&world, &account, "deploy --yes")));
    chains.push(("destroy", chain(&world, &account, "destroy --yes")));
    let documented = include_str!("../../../docs/PERFORMANCE.md");
    let rows = chains.iter().map(|(what, chain)| format!("| {what} | {chain} | "));
    let missing: Vec<_> = rows.filter(|row| !documented.contains(row)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}
