//! Several runs at a time: on one stage one works and the other waits or is told; on two stages both
//! work, within the quotas that they share.

use super::report::{block_on, each, report, report_all, some};
use crate::account::{ALARMS, Account, DELETED, RESOURCES, Ran};
use crate::world::fault::{At, Break, Fault, Throttle, Verdict};
use crate::world::{KILLED, Request, World, is_write};
use infra::engine::Stop;
use infra::lease;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn of_two_deploys_of_one_stage_one_works_and_the_other_is_told() {
    let account = Account::new();
    let world = World::of(&account).with(Slow);
    let mut runs = world.run_together(&account, &["deploy --yes", "deploy --yes"]);
    runs.sort_by_key(|ran| ran.code);
    let [done, told] = <[Ran; 2]>::try_from(runs).unwrap();
    done.ends(0).says(&format!("deployed: {RESOURCES} resources"));
    let commit = account.packages.commit();
    told.ends(4)
        .says("stage dev is held by root on ")
        .says(&format!(": a deploy of commit {commit}, for "))
        .says("next: wait for it to end and run again; or add --wait 600")
        .says("nothing was changed");
    world.run(&account, "plan --detailed-exitcode").ends(0);
    world.run(&account, "smoke-test").ends(0);
    world.run(&account, "destroy --yes").ends(0);
    report_all("two deploys of one stage", 1);
}

#[test]
fn with_patience_the_other_waits_reads_again_and_has_nothing_to_do() {
    let account = Account::new();
    let world = World::of(&account).with(Slow);
    let waits = "deploy --yes --wait 600";
    for ran in world.run_together(&account, &[waits, waits, waits]) {
        ran.ends(0);
    }
    let ran = world.run_together(&account, &[waits, "destroy --yes --wait 600"]);
    assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}");
    world.mend();
    world.run(&account, "destroy --yes").ends(0);
    assert_eq!(block_on(account.inventory()), Vec::<String>::new());
    report_all("three deploys of one stage that wait", 3);
}

/// A role takes a minute: long enough for renewals.
struct Slow;

impl Fault for Slow {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        let text = "The role defined for the function cannot be assumed by Lambda.";
        match request.name == "lambda:CreateFunction" && now < Duration::from_secs(60) {
            true => Verdict::Answer(crate::world::refuse(
                "lambda",
                400,
                "InvalidParameterValueException",
                text,
            )),
            false => Verdict::Pass,
        }
    }
}

#[test]
fn of_two_destroys_the_second_finds_nothing_to_do() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    let mut ran = world.run_together(&account, &["destroy --yes", "destroy --yes"]);
    ran.sort_by_key(|ran| ran.out.contains("deleted 0"));
    let [done, idle] = <[Ran; 2]>::try_from(ran).unwrap();
    done.ends(0).says(&format!("deleted {DELETED}, remaining 0"));
    idle.ends(0).says("stage dev isn't there").says("deleted 0, remaining 0");
    assert_eq!(block_on(account.inventory()), Vec::<String>::new());
}

/// Both have read the stage when one gets the lease, and it is chance which; so until it is the other.
#[test]
fn a_saved_plan_is_not_carried_out_when_the_stage_has_changed_while_it_waited() {
    let came_second = (0..20).any(|_| {
        let account = Account::new();
        let world = World::of(&account).with(Slow);
        world.run(&account, "plan --out dev.plan.json").ends(0);
        let lines = ["deploy --yes --wait 600", "deploy dev.plan.json --yes --wait 600"];
        let runs = world.run_together(&account, &lines);
        let [other, saved] = <[Ran; 2]>::try_from(runs).unwrap();
        other.ends(0);
        let second = saved.err.contains("another run has changed the stage since");
        // It may also have met the other at work when it first read the stage.
        match second || saved.code == 6 {
            true => drop(saved.ends(6).says("is out of date").says("nothing was changed")),
            false => drop(saved.ends(0)),
        }
        second
    });
    assert!(came_second, "the saved plan always came first");
}

/// The process is gone and its lease is not: nobody has to unlock anything.
#[test]
fn a_dead_runs_lease_lapses() {
    let account = Account::new();
    let (stop, fired) = (Stop::default(), Arc::default());
    let at = At::new("iam:CreateRole", 1, Break::KillSent, &stop, &fired);
    let world = World::of(&account).with(at);
    world.run(&account, "deploy --yes").ends(KILLED);
    let killed = world.age();
    world.mend();
    world.run(&account, "deploy --yes").ends(0).says("waiting to see whether it lives");
    assert!(world.age() - killed < Duration::from_secs(40), "{:?}", world.age() - killed);
    report_all("a dead run's lease", 1);
}

