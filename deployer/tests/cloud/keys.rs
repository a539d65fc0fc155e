//! One key takes another's place: both work meanwhile, and whatever a rotation dies of, callers are told one
//! that opens the API.

use crate::account::Account;
use crate::faults::report::some;
use crate::world::fault::{At, Break, Fault, Verdict};
use crate::world::{KILLED, Request, Response, World, refuse};
use infra::engine::Stop;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[track_caller]
fn shown(account: &Account, world: &World) -> String {
    world.run(account, "key show").ends(0).out.trim().to_owned()
}

/// What the API's door says to who has this key.
async fn door(account: &Account, key: &str) -> u16 {
    account.get_with(key, "/").await
}

fn list(account: &Account, world: &World) -> Vec<Value> {
    world.run(account, "key list --json").ends(0).json().as_array().unwrap().clone()
}

#[tokio::test]
async fn both_keys_work_until_the_time_of_the_old_one_is_over() {
    let account = Account::deployed();
    let (world, before) = (World::of(&account), account.inventory().await);
    let old = shown(&account, &world);
    let ran = world.run(&account, "key rotate --yes --grace 1h").ends(0);
    ran.says("enabled").says("current").says("works until");
    let new = shown(&account, &world);
    assert_ne!(old, new);
    assert_eq!((door(&account, &old).await, door(&account, &new).await), (200, 200));

    // The old one is no difference to anybody, and is told of.
    let plan = world.run(&account, "plan --detailed-exitcode").ends(0);
    plan.says("nothing to do").says("was rotated and works until 20");
    world.run(&account, "status").ends(0).says("was rotated and works until 20");
    world.run(&account, "deploy --yes").ends(0).says("nothing to do");
    world.run(&account, "key list --prune --yes").ends(0).says("works until");
    assert_eq!(list(&account, &world).len(), 2);
    assert_eq!(door(&account, &old).await, 200);

    world.pass(2 * HOUR);
    world.run(&account, "key list").ends(0).says("retired 20");
    world.run(&account, "plan --detailed-exitcode").ends(2).says("- api key ops-api-dev");
    world.run(&account, "deploy --yes").ends(0);
    assert_eq!((door(&account, &old).await, door(&account, &new).await), (403, 200));
    assert_eq!(account.inventory().await, before);
}

#[tokio::test]
async fn a_key_that_leaked_is_gone_at_once_and_others_go_when_they_are_told() {
    let account = Account::deployed();
    let (world, before) = (World::of(&account), account.inventory().await);
    let leaked = shown(&account, &world);
    world.run(&account, "key rotate --yes --grace 0s").ends(0);
    assert_eq!(door(&account, &leaked).await, 403);
    assert_eq!(account.inventory().await, before);

    let old = shown(&account, &world);
    world.run(&account, "key rotate --yes --grace 7d").ends(0);
    world.run(&account, "key rotate --yes --grace 1m").ends(0);
    let keys = list(&account, &world);
    let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
    let current: Vec<_> = keys.iter().filter(|key| key["current"] == true).collect();
    assert_eq!((keys.len(), current.len()), (3, 1));
    let refused = world.run(&account, &format!("key revoke --yes {}", id(current[0]))).ends(6);
    refused.says("is the current key").says("key rotate --grace 0s");
    let longest = keys.iter().max_by_key(|key| key["retire_at"].as_i64()).unwrap();
    world.run(&account, &format!("key revoke --yes {}", id(longest))).ends(0);
    assert_eq!(door(&account, &old).await, 403);
    world.pass(HOUR);
    world.run(&account, "key list --prune --yes").ends(0);
    assert_eq!(account.inventory().await, before);

    // Somebody else's of the same name is not ours to revoke.
    let theirs = account.aws().await.apigateway.create_api_key().name("ops-api-dev").send().await;
    let theirs = theirs.unwrap().id.unwrap();
    let refused = world.run(&account, &format!("key revoke --yes {theirs}")).ends(6);
    refused.says(&format!("has no key {theirs}")).says("nothing was changed");
    world.run(&account, "key rotate --yes").ends(0);
    world.run(&account, "destroy --yes").ends(0).says("remaining 0");
    assert_eq!(account.inventory().await, ["api key ops-api-dev"]);
}

