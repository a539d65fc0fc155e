//! States of a function other than the usual ones.

use crate::account::Account;
use crate::world::fault::{Fault, Verdict};
use crate::world::{Request, Response, World};
use serde_json::json;
use std::time::Duration;

/// GetFunction tells of this state, of `$LATEST` of one function or of all its versions.
struct In {
    state: &'static str,
    function: &'static str,
    latest_only: bool,
    /// How often; or until the function is deleted.
    left: usize,
}

impl Fault for In {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        if !request.path.ends_with(&format!("/{}", self.function)) || self.left == 0 {
            return Verdict::Pass;
        }
        let other = self.latest_only && request.query.contains("Qualifier");
        match request.name.as_str() {
            "lambda:DeleteFunction" => self.left = 0,
            "lambda:GetFunction" if answer.is_ok() && !other => {
                self.left -= 1;
                let mut body = answer.json();
                body["Configuration"]["State"] = json!(self.state);
                body["Configuration"]["StateReason"] = json!("for a reason");
                answer.set_json(&body);
            }
            _ => {}
        }
        Verdict::Pass
    }
}

const HEALTH: &str = "ops-api-dev-health";

fn failed(latest_only: bool) -> In {
    In { state: "Failed", function: HEALTH, latest_only, left: usize::MAX }
}

#[tokio::test]
async fn deploy_does_not_delete_a_failed_function_that_serves() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    account.packages.change_commit("0123456789a");
    world.add(failed(true));
    let ran = world.run(&account, "deploy --yes").ends(3);
    ran.says("could not prepare ops-api-dev-health: for a reason; it isn't deleted");
    assert!(!world.requests().iter().any(|name| name == "lambda:DeleteFunction"));
    assert_eq!(account.get("/health").await, 200);
    world.mend();
    world.run(&account, "deploy --yes").ends(0);
    account.assert_as_wanted();
}

/// Lambda couldn't prepare what was just created: there is no version that can be invoked.
#[test]
fn deploy_deletes_a_failed_function_that_never_served() {
    let account = Account::new();
    let world = World::of(&account).with(failed(false));
    world.run(&account, "deploy --yes").ends(3).says("Lambda could not prepare");
    let deleted = world.run(&account, "deploy --yes").ends(3);
    deleted.says("so it was deleted; deploy again to create it");
    world.run(&account, "deploy --yes").ends(0);
    account.assert_as_wanted();
}

#[test]
fn deploy_takes_states_that_it_does_not_know() {
    for state in ["Deactivated", "Deactivating", "ActiveNonInvocable", "Something"] {
        let account = Account::new();
        let unusual = In { state, latest_only: true, ..failed(true) };
        let world = World::of(&account).with(unusual);
        world.run(&account, "deploy --yes").ends(0);
        account.packages.change_code("health");
        account.packages.change_commit("0123456789a");
        world.run(&account, "deploy --yes").ends(0);
        world.mend();
        account.assert_as_wanted();
    }
}

/// Something else has deleted it, and its name isn't free yet.
#[tokio::test]
async fn deploy_creates_a_function_that_is_being_deleted() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    let deleting = In { state: "Deleting", latest_only: true, left: 1, ..failed(true) };
    world.add(deleting);
    let plan = world.run(&account, "plan").ends(0);
    plan.says("+ function ops-api-dev-health  to create");
}
