//! The doctor, where there is an account to look at.

use crate::account::{Account, Ran};
use crate::world::World;
use deployer::ENDPOINTS;
use serde_json::Value;

/// With the programs of this machine, which others that are tested don't need.
fn doctor(account: &Account, line: &str) -> Ran {
    let mut command = account.command(&account.cloud().endpoint, line);
    Ran::of(command.env("PATH", std::env::var_os("PATH").unwrap()))
}

/// What it found about one thing.
fn found<'a>(said: &'a Value, check: &str) -> (&'a str, &'a str) {
    let checks = said["checks"].as_array().unwrap();
    let line = checks.iter().find(|line| line["check"] == check).unwrap();
    (line["level"].as_str().unwrap(), line["found"].as_str().unwrap())
}

#[test]
fn the_doctor_tells_who_one_is_and_how_much_room_is_left() {
    let account = Account::deployed();
    let said = doctor(&account, "doctor --json").ends(0).json();
    assert_eq!(said["healthy"], true);
    let (level, who) = found(&said, "credentials");
    assert!(level == "ok" && who.contains(&account.id) && who.contains("ap-southeast-2"), "{who}");
    assert_eq!(found(&said, "apis"), ("ok", "1 of 600"));
    assert_eq!(found(&said, "api keys"), ("ok", "1 of 10000"));
    assert_eq!(found(&said, "usage plans"), ("ok", "1 of 300"));
    let roles = format!("{} of 1000", ENDPOINTS.len() + 1);
    assert_eq!(found(&said, "roles"), ("ok", &*roles));
    let (level, lambda) = found(&said, "lambda");
    assert!(level == "ok" && lambda.contains("calls at once"), "{lambda}");
    assert_eq!(found(&said, "packages").0, "ok");
    assert_eq!(found(&said, "clock").0, "ok");
}

#[test]
fn the_doctor_finds_the_local_cloud_where_it_is() {
    let account = Account::new();
    let said = doctor(&account, "doctor --local --json").ends(0).json();
    let (level, cloud) = found(&said, "local cloud");
    assert!(level == "ok" && cloud.contains(&account.cloud().endpoint), "{cloud}");
}

#[test]
fn the_doctor_changes_nothing() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "doctor");
    let writes = world.requests().into_iter().filter(|name| crate::world::is_write(name));
    assert_eq!(writes.collect::<Vec<_>>(), Vec::<String>::new());
    assert!(world.requests().contains(&"iam:GetAccountSummary".to_owned()));
}

#[test]
fn the_doctor_sees_a_clock_that_is_off() {
    let account = Account::new();
    let world = World::of(&account);
    world.set_clock_off(-90);
    let said = world.run(&account, "doctor --json").json();
    let (level, clock) = found(&said, "clock");
    assert!(level == "warning" && clock.contains("1 min 30 s behind AWS's"), "{clock}");
    assert_eq!(found(&said, "credentials").0, "ok");
    world.set_clock_off(600);
    let said = world.run(&account, "doctor --json").ends(6).json();
    let (level, clock) = found(&said, "clock");
    assert!(level == "failed" && clock.contains("10 min 00 s ahead of AWS's"), "{clock}");
    assert_eq!(found(&said, "credentials").0, "failed");
}
