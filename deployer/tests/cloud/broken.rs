//! Every request of a deploy, an update and a destroy broken in turn, in every way: the next run
//! finishes the job, with one of everything, and a destroy leaves nothing.

use crate::account::{Account, Ran};
use crate::drift::change_everything;
use crate::report::{block_on, each, report};
use crate::world::fault::{At, Break, EachOnce};
use crate::world::{KILLED, World, is_write};
use deployer::engine::Stop;
use deployer::lease;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// From one state of a stage to another.
#[derive(Clone, Copy)]
struct Journey {
    name: &'static str,
    /// An account as it is before.
    before: fn() -> Account,
    line: &'static str,
}

const DEPLOY: Journey = Journey { name: "deploy", before: Account::new, line: "deploy --yes -vv" };
/// Of a stage that has drifted in everything, to other code and another commit.
const UPDATE: Journey = Journey { name: "update", before: drifted, line: "deploy --yes -vv" };
const DESTROY: Journey = Journey { name: "destroy", before: deployed, line: "destroy --yes -vv" };

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

fn things(account: &Account) -> Vec<String> {
    block_on(account.inventory())
}

/// A run that finds a lease kept waits longer.
const LAPSED: Duration = Duration::from_secs(20);

fn all_done(ran: &Ran) -> bool {
    ran.err.contains("all was deleted")
}

impl Ran {
    /// Ends like this, and lists what remains to be done.
    #[track_caller]
    fn ends_with_rest(self, code: i32) -> Self {
        self.ends(code).says("run ").says(" again to finish")
    }
}

impl Journey {
    /// What it asks for, and what there is at its end, when nothing goes wrong.
    fn unbroken(self) -> (Vec<String>, Vec<String>) {
        let account = (self.before)();
        let world = World::of(&account);
        world.run(&account, self.line).ends(0);
        (world.requests(), things(&account))
    }

    /// After the run that was broken: another finishes the job, and nothing is there twice.
    fn finish(self, world: &World, account: &Account, wanted: &[String]) {
        world.mend();
        world.run(account, self.line).ends(0);
        assert_eq!(things(account), wanted);
        if self.name != "destroy" {
            world.run(account, "plan --detailed-exitcode").ends(0);
            world.run(account, "smoke-test").ends(0);
            world.run(account, "destroy --yes").ends(0);
            assert_eq!(things(account), Vec::<String>::new());
        }
    }

    /// Breaks each of these requests, one a run.
    fn break_each(self, how: Break, which: fn(&str) -> bool) {
        let (requests, wanted) = self.unbroken();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut points = vec![];
        for op in requests.iter().filter(|op| which(op)) {
            let k = counts.entry(op).or_default();
            *k += 1;
            points.push((op.as_str(), *k));
        }
        let converged = each(&points, |&(op, k)| {
            let (account, fired, stop) = ((self.before)(), Arc::default(), Stop::default());
            let at = At::new(op, k, how, &stop, &fired);
            let late = at.late.clone();
            let world = World::of(&account).with(at);
            let ran = world.run_until(&account, &[self.line], &stop).remove(0);
            // How often a waiting run looks is not the same each time.
            let missed = fired.load(Ordering::SeqCst) == 0;
            assert!(!missed || !is_write(op), "{op} was not asked for {k} times");
            let last = late.lock().unwrap().iter().all(|request| request.contains(lease::KEY));
            match how {
                _ if missed => drop(ran.ends(0)),
                Break::KillSent => drop(ran.ends(KILLED)),
                Break::KillAnswered => assert!(ran.code == KILLED || last, "{ran:?}"),
                // Nothing depends on the lease being given back.
                Break::Expire if ran.code == 0 => assert!(op == "s3:PutObject" && last),
                Break::Expire if ran.code == 1 => {
                    drop(ran.says("taking the lease").says("the credentials have expired"));
                }
                Break::Expire if all_done(&ran) => drop(ran.says("run destroy again").ends(3)),
                Break::Expire => drop(ran.says("the credentials have expired").ends_with_rest(3)),
                Break::Interrupt if ran.code == 0 => {}
                Break::Interrupt => {
                    assert!(last, "new requests after Ctrl-C: {late:?}");
                    match all_done(&ran) {
                        true => drop(ran.ends(130)),
                        false => drop(ran.ends_with_rest(130)),
                    }
                }
                _ => drop(ran.ends(0)),
            }
            let age = world.age();
            self.finish(&world, &account, &wanted);
            let waited = world.age() - age;
            assert!(how != Break::Interrupt || waited < LAPSED, "the lease was kept: {waited:?}");
        });
        report(&format!("{} {how:?}", self.name), points.len(), converged);
    }

    /// Breaks every request that only reads, in one run.
    fn break_every_read(self, how: Break) {
        let (_, wanted) = self.unbroken();
        let account = (self.before)();
        let (fired, seen) = (Arc::new(AtomicUsize::new(0)), BTreeSet::new());
        let reads = |request: &crate::world::Request| {
            !request.is_write() && request.service != "execute-api"
        };
        let world = World::of(&account);
        world.add(EachOnce { how, which: reads, fired: fired.clone(), seen });
        world.run(&account, self.line).ends(0);
        self.finish(&world, &account, &wanted);
        let broken = fired.load(Ordering::SeqCst);
        assert!(broken > 30, "only {broken} were broken");
        report(&format!("{} every read, {how:?}", self.name), broken, broken);
    }
}

macro_rules! cases {
    ($($name:ident: $journey:ident $how:ident;)*) => {$(
        #[test]
        fn $name() {
            $journey.break_each(Break::$how, is_write);
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
    for journey in [DEPLOY, UPDATE, DESTROY] {
        journey.break_every_read(Break::CutBefore);
        journey.break_every_read(Break::LoseAnswer);
        journey.break_every_read(Break::Unavailable);
    }
}
