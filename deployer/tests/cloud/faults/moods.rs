//! AWS's moods, one a test: each passes, or is told in time.

use super::report::{block_on, each, report, report_all, some};
use crate::account::{ALARMS, Account, DELETED};
use crate::by_hand::open;
use crate::deleted_role::delete_role;
use crate::drift::change_everything;
use crate::world::fault::{
    Always, At, Break, Busy, Conflict, ErrorIn200, Fault, Ghosts, LostStatements, PagesOfOne,
    Propagation, Serial, StaleLists, TagConditionedDelete, TagsOfNoDashboard, Tomb, Verdict,
    XmlPagesOfOne, Young,
};
use crate::world::{KILLED, Request, Response, World, is_write};
use infra::engine::Stop;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A fault that passes after so many times.
struct Once<F>(F, usize);

impl<F: Fault> Fault for Once<F> {
    fn before(&mut self, request: &Request, now: Duration) -> Verdict {
        if self.1 == 0 {
            return Verdict::Pass;
        }
        let verdict = self.0.before(request, now);
        self.1 -= usize::from(!matches!(verdict, Verdict::Pass));
        verdict
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A whole life in a world of this mood: deployed, changed, looked at, destroyed. Gives the time on
/// its clock when the deploy had ended.
fn live(world: &World, account: &Account) -> Duration {
    world.run(account, "deploy --yes").ends(0);
    let deployed = world.age();
    world.run(account, "plan --detailed-exitcode").ends(0);
    world.run(account, "smoke-test").ends(0);
    account.packages.change_code("root");
    account.packages.change_commit("0123456789a");
    world.run(account, "deploy --yes").ends(0);
    world.run(account, "plan --detailed-exitcode").ends(0);
    world.run(account, "smoke-test").ends(0);
    world.run(account, "destroy --yes").ends(0).says("remaining 0");
    assert_eq!(block_on(account.inventory()), Vec::<String>::new());
    deployed
}

#[test]
fn a_role_that_lambda_cannot_assume_for_half_a_minute() {
    let account = Account::new();
    let fault = Propagation::of(seconds(30));
    let refused = fault.refused.clone();
    let world = World::of(&account).with(fault);
    let ran = world.run(&account, "deploy --yes").ends(0);
    ran.says("waiting for IAM to tell Lambda of the role");
    assert!(world.age() >= seconds(30) && world.age() < seconds(40), "{:?}", world.age());
    live(&world, &account);
    report_all("a role unknown to Lambda for 30 s", refused.load(Ordering::SeqCst));
}

#[test]
fn functions_that_are_busy_for_ten_seconds_after_each_change() {
    let account = Account::new();
    let world = World::of(&account).with(Busy::of(seconds(10)));
    assert!(live(&world, &account) >= seconds(10));
    // Killed right after a change, the next run finds it busy.
    let (stop, fired) = (Stop::default(), Arc::default());
    world.add(At::new("lambda:CreateFunction", 1, Break::KillSent, &stop, &fired));
    world.run(&account, "deploy --yes").ends(KILLED);
    live(&world, &account);
    report_all("functions busy for 10 s", fired.load(Ordering::SeqCst));
}

#[test]
fn what_was_just_made_cannot_be_found_yet() {
    let account = Account::new();
    let fault = Young::of(seconds(5));
    let refused = fault.refused.clone();
    live(&World::of(&account).with(fault), &account);
    let refused = refused.load(Ordering::SeqCst);
    report_all("new things not found for 5 s", refused);
}

#[test]
fn a_statement_that_lambda_takes_and_loses() {
    let account = Account::new();
    let fault = LostStatements::default();
    let fired = fault.fired.clone();
    live(&World::of(&account).with(fault), &account);
    report_all("AddPermission loses a statement", fired.load(Ordering::SeqCst));
}

/// A role of the same name is another role, of which Lambda hears late; and it doesn't have the grant that
/// Lambda gave the old one.
#[test]
fn a_role_that_was_deleted_under_its_function() {
    let account = Account::new();
    let world = World::of(&account).with(Propagation::of(seconds(15))).with(Busy::of(seconds(3)));
    world.run(&account, "deploy --yes").ends(0);
    block_on(async { delete_role(&account.aws().await, "health").await });
    world.run(&account, "deploy --yes").ends(0);
    world.run(&account, "smoke-test").ends(0);
    live(&world, &account);
    report_all("a role deleted under its function", 1);
}

#[test]
fn repeated_delete_denied_by_its_tag_condition_counts_as_done() {
    let account = Account::new();
    let fault = TagConditionedDelete::default();
    let denied = fault.denied.clone();
    let world = World::of(&account).with(fault);
    world.run(&account, "deploy --yes").ends(0);
    for op in ["apigateway:DeleteUsagePlan", "apigateway:DeleteApiKey", "apigateway:DeleteRestApi"]
    {
        world.add(At::new(op, 1, Break::LoseAnswer, &Stop::default(), &Arc::default()));
    }
    world.run(&account, "destroy --yes").ends(0).says("remaining 0");
    let denied = denied.load(Ordering::SeqCst);
    assert_eq!(denied, 3);
    assert_eq!(block_on(account.inventory()), Vec::<String>::new());
    report_all("a repeated tag-conditioned DELETE is denied", denied);
}

/// The credentials are a user's, whom IAM can be asked about.
struct AsUser;

impl Fault for AsUser {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        if request.name == "sts:GetCallerIdentity" {
            let text = String::from_utf8(answer.body.clone()).unwrap();
            answer.body = text.replace(":root<", ":user/me<").into_bytes();
        }
        Verdict::Pass
    }
}

/// Asking IAM beforehand is a courtesy.
#[test]
fn simulation_that_fails_does_not_hold_up_the_run() {
    let account = Account::new();
    let world = World::of(&account).with(AsUser).with(Always {
        ops: "iam:SimulatePrincipalPolicy",
        status: 503,
        code: "ServiceUnavailable",
        message: "Service is unavailable. Please try again later.",
        after: 0,
    });
    let untold = "rights were not looked at beforehand: IAM didn't answer";
    world.run(&account, "deploy --yes").ends(0).says(untold);
    assert!(world.age() < seconds(10), "{:?}", world.age());
    let tries = world.requests().into_iter().filter(|name| name == "iam:SimulatePrincipalPolicy");
    assert_eq!(tries.count(), 2);
    let doctor = world.run(&account, "doctor --json").json();
    let checks = doctor["checks"].as_array().unwrap();
    let rights = checks.iter().find(|check| check["check"] == "rights").unwrap();
    assert_eq!(rights["level"], "skipped");
    assert!(rights["found"].as_str().unwrap().starts_with("could not ask: "), "{rights}");
}

#[test]
fn tags_of_a_missing_dashboard_do_not_end_the_survey() {
    let account = Account::new();
    let world = World::of(&account).with(TagsOfNoDashboard::default());
    live(&world, &account);
}

#[test]
fn cloudwatch_conflicts_are_waited_for() {
    let account = Account::new();
    let world = World::of(&account).with(Conflict(2));
    world.run(&account, "deploy --yes").ends(0);
    world.add(Conflict(2));
    world.run(&account, "destroy --yes").ends(0).says("remaining 0");
}

#[test]
fn names_that_were_just_deleted() {
    let account = Account::new();
    let fault = Tomb::of(seconds(30));
    let refused = fault.refused.clone();
    let world = World::of(&account).with(fault);
    live(&world, &account);
    live(&world, &account);
    let refused = refused.load(Ordering::SeqCst);
    report_all("names taken for 30 s after a delete", refused);
}

#[test]
fn lists_of_one_item_a_page() {
    let account = Account::new();
    account.run("deploy --yes --stage dev-2").ends(0);
    let others = block_on(account.inventory());
    let (json, xml) = (PagesOfOne::default(), XmlPagesOfOne::default());
    let (pages, xml_pages) = (json.pages.clone(), xml.pages.clone());
    let world = World::of(&account).with(json).with(xml);
    world.run(&account, "deploy --yes").ends(0);
    world.run(&account, "deploy --yes").ends(0).says("nothing to do");
    // More than one of everything of which there may be many.
    block_on(change_everything(&account));
    block_on(open(&account));
    let ran = world.run(&account, "deploy --yes --allow-widening").ends(0);
    ran.says("4 ways of access that this stack didn't create");
    world.run(&account, "deploy --yes --remove-foreign").ends(0);
    world.run(&account, "plan --detailed-exitcode").ends(0);
    world.run(&account, "destroy --yes").ends(0).says(&format!("deleted {DELETED}, remaining 0"));
    assert_eq!(block_on(account.inventory()), others);
    let pages = pages.load(Ordering::SeqCst) + xml_pages.load(Ordering::SeqCst);
    report_all("one item a page", pages);
}

/// The four things that AWS would make twice, each with its answer lost, or its run killed, while
/// lists are ten seconds behind.
#[test]
fn lists_that_lag_make_nothing_twice() {
    let unbroken = Account::new();
    World::of(&unbroken).run(&unbroken, "deploy --yes").ends(0);
    let wanted = block_on(unbroken.inventory());
    let ops = ["CreateRestApi", "CreateApiKey", "CreateUsagePlan", "CreateDeployment"];
    let breaks = [
        Break::LoseAnswer,
        Break::CutBefore,
        Break::KillSent,
        Break::KillAnswered,
        Break::Interrupt,
    ];
    let points: Vec<_> = ops.iter().flat_map(|op| breaks.map(|how| (*op, how))).collect();
    let points = some(points, 2);
    let came = each(&points, |(op, how)| {
        let (account, stop, fired) = (Account::new(), Stop::default(), Arc::default());
        let at = At::new(&format!("apigateway:{op}"), 1, *how, &stop, &fired);
        let world = World::of(&account).with(StaleLists::by(seconds(10))).with(at);
        let ends = match how {
            Break::KillSent | Break::KillAnswered => KILLED,
            Break::Interrupt => 130,
            _ => 0,
        };
        world.run_until(&account, &["deploy --yes"], &stop).remove(0).ends(ends);
        world.run(&account, "deploy --yes").ends(0);
        world.run(&account, "plan --detailed-exitcode").ends(0);
        assert_eq!(block_on(account.inventory()), wanted);
        world.run(&account, "destroy --yes").ends(0).says("remaining 0");
        block_on(account.inventory())
    });
    report("lists 10 s behind", points.len(), came);
}

/// What is gone is listed before what is there: the real one must not be taken for a leftover.
#[test]
fn lists_that_show_an_older_one_that_is_gone() {
    let account = Account::new();
    let (stop, fired) = (Stop::default(), Arc::default());
    let world = World::of(&account).with(StaleLists::by(seconds(25)));
    world.run(&account, "deploy --yes").ends(0);
    let wanted = without_records(block_on(account.inventory()));
    world.add(At::new("apigateway:DeleteRestApi", 1, Break::Interrupt, &stop, &fired));
    world.run_until(&account, &["destroy --yes"], &stop).remove(0).ends(130);
    let denied = "User: me is not authorized to perform: iam:CreateRole";
    let (ops, status, code, message) = ("lambda:AddPermission", 403, "AccessDenied", denied);
    // Only the first time.
    world.add(Once(Always { ops, status, code, message, after: 0 }, 3));
    world.run(&account, "deploy --yes").ends(3);
    world.run(&account, "deploy --yes").ends(0);
    world.run(&account, "plan --detailed-exitcode").ends(0);
    assert_eq!(without_records(block_on(account.inventory())), wanted);
}

/// A destroy that was stopped half-way, and a deploy at once: lists still show what is gone.
#[test]
fn lists_that_show_what_is_gone() {
    let ops = ["DeleteRestApi", "DeleteApiKey", "DeleteUsagePlan"];
    let came = each(&ops, |op| {
        let (account, stop, fired) = (Account::new(), Stop::default(), Arc::default());
        let world = World::of(&account).with(StaleLists::by(seconds(10)));
        world.run(&account, "deploy --yes").ends(0);
        let wanted = without_records(block_on(account.inventory()));
        world.add(At::new(&format!("apigateway:{op}"), 1, Break::Interrupt, &stop, &fired));
        world.run_until(&account, &["destroy --yes"], &stop).remove(0).ends(130);
        world.run(&account, "deploy --yes").ends(0);
        world.run(&account, "plan --detailed-exitcode").ends(0);
        assert_eq!(without_records(block_on(account.inventory())), wanted);
        world.run(&account, "destroy --yes").ends(0).says("remaining 0");
        without_records(block_on(account.inventory()))
    });
    report("lists show what is gone", ops.len(), came);
}

#[test]
fn a_success_that_lists_what_failed() {
    let account = Account::new();
    let fault = ErrorIn200::default();
    let fired = fault.fired.clone();
    live(&World::of(&account).with(fault), &account);
    report_all("a success that lists what failed", fired.load(Ordering::SeqCst));
}

#[test]
fn a_log_group_that_comes_back() {
    let account = Account::new();
    let fault = Ghosts::default();
    let fired = fault.fired.clone();
    live(&World::of(&account).with(fault), &account);
    let fired = fired.load(Ordering::SeqCst);
    assert!(fired > 3, "the access log's too, not only those of three functions: {fired}");
    report_all("a log group comes back", fired);
}

/// AWS refuses the second of two changes that are made to one thing at a time.
#[test]
fn nothing_is_changed_twice_at_a_time() {
    let account = Account::new();
    let fault = Serial::default();
    let refused = fault.refused.clone();
    live(&World::of(&account).with(fault), &account);
    assert_eq!(refused.load(Ordering::SeqCst), 0, "they would have been refused");
}

/// Says at once, and which limit it is.
#[test]
fn a_limit_that_is_reached() {
    let limits = [
        ("apigateway:CreateRestApi", 429, "LimitExceededException", "REST APIs"),
        ("apigateway:CreateApiKey", 429, "LimitExceededException", "API keys"),
        ("apigateway:CreateUsagePlan", 429, "LimitExceededException", "usage plans"),
        ("apigateway:CreateStage", 429, "LimitExceededException", "stages"),
        ("iam:CreateRole", 409, "LimitExceeded", "roles"),
        ("logs:CreateLogGroup", 400, "LimitExceededException", "log groups"),
        ("ssm:PutParameter", 400, "ParameterLimitExceeded", "parameters"),
        ("s3:CreateBucket", 400, "TooManyBuckets", "buckets"),
    ];
    let came = each(&limits, |&(ops, status, code, says)| {
        let account = Account::new();
        let message = "Maximum number of these for this account has been reached.";
        let world = World::of(&account).with(Always { ops, status, code, message, after: 0 });
        let ran = world.run(&account, "deploy --yes -vv");
        let exit = if ops == "s3:CreateBucket" { 6 } else { 3 };
        let ran = ran.ends(exit);
        assert!(world.age() < seconds(10), "{:?}: {ran:?}", world.age());
        ran.says(&format!("a limit of AWS is reached: no more {says}")).says("next: ");
        world.mend();
        live(&world, &account);
        vec![]
    });
    report("a limit of AWS is reached", limits.len(), came);
}

/// What API Gateway says for ever of an API that is gone, ends within its time.
#[test]
fn an_api_that_is_always_busy() {
    let account = Account::new();
    let world = World::of(&account).with(Always {
        ops: "apigateway:PutRestApi",
        status: 409,
        code: "ConflictException",
        message: "Unable to complete operation due to concurrent modification. Please try again later.",
        after: 0,
    });
    world.run(&account, "deploy --yes").ends(3).says("waiting for API Gateway to finish");
    assert!(world.age() > seconds(45) && world.age() < seconds(75), "{:?}", world.age());
    world.pass(seconds(60));
    let gone = "Invalid API identifier specified";
    let (status, code) = (404, "NotFoundException");
    world.add(Always { ops: "apigateway:GetRestApi", status, code, message: gone, after: 2 });
    world.run(&account, "deploy --yes").ends(3).says("has been deleted");
    world.mend();
    live(&world, &account);
    report_all("an API that is busy for ever", 1);
}

/// With several names, of which it doesn't know one, DeleteAlarms may have deleted all others or none.
#[test]
fn an_alarm_that_is_gone_spoils_the_request_of_all() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    let (ops, message) = ("monitoring:DeleteAlarms", "Alarm names not found");
    let unknown = Always { ops, status: 404, code: "ResourceNotFound", message, after: 0 };
    world.add(Once(unknown, 1));
    world.run(&account, "destroy --yes").ends(0).says("remaining 0");
    let asked = world.requests().iter().filter(|name| *name == ops).count();
    assert_eq!(asked, 1 + ALARMS, "all at once, and then each alone");
    assert_eq!(block_on(account.inventory()), Vec::<String>::new());
    report_all("an alarm that is gone", 1);
}

