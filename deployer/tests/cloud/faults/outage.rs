//! The network lost in the middle of a run: everything ends together after a minute without an answer.

use super::report::{block_on, each, report, some};
use crate::account::Account;
use crate::world::fault::Outage;
use crate::world::{World, is_write};
use aws_sdk_apigateway::types::{Op, PatchOperation};
use std::time::Duration;

/// A minute without an answer, and what the run still waits for before and after.
const LONGEST: Duration = Duration::from_secs(75);

/// A first deploy, of which every tenth request is the last that is answered.
#[test]
fn deploy_ends_within_75_s_of_network_loss() {
    let unbroken = Account::new();
    let world = World::of(&unbroken);
    world.run(&unbroken, "deploy --yes").ends(0);
    let (requests, wanted) = (world.requests().len(), block_on(unbroken.inventory()));
    let points = some((2..requests).step_by(10).collect(), 4);
    let came = each(&points, |&n| {
        let (account, outage) = (Account::new(), Outage::after(n));
        let since = outage.since.clone();
        let world = World::of(&account).with(outage);
        let ran = world.run(&account, "deploy --yes");
        let since = since.lock().unwrap().unwrap_or_else(|| panic!("not cut at {n}: {ran:?}"));
        let lasted = world.age() - since;
        assert!(lasted <= LONGEST, "{n}: {lasted:?}, {} requests: {ran:?}", world.requests().len());
        let things = block_on(account.inventory());
        let (exit, says) = match things.is_empty() {
            true => (6, "nothing was changed"),
            false => (3, "run deploy again"),
        };
        // Of a run that has finished all else, only the lease isn't given back.
        if ran.code != 0 {
            assert_eq!(ran.code, exit, "{n}: {ran:?}");
            let lost = "could not renew its lease";
            let silent = "no request has been answered for 60 s";
            assert!(ran.err.contains(silent) || ran.err.contains(lost), "{n}: {ran:?}");
            assert!(ran.err.contains("next: ") && ran.err.contains(says), "{n}: {ran:?}");
            assert_eq!(ran.err.matches(silent).count(), usize::from(ran.err.contains(silent)));
        }
        world.mend();
        world.run(&account, "deploy --yes").ends(0);
        world.run(&account, "plan --detailed-exitcode").ends(0);
        let mut things = block_on(account.inventory());
        // A release that was begun and not finished is on record.
        things.retain(|thing| !thing.starts_with("object releases/"));
        let wanted = wanted.iter().filter(|thing| !thing.starts_with("object releases/"));
        assert!(things.iter().eq(wanted), "{n}: {things:#?}");
        world.run(&account, "destroy --yes").ends(0);
        block_on(account.inventory())
    });
    report("network lost", points.len(), came);
}

/// A run that only reads, and one that only calls the API, end in the same time.
#[test]
fn reads_and_smoke_test_end_within_75_s_of_network_loss() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    for line in ["plan", "status", "smoke-test", "destroy --yes", "doctor"] {
        world.run(&account, line);
        world.mend();
        if line.starts_with("destroy") {
            world.run(&account, "deploy --yes").ends(0);
        }
        let served: Vec<String> = world.requests();
        let reads = served.iter().take_while(|name| !is_write(name)).count();
        // The last read, and the smoke test's calls of the API in the middle.
        for n in [2, reads / 2, reads - 1] {
            let outage = Outage::after(n);
            let since = outage.since.clone();
            world.add(outage);
            let ran = world.run(&account, line);
            world.mend();
            let Some(since) = *since.lock().unwrap() else { continue };
            let lasted = world.age() - since;
            assert!(lasted <= LONGEST, "{line} {n}: {lasted:?}: {ran:?}");
            // The others say what they could not find out.
            let whole = ["plan", "smoke-test", "destroy --yes"].contains(&line);
            assert!(!whole || ran.code != 0, "{line} {n}: {ran:?}");
            world.pass(LONGEST);
        }
    }
}

/// UpdateStage changes the stage, also where it is the only write.
#[tokio::test]
async fn outage_after_update_stage_is_no_unchanged_run() {
    let account = Account::deployed();
    let aws = account.aws().await;
    let apis = aws.apigateway.get_rest_apis().send().await.unwrap();
    let api = apis.items().first().unwrap().id().unwrap();
    let stage = aws.apigateway.update_stage().rest_api_id(api).stage_name("dev");
    let tracing = PatchOperation::builder().op(Op::Replace).path("/tracingEnabled").value("false");
    stage.patch_operations(tracing.build()).send().await.unwrap();
    let world = World::of(&account).with(Outage::from_answer("apigateway:UpdateStage"));
    let ran = world.run(&account, "deploy --yes").ends(3);
    ran.says("run deploy again");
}