/// Whatever becomes of the requests that take it, renew it and give it back.
#[test]
fn a_lease_is_known_as_ones_own_when_an_answer_was_lost() {
    let wrote =
        |world: &World| world.requests().iter().filter(|name| *name == "s3:PutObject").count();
    let unbroken = Account::new();
    let world = World::of(&unbroken).with(Slow);
    world.run(&unbroken, "deploy --yes").ends(0);
    let writes = wrote(&world); // three packages, and the lease taken, renewed and given back
    assert!(writes > 8, "{writes}");
    let points: Vec<(usize, Break)> = (1..=writes)
        .flat_map(|k| [Break::LoseAnswer, Break::CutBefore, Break::Unavailable].map(|how| (k, how)))
        .collect();
    let points = some(points, 4);
    let came = each(&points, |&(k, how)| {
        let (account, stop, fired) = (Account::new(), Stop::default(), Arc::default());
        let at = At::new("s3:PutObject", k, how, &stop, &fired);
        let world = World::of(&account).with(Slow).with(at);
        world.run(&account, "deploy --yes").ends(0);
        let age = world.age();
        world.run(&account, "destroy --yes").ends(0); // without waiting for it to lapse
        assert!(world.age() - age < Duration::from_secs(20));
        block_on(account.inventory())
    });
    report("requests that keep the lease", points.len(), came);
}

/// It slept, or was cut off, for longer than its lease lasts; another took over.
#[test]
fn a_run_that_has_lost_its_lease_stops() {
    let account = Account::new();
    let world = World::of(&account).with(Slow).with(Usurper::default());
    let ran = world.run(&account, "deploy --yes").ends(3);
    ran.says("this run could not renew its lease on the stage, and stopped; ann")
        .says("has it now")
        .says("next: cargo xtask status tells when it is free");
    world.mend();
    world.run(&account, "deploy --yes").ends(0);
    report_all("a lease that is lost", 1);
}

/// Says of the second renewal that the condition doesn't hold, and hides whose the lease is.
#[derive(Default)]
struct Usurper(usize);

impl Fault for Usurper {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        self.0 += usize::from(request.name == "s3:PutObject" && request.path.contains(lease::KEY));
        let condition = "At least one of the pre-conditions you specified did not hold";
        match request.name.as_str() {
            "s3:PutObject" if request.path.contains(lease::KEY) && self.0 >= 3 => {
                Verdict::Answer(crate::world::refuse("s3", 412, "PreconditionFailed", condition))
            }
            "s3:GetObject" if self.0 >= 3 => Verdict::Answer(crate::world::Response {
                status: 200,
                headers: [("etag".to_owned(), "\"another\"".to_owned())].into(),
                body: br#"{"format_version": 1, "nonce": "another", "held": true, "holder": "ann",
                    "doing": "deploy", "git_sha": "0", "since": 0, "beats": 0}"#
                    .to_vec(),
            }),
            _ => Verdict::Pass,
        }
    }
}

/// Under the documented quotas, for a whole account: nobody fails by them, and people are told.
#[test]
fn two_stages_share_the_quotas_of_their_account() {
    for says_when in [false, true] {
        let account = Account::new();
        let fault = Throttle { says_when, ..Throttle::default() };
        let refused = fault.refused.clone();
        let world = World::of(&account).with(fault);
        let deploys = ["deploy --yes", "deploy --yes --stage dev-2"];
        for ran in world.run_together(&account, &deploys) {
            ran.ends(0);
        }
        for stage in ["dev", "dev-2"] {
            world.run(&account, &format!("plan --detailed-exitcode --stage {stage}")).ends(0);
            world.run(&account, &format!("smoke-test --stage {stage}")).ends(0);
        }
        let destroys = ["destroy --yes", "destroy --yes --stage dev-2"];
        let ran = world.run_together(&account, &destroys);
        assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}");
        let waited =
            |ran: &Ran| ran.err.contains("waiting for API Gateway: next DeleteRestApi in ");
        assert!(ran.iter().any(waited), "{ran:?}");
        assert_eq!(block_on(account.inventory()), Vec::<String>::new());
        let refused = refused.load(Ordering::SeqCst);
        assert!(refused > 0, "nothing was ever refused");
        report_all(
            match says_when {
                false => "two stages within the quotas",
                true => "two stages, and AWS says when",
            },
            refused,
        );
    }
}

#[test]
fn a_plan_tells_how_long_the_quotas_make_it_wait() {
    let account = Account::new();
    let world = World::of(&account);
    // What it counts is what a deploy and a destroy ask for.
    let scarce = |requests: &[String]| {
        let periods = [
            ("apigateway:UpdateAccount", 20),
            ("apigateway:CreateRestApi", 3),
            ("apigateway:PutRestApi", 1),
            ("apigateway:CreateDeployment", 5),
            ("apigateway:UpdateUsagePlan", 20),
            ("apigateway:DeleteRestApi", 30),
        ];
        let asked = |op: &str| requests.iter().filter(|name| *name == op).count();
        periods.iter().map(|(op, period)| asked(op) * period).sum::<usize>()
    };
    let plan = world.run(&account, "plan --json").ends(0).json();
    let ran = world.run(&account, "deploy --yes").ends(0);
    // Three alarms are made at once, each of the rest waits a third of a second.
    let (least, most) = ((ALARMS - 3).div_ceil(3), scarce(&world.requests()));
    let waits = format!("{least} s; {most} s, if others have just used them up");
    ran.says(&format!("AWS's quotas make this wait {waits}"));
    assert_eq!(plan["quota_wait_seconds"], serde_json::json!([least, most]));
    let ran = world.run(&account, "destroy --yes").ends(0);
    ran.says("AWS's quotas make this wait up to 50 s, if others have just used them up");
    assert_eq!(scarce(&world.requests()), 50);
    assert!(world.requests().iter().any(|name| is_write(name)));
}