#[test]
fn a_clock_that_is_wrong_is_told_before_anything_is_changed() {
    for (off, says) in [(600, "10 min 00 s ahead of AWS's"), (-600, "10 min 00 s behind AWS's")] {
        let account = Account::new();
        let world = World::of(&account);
        world.set_clock_off(off);
        let ran = world.run(&account, "deploy --yes").ends(6);
        ran.says(&format!("this machine's clock is {says}")).says("next: set the clock");
        assert!(!world.requests().iter().any(|name| is_write(name)), "{:?}", world.requests());
        world.set_clock_off(if off > 0 { 90 } else { -90 });
        world
            .run(&account, "deploy --yes")
            .ends(0)
            .says("warning: this machine's clock is 1 min 30 s");
    }
    report_all("a clock 10 min off", 2);
}

/// Every write refused in words that repeat all that was sent: nothing of it is told, which
/// [`World::run`] checks of every run.
#[test]
fn errors_that_repeat_what_was_sent_are_not_repeated() {
    let account = Account::new();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    let deploys: BTreeSet<String> = world.requests().into_iter().collect();
    let mut names = deploys.clone();
    world.run(&account, "destroy --yes").ends(0);
    names.extend(world.requests());
    let names: Vec<&'static str> =
        names.into_iter().filter(|name| is_write(name)).map(|name| &*name.leak()).collect();
    let names = some(names, 3);
    let message = "1 validation error detected: Value '{body}' failed to satisfy constraint";
    let echo = |ops| Always { ops, status: 400, code: "ValidationException", message, after: 0 };
    let came = each(&names, |ops| {
        let account = Account::new();
        let world = World::of(&account).with(echo(ops));
        let ran = world.run(&account, "deploy --yes -vv");
        assert_eq!(ran.code != 0, deploys.contains(*ops), "{ops}: {ran:?}");
        world.run(&account, "destroy --yes -vv");
        world.mend();
        world.run(&account, "destroy --yes").ends(0);
        block_on(account.inventory())
    });
    report("errors that repeat what was sent", names.len(), came);
}

/// What was made again is another release; and the bucket outlives a destroy that was stopped, and in it
/// what is on record.
fn without_records(mut things: Vec<String>) -> Vec<String> {
    things.retain(|thing| !thing.starts_with("object releases/"));
    things
}
