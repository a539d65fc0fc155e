//! Every request of a deploy, an update and a destroy broken in turn, in every way: the next run
//! finishes the job, with one of everything, and a destroy leaves nothing.

use super::report::{Came, block_on, each, report};
use crate::account::{Account, Ran};
use crate::deleted_role::delete_role;
use crate::drift::change_everything;
use crate::load::assert_callers_are_served;
use crate::world::fault::{At, Break, EachOnce};
use crate::world::{KILLED, World, is_write};
use infra::engine::Stop;
use infra::lease;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// From one state of a stage to another.
struct Journey {
    name: &'static str,
    /// An account as it is before.
    before: fn() -> Account,
    line: &'static str,
    /// What it asks for, and what there is at its end, when nothing goes wrong.
    unbroken: LazyLock<(Vec<String>, Vec<String>)>,
}

static DEPLOY: Journey = Journey {
    name: "deploy",
    before: Account::new,
    line: "deploy --yes -vv",
    unbroken: LazyLock::new(|| DEPLOY.go()),
};
/// Of a stage that has drifted in everything, to other code and another commit.
static UPDATE: Journey = Journey {
    name: "update",
    before: drifted,
    line: "deploy --yes --allow-widening -vv",
    unbroken: LazyLock::new(|| UPDATE.go()),
};
/// To other code and another commit, while callers call.
static RELEASE: Journey = Journey {
    name: "release",
    before: changed,
    line: "deploy --yes -vv",
    unbroken: LazyLock::new(|| RELEASE.go()),
};
static ROLLBACK: Journey = Journey {
    name: "rollback",
    before: released,
    line: "rollback --yes --to 1 -vv",
    unbroken: LazyLock::new(|| ROLLBACK.go()),
};
/// A role that was deleted is made again, and its function published anew.
static ROLE: Journey = Journey {
    name: "role",
    before: without_a_role,
    line: "deploy --yes -vv",
    unbroken: LazyLock::new(|| ROLE.go()),
};
static DESTROY: Journey = Journey {
    name: "destroy",
    before: deployed,
    line: "destroy --yes -vv",
    unbroken: LazyLock::new(|| DESTROY.go()),
};

fn deployed() -> Account {
    let account = Account::new();
    World::of(&account).run(&account, "deploy --yes --quiet").ends(0);
    account
}

fn drifted() -> Account {
    let account = deployed();
    block_on(change_everything(&account));
    account.packages.change_commit("0123456789a");
    account.packages.change_code("root");
    account
}

fn changed() -> Account {
    let account = deployed();
    account.packages.change_commit("0123456789a");
    account.packages.change_code("root");
    account
}

fn without_a_role() -> Account {
    let account = deployed();
    block_on(async { delete_role(&account.aws().await, "health").await });
    account
}

fn released() -> Account {
    let account = changed();
    World::of(&account).run(&account, "deploy --yes --quiet").ends(0);
    account
}

fn things(account: &Account) -> Vec<String> {
    block_on(account.inventory())
}

/// A run that finds a lease kept waits longer.
const LAPSED: Duration = Duration::from_secs(20);

fn all_done(ran: &Ran) -> bool {
    ran.err.contains("all was deleted")
}

/// Whether it says what remains to be done, if anything does.
fn rest(ran: &Ran) -> bool {
    let says = |text| ran.err.contains(text);
    all_done(ran) || says("again to finish") || says("nothing was changed")
}

impl Journey {
    fn go(&self) -> (Vec<String>, Vec<String>) {
        let account = (self.before)();
        let world = World::of(&account);
        world.run(&account, self.line).ends(0);
        (world.requests(), things(&account))
    }

