//! Limits that callers meet: one route's flood is its own, and a function may have its own share of Lambda.

use crate::account::{Account, Ran};
use crate::load::Door;
use crate::world::fault::{Fault, Verdict};
use crate::world::{Request, Response, World, is_write, refuse};
use deployer::ENDPOINTS;
use infra::contract::{Endpoint, get};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
    world.run(&account, "plan").ends(6).says("the plan reserves 894 concurrent executions more");
    let ran = world.run(&account, "deploy --yes").ends(6).says("nothing was changed");
    ran.says("of which 100 must stay unreserved").says("next: reserve fewer in ENDPOINTS");
    assert!(!world.requests().iter().any(|name| is_write(name)), "{:?}", world.requests());
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

/// A new account has ten concurrent executions, and none of them can be reserved.
struct NewAccount;

impl Fault for NewAccount {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        if request.name == "lambda:GetAccountSettings" {
            let mut body = answer.json();
            body["AccountLimit"]["ConcurrentExecutions"] = json!(10);
            body["AccountLimit"]["UnreservedConcurrentExecutions"] = json!(10);
            answer.set_json(&body);
        }
        Verdict::Pass
    }
}

static OFF: &[Endpoint] = &[ENDPOINTS[0].reserved(0), ENDPOINTS[1], ENDPOINTS[2]];

#[tokio::test]
async fn plan_refuses_reservations_in_an_account_of_ten_concurrent_executions() {
    let account = Account::deployed();
    let world = World::of(&account).with(NewAccount);
    world.set_endpoints(RESERVED);
    let ran = world.run(&account, "plan").ends(6);
    ran.says(
        "the plan reserves 7 concurrent executions more, and 0 can be reserved: the account has 10 \
         in this region, of which 10 must stay unreserved",
    );
    world.run(&account, "deploy --yes").ends(6).says("nothing was changed");

    // Zero takes none from others.
    world.set_endpoints(OFF);
    let ran = world.run(&account, "plan").ends(0).says("reserved_concurrency  0");
    ran.says("function ops-api-dev-root is turned off: no call of it is let in");
}

/// Lambda runs so many calls at once, and refuses more: directly with 429, and callers of the API get 500.
struct FewAtOnce {
    limit: usize,
    running: usize,
    most: Arc<AtomicUsize>,
}

impl FewAtOnce {
    fn is_call(request: &Request) -> bool {
        let key = request.header("x-api-key").unwrap_or("not-");
        let called = !key.starts_with("not-") && !request.path.ends_with("/no-such-path");
        ["lambda:InvokeFunction", "apigateway:TestInvokeMethod"].contains(&request.name.as_str())
            || (request.service == "execute-api" && called)
    }
}

impl Fault for FewAtOnce {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if !Self::is_call(request) {
            return Verdict::Pass;
        }
        self.most.fetch_max(self.running + 1, Ordering::SeqCst);
        if self.running < self.limit {
            self.running += 1;
            return Verdict::Pass;
        }
        let (status, code) = match request.service.as_str() {
            "execute-api" => (500, "InternalServerErrorException"),
            _ => (429, "TooManyRequestsException"),
        };
        Verdict::Answer(refuse(&request.service, status, code, "Rate Exceeded."))
    }

    fn after(&mut self, request: &Request, _: &mut Response, _: Duration) -> Verdict {
        self.running -= usize::from(Self::is_call(request));
        Verdict::Pass
    }
}

#[test]
fn new_account_with_ten_executions_is_called_within_half_of_them() {
    let routes = |number| (0..number).map(|n| get(format!("/r{n}").leak(), "root"));
    let account = Account::new_to_aws();
    let most = Arc::new(AtomicUsize::new(0));
    let few = FewAtOnce { limit: 10, running: 0, most: most.clone() };
    let world = World::of(&account).with(few);
    world.set_endpoints(routes(20).collect::<Vec<_>>().leak());
    world.run(&account, "deploy --yes").ends(0).says("61 of 61 passed");
    // New routes, which API Gateway calls before they serve.
    world.set_endpoints(routes(21).collect::<Vec<_>>().leak());
    world.run(&account, "deploy --yes").ends(0).says("64 of 64 passed");
    assert_eq!(most.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn function_that_is_reserved_0_is_not_called() {
    static LAST_OFF: &[Endpoint] = &[ENDPOINTS[0], ENDPOINTS[1], ENDPOINTS[2].reserved(0)];
    let account = Account::deployed();
    let world = World::of(&account);
    world.set_endpoints(LAST_OFF);
    account.packages.change_commit("0123456789a");
    let ran = world.run(&account, "deploy --yes").ends(0).says("9 of 9 passed");
    ran.says("GET /metadata is not called: its function is reserved(0)");
    // As Lambda answers callers, and not with its own 429.
    assert_eq!(account.get("/metadata").await, 500);
    // The release before was made when the function could be called.
    world.run(&account, "rollback --yes").ends(0).says("release 3 is live");
    world.run(&account, "smoke-test").ends(0);
}