#[test]
fn without_a_stage_there_is_no_key() {
    let account = Account::new();
    account.run("key list").ends(0).says("stage dev has no key");
    account.run("key rotate --yes").ends(6).says("stage dev is not deployed");
    account.run("key show").ends(1).says("stage dev is not deployed");
    account.run("key rotate --grace soon").ends(64);
}

/// `PROP`: the door knows a key two minutes after it was first shown to it.
#[derive(Default)]
struct SlowDoor(BTreeMap<String, Duration>);

impl Fault for SlowDoor {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let Some(key) = request.header("x-api-key") else { return Verdict::Pass };
        let first = *self.0.entry(key.to_owned()).or_insert(now);
        match now - first < Duration::from_secs(120) {
            true => Verdict::Answer(refuse("execute-api", 403, "ForbiddenException", "Forbidden")),
            false => Verdict::Pass,
        }
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_key_before_the_door_knows_it() {
    let account = Account::deployed();
    let world = World::of(&account).with(SlowDoor::default());
    let old = shown(&account, &world);
    // In vain: the old one stays the one that is told.
    let ran = world.run(&account, "key rotate --yes --timeout 60").ends(3);
    ran.says("API Gateway to know the new key everywhere").says("run key rotate again");
    assert_eq!(shown(&account, &world), old);
    assert_eq!(list(&account, &world).len(), 2);
    // The next one goes on with the same key.
    world.run(&account, "key rotate --yes").ends(0);
    let asked = world.requests();
    let at = |name: &str| asked.iter().rposition(|request| request == name).unwrap();
    assert!(at("execute-api:GET") < at("ssm:PutParameter"), "{asked:#?}");
    assert!(!asked.iter().any(|name| name == "apigateway:CreateApiKey"), "{asked:#?}");
    assert!(world.age() >= Duration::from_secs(120));
    assert_eq!(list(&account, &world).len(), 2);
    assert_ne!(shown(&account, &world), old);
}

/// A data plane of two nodes, of which one learns of a key half a minute later. A connection that is kept alive
/// leads to the other one.
#[derive(Default)]
struct TwoNodes {
    /// When each key was created, by its value.
    born: BTreeMap<String, Duration>,
    calls: usize,
    /// Keys that were deleted while the other node knew nothing of the newest.
    early: Arc<AtomicUsize>,
}

impl Fault for TwoNodes {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let unknown = |born: &Duration| now < *born + Duration::from_secs(30);
        if request.name == "apigateway:DeleteApiKey" && self.born.values().any(unknown) {
            self.early.fetch_add(1, Ordering::SeqCst);
        }
        let Some(key) = request.header("x-api-key") else { return Verdict::Pass };
        self.calls += 1;
        let other_node =
            request.header("connection") == Some("close") && self.calls.is_multiple_of(3);
        if other_node && self.born.get(key).is_some_and(unknown) {
            return Verdict::Answer(refuse("execute-api", 403, "ForbiddenException", "Forbidden"));
        }
        Verdict::Pass
    }

    fn after(&mut self, request: &Request, answer: &mut Response, now: Duration) -> Verdict {
        if request.name == "apigateway:CreateApiKey" && answer.is_ok() {
            self.born.insert(request.field("value").unwrap(), now);
        }
        Verdict::Pass
    }
}

#[tokio::test]
async fn old_key_goes_when_every_node_knows_the_new_one() {
    let account = Account::deployed();
    let nodes = TwoNodes::default();
    let early = nodes.early.clone();
    let world = World::of(&account).with(nodes);
    let old = shown(&account, &world);
    let ran = world.run(&account, "key rotate --yes --grace 0s").ends(0);
    ran.says("waiting for API Gateway to know the new key everywhere");
    assert_eq!(early.load(Ordering::SeqCst), 0);
    assert_eq!((door(&account, &old).await, list(&account, &world).len()), (403, 1));
}