    /// After the run that was broken: another finishes the job, and nothing is there twice.
    /// Gives what is left in the end.
    fn finish(&self, world: &World, account: &Account, wanted: &[String]) -> Vec<String> {
        world.mend();
        if ["release", "rollback"].contains(&self.name) {
            block_on(assert_callers_are_served(account));
        }
        world.run(account, self.line).ends(0);
        assert_eq!(things(account), wanted);
        if self.name != "destroy" {
            let back = self.name == "rollback";
            world.run(account, "plan --detailed-exitcode").ends(if back { 2 } else { 0 });
            world.run(account, "smoke-test").ends(0);
            world.run(account, "destroy --yes").ends(0);
        }
        things(account)
    }

    /// Breaks requests, one a run: `FAULTS` says which.
    fn break_each(&self, how: Break) {
        let faults = std::env::var("FAULTS").unwrap_or_default();
        let which = |op: &str| faults == "all" || is_write(op);
        let (requests, wanted) = &*self.unbroken;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut points = vec![];
        for op in requests.iter().filter(|op| which(op)) {
            let k = counts.entry(op).or_default();
            *k += 1;
            points.push((op.as_str(), *k));
        }
        if faults.is_empty() {
            points = vec![points[self.place(how) * points.len() / PLACES]];
        }
        let came = each(&points, |&(op, k)| {
            let (account, fired, stop) = ((self.before)(), Arc::default(), Stop::default());
            let at = At::new(op, k, how, &stop, &fired);
            let late = at.late.clone();
            let world = World::of(&account).with(at);
            let ran = world.run_until(&account, &[self.line], &stop).remove(0);
            // How often a waiting run looks is not the same each time.
            let missed = fired.load(Ordering::SeqCst) == 0;
            assert!(!missed || !is_write(op), "{op} was not asked for {k} times");
            // What serves is not left half moved. The record is closed while the lease is given back.
            let flip = ["lambda:UpdateAlias", "apigateway:UpdateStage"];
            let closing = how == Break::KillAnswered;
            let last = late.lock().unwrap().iter().all(|request| {
                request.contains(lease::KEY)
                    || closing && request.contains("/releases/")
                    || flip.iter().any(|op| request.starts_with(op))
            });
            match how {
                _ if missed => drop(ran.ends(0)),
                Break::KillSent => drop(ran.ends(KILLED)),
                // Reads go out side by side, so that after the answer to one nothing may follow.
                Break::KillAnswered if ran.code == 0 => assert!(last || !is_write(op), "{ran:?}"),
                Break::KillAnswered => drop(ran.ends(KILLED)),
                // Nothing depends on the lease being given back.
                Break::Expire if ran.code == 0 => assert!(op == "s3:PutObject" && last),
                Break::Expire => {
                    let says = match all_done(&ran) {
                        true => "run destroy again to be sure",
                        false => "the credentials have expired",
                    };
                    let ran = ran.says(says);
                    // Before anything was changed, while the lease was taken, or after that.
                    assert!(
                        [6, 1, 3].contains(&ran.code) && (ran.code != 3 || rest(&ran)),
                        "{ran:?}"
                    );
                }
                Break::Interrupt if ran.code == 0 => {}
                Break::Interrupt => {
                    let ran = ran.ends(130);
                    assert!(last, "new requests after Ctrl-C: {late:?}");
                    assert!(rest(&ran), "{ran:?}");
                }
                _ => drop(ran.ends(0)),
            }
            let age = world.age();
            let left = self.finish(&world, &account, wanted);
            let waited = world.age() - age;
            assert!(how != Break::Interrupt || waited < LAPSED, "the lease was kept: {waited:?}");
            left
        });
        report(name(how), points.len(), came);
    }

    fn place(&self, how: Break) -> usize {
        (self.name.len() + 2 * how as usize) % PLACES
    }

    /// Breaks every request that only reads, in one run.
    fn break_every_read(&self, how: Break) {
        let (_, wanted) = &*self.unbroken;
        let account = (self.before)();
        let (fired, seen) = (Arc::new(AtomicUsize::new(0)), BTreeSet::new());
        let reads = |request: &crate::world::Request| {
            !request.is_write() && request.service != "execute-api"
        };
        let world = World::of(&account);
        world.add(EachOnce { how, which: reads, fired: fired.clone(), seen });
        world.run(&account, self.line).ends(0);
        let left_over = self.finish(&world, &account, wanted).len();
        let broken = fired.load(Ordering::SeqCst);
        assert!(broken > 20, "only {broken} were broken");
        let came = Came { converged: broken, left_over };
        report(&format!("each read once, {}", name(how)), broken, came);
    }
}

