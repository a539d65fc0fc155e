//! The longest chain of requests that have to follow one another: so long does a run take where AWS is
//! far away, however many it sends side by side.

use crate::account::Account;
use crate::world::World;
use std::time::Duration;

const LATENCY: Duration = Duration::from_millis(50);

/// What a run of this line waits for, in requests, and how many it sends in all.
fn chain(world: &World, account: &Account, line: &str) -> (f64, usize) {
    let before = world.age();
    world.run(account, line).ends(0);
    let waited = world.age() - before;
    (waited.as_secs_f64() / LATENCY.as_secs_f64(), world.requests().len())
}

#[test]
fn chains_are_as_short_as_the_table_says() {
    let account = Account::new();
    let world = World::of(&account);
    world.set_latency(LATENCY);
    println!("first {:?}", chain(&world, &account, "deploy --yes"));
    println!("noop {:?}", chain(&world, &account, "deploy --yes"));
    println!("plan {:?}", chain(&world, &account, "plan"));
    account.packages.change_code("root");
    println!("code {:?}", chain(&world, &account, "deploy --yes"));
    println!("destroy {:?}", chain(&world, &account, "destroy --yes"));
}
