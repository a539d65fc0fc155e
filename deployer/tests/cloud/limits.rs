//! Limits that callers meet: one route's flood is its own, and a function may have its own share of Lambda.

use crate::account::{Account, Ran};
use crate::load::Door;
use crate::world::World;
use deployer::contract::Endpoint;
use deployer::stack::ENDPOINTS;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than the whole plan lets in at once, or within seconds.
const FLOOD: usize = 300;

async fn status(door: &Door, endpoint: &Endpoint) -> u16 {
    door.call(endpoint).await.unwrap().0
}

#[tokio::test]
async fn one_routes_flood_leaves_the_others_answering() {
    // Callers call in real time, so the deploy is a real process too.
    let account = Account::new();
    Ran::of(&mut account.command(&account.cloud().endpoint, "deploy --yes --no-smoke")).ends(0);
    let door = Door::of(&account);
    let refused = AtomicUsize::new(0);
    let flood = async || {
        while refused.load(Ordering::Relaxed) < FLOOD {
            match status(&door, &ENDPOINTS[0]).await {
                200 => {}
                429 => drop(refused.fetch_add(1, Ordering::Relaxed)),
                other => panic!("{other}"),
            }
        }
    };
    let floods = futures_util::future::join_all((0..16).map(|_| flood()));
    // Ten at the height of it, and ten when it has used up all that it can.
    let others = async {
        let mut answers = vec![];
        while refused.load(Ordering::Relaxed) < FLOOD / 3 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            answers.push(status(&door, &ENDPOINTS[1]).await);
        }
        answers
    };
    let (_, mut answers) = tokio::join!(floods, others);
    for _ in 0..10 {
        answers.push(status(&door, &ENDPOINTS[2]).await);
    }
    assert_eq!(answers, [200; 20]);
}

static RESERVED: &[Endpoint] = &[ENDPOINTS[0].reserved(7), ENDPOINTS[1], ENDPOINTS[2]];
/// Of a thousand a hundred must be left.
static TOO_MUCH: &[Endpoint] = &[ENDPOINTS[0].reserved(901), ENDPOINTS[1], ENDPOINTS[2]];

#[tokio::test]
async fn what_is_reserved_for_a_function_is_its_own_until_it_is_given_back() {
    let account = Account::deployed();
    let (world, aws) = (World::of(&account), account.aws().await);
    let reserved = async || {
        let get = aws.lambda.get_function_concurrency().function_name(aws.env.function("root"));
        get.send().await.unwrap().reserved_concurrent_executions
    };
    world.set_endpoints(RESERVED);
    world.run(&account, "deploy --yes").ends(0).says("reserved_concurrency  7");
    assert_eq!(reserved().await, Some(7));

    world.set_endpoints(TOO_MUCH);
    let ran = world.run(&account, "deploy --yes").ends(3);
    ran.says("UnreservedConcurrentExecution below").says("Lambda keeps 100 of the account's");
    assert_eq!(reserved().await, Some(7));

    world.set_endpoints(ENDPOINTS);
    world.run(&account, "deploy --yes").ends(0);
    assert_eq!(reserved().await, None);
    account.assert_as_wanted();

    // With the function, when it is new.
    account.run("destroy --yes").ends(0);
    world.set_endpoints(RESERVED);
    world.run(&account, "deploy --yes").ends(0);
    assert_eq!(reserved().await, Some(7));
}