/// A case of a push breaks one request: another part of the run from case to case.
const PLACES: usize = 7;

/// What the table calls it.
fn name(how: Break) -> &'static str {
    match how {
        Break::KillSent => "killed after a request",
        Break::KillAnswered => "killed after an answer",
        Break::CutBefore => "cut off before it is served",
        Break::LoseAnswer => "answer lost",
        Break::Unavailable => "503",
        Break::Expire => "credentials expired",
        Break::Interrupt => "Ctrl-C",
    }
}

macro_rules! cases {
    ($($name:ident: $journey:ident $how:ident;)*) => {$(
        #[test]
        fn $name() {
            $journey.break_each(Break::$how);
        }
    )*};
}

cases! {
    deploy_killed_before_an_answer: DEPLOY KillSent;
    deploy_killed_after_an_answer: DEPLOY KillAnswered;
    deploy_cut_off_before_it_is_heard: DEPLOY CutBefore;
    deploy_cut_off_before_an_answer: DEPLOY LoseAnswer;
    deploy_unavailable: DEPLOY Unavailable;
    update_killed_before_an_answer: UPDATE KillSent;
    update_killed_after_an_answer: UPDATE KillAnswered;
    update_cut_off_before_it_is_heard: UPDATE CutBefore;
    update_cut_off_before_an_answer: UPDATE LoseAnswer;
    update_unavailable: UPDATE Unavailable;
    release_killed_before_an_answer: RELEASE KillSent;
    release_cut_off_before_an_answer: RELEASE LoseAnswer;
    release_unavailable: RELEASE Unavailable;
    release_credentials_expired: RELEASE Expire;
    release_interrupted: RELEASE Interrupt;
    rollback_killed_before_an_answer: ROLLBACK KillSent;
    rollback_cut_off_before_an_answer: ROLLBACK LoseAnswer;
    rollback_unavailable: ROLLBACK Unavailable;
    rollback_credentials_expired: ROLLBACK Expire;
    rollback_interrupted: ROLLBACK Interrupt;
    role_killed_before_an_answer: ROLE KillSent;
    role_killed_after_an_answer: ROLE KillAnswered;
    role_cut_off_before_it_is_heard: ROLE CutBefore;
    role_cut_off_before_an_answer: ROLE LoseAnswer;
    role_unavailable: ROLE Unavailable;
    role_credentials_expired: ROLE Expire;
    role_interrupted: ROLE Interrupt;
    destroy_killed_before_an_answer: DESTROY KillSent;
    destroy_killed_after_an_answer: DESTROY KillAnswered;
    destroy_cut_off_before_it_is_heard: DESTROY CutBefore;
    destroy_cut_off_before_an_answer: DESTROY LoseAnswer;
    destroy_unavailable: DESTROY Unavailable;
    deploy_credentials_expired: DEPLOY Expire;
    update_credentials_expired: UPDATE Expire;
    destroy_credentials_expired: DESTROY Expire;
    deploy_interrupted: DEPLOY Interrupt;
    update_interrupted: UPDATE Interrupt;
    destroy_interrupted: DESTROY Interrupt;
}

#[test]
fn every_read_fails_once() {
    let ways = [Break::CutBefore, Break::LoseAnswer, Break::Unavailable];
    let journeys = [&DEPLOY, &UPDATE, &RELEASE, &ROLLBACK, &DESTROY, &ROLE];
    for (at, journey) in journeys.into_iter().enumerate() {
        // A push takes them in turn.
        let these = if std::env::var("FAULTS").is_ok() { &ways[..] } else { &ways[at % 3..][..1] };
        these.iter().for_each(|way| journey.break_every_read(*way));
    }
}