#[tokio::test]
async fn request_that_closes_its_connection_has_a_new_one() {
    let connections = Arc::new(AtomicUsize::new(0));
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let seen = connections.clone();
    std::thread::spawn(move || {
        for client in server.incoming() {
            seen.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || answer_all(client.unwrap()));
        }
    });
    let http = infra::http::connector();
    let call = async |headers: &[(&'static str, &str)]| {
        assert_eq!(infra::http::get(&http, &url, headers).await.map(|a| a.status), Ok(200));
    };
    call(&[]).await;
    call(&[]).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        call(&[infra::http::CLOSE]).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

/// Answers each request of a connection, and keeps it open.
fn answer_all(mut client: std::net::TcpStream) {
    use std::io::{BufRead, BufReader, Write};
    let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    }
}

/// The writes of a rotation that ends the old key, in their order.
const WRITES: [(&str, usize); 7] = [
    ("ssm:PutParameter", 1),
    ("apigateway:CreateApiKey", 1),
    ("apigateway:CreateUsagePlanKey", 1),
    ("apigateway:TagResource", 1),
    ("ssm:PutParameter", 2),
    ("ssm:DeleteParameter", 1),
    ("apigateway:DeleteApiKey", 1),
];

#[tokio::test]
async fn a_rotation_that_breaks_off_anywhere_loses_nothing_and_is_finished_by_another() {
    let account = Account::deployed();
    let before = account.inventory().await;
    let ways = [Break::KillSent, Break::KillAnswered, Break::LoseAnswer, Break::CutBefore];
    let points = WRITES.into_iter().flat_map(|write| ways.map(|how| (write, how))).collect();
    for ((op, k), how) in some(points, 3) {
        let (fired, stop) = (Arc::default(), Stop::default());
        let world = World::of(&account).with(At::new(op, k, how, &stop, &fired));
        let killed = [Break::KillSent, Break::KillAnswered].contains(&how);
        let ran = world.run(&account, "key rotate --yes --grace 0s");
        ran.ends(if killed { KILLED } else { 0 });
        assert_eq!(fired.load(Ordering::SeqCst), 1, "{op} {k} {how:?}");
        world.mend();
        assert_eq!(door(&account, &shown(&account, &world)).await, 200, "{op} {k} {how:?}");
        if killed {
            world.run(&account, "key rotate --yes --grace 0s").ends(0);
        }
        let keys = list(&account, &world);
        assert_eq!((keys.len(), &keys[0]["current"]), (1, &Value::Bool(true)), "{op} {k} {how:?}");
        world.run(&account, "plan --detailed-exitcode").ends(0);
        assert_eq!(account.inventory().await, before, "{op} {k} {how:?}");
    }
}

#[tokio::test]
async fn a_rotation_that_breaks_off_is_no_harm_to_a_deploy_nor_that_to_callers() {
    let account = Account::deployed();
    let ways = [Break::KillAnswered, Break::Interrupt];
    let points = WRITES[..6].iter().flat_map(|write| ways.map(|how| (*write, how))).collect();
    for ((op, k), how) in some(points, 3) {
        let (fired, stop) = (Arc::default(), Stop::default());
        let world = World::of(&account).with(At::new(op, k, how, &stop, &fired));
        let old = shown(&account, &world);
        let ran = world.run_until(&account, &["key rotate --yes --grace 1h"], &stop).remove(0);
        assert!([0, 130, KILLED].contains(&ran.code), "{ran:?}");
        assert_eq!(fired.load(Ordering::SeqCst), 1, "{op} {k} {how:?}");
        world.mend();
        world.run(&account, "deploy --yes").ends(0);
        world.run(&account, "plan --detailed-exitcode").ends(0);
        let now = shown(&account, &world);
        for key in [&old, &now] {
            assert_eq!(door(&account, key).await, 200, "{op} {k} {how:?}");
        }
        world.pass(2 * HOUR);
        world.run(&account, "deploy --yes").ends(0);
        assert_eq!(list(&account, &world).len(), 1, "{op} {k} {how:?}");
        assert_eq!(door(&account, &now).await, 200, "{op} {k} {how:?}");
    }
}
