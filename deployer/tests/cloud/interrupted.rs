//! Runs that end half-way, as processes do: killed, and by Ctrl-C. What `broken` does to each request
//! in a world of its own, happens to a real process here.

use crate::account::{Account, Ran};
use crate::faults::report::block_on;
use crate::wire::Wire;
use crate::world::World;
use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType};
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};

/// Starts a run, and waits until its n-th write was carried out; no answer has reached it by then.
fn stuck_at_write(n: usize, account: &Account, line: &str) -> (Child, Wire) {
    let wire = Wire::silent_after(n, &account.cloud().endpoint);
    let mut run = account.command(&wire.endpoint, line);
    let run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wire.await_silence();
    (run, wire)
}

/// Sends it a signal, which it says it has heard: before that, a second might be taken for the first.
fn signal(run: &mut Child, name: &str) -> String {
    let mut said = run.stderr.take().unwrap();
    kill(run, name);
    let (mut err, mut letter) = (String::new(), [0]);
    while !err.contains("at once") {
        assert_eq!(said.read(&mut letter).unwrap(), 1, "it ended: {err}");
        err.push(char::from(letter[0]));
    }
    run.stderr = Some(said);
    assert!(run.try_wait().unwrap().is_none(), "it did not wait: {err}");
    err
}

fn kill(run: &Child, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &run.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

#[test]
fn a_process_that_was_killed_needs_no_help() {
    let account = Account::new();
    let (mut run, _wire) = stuck_at_write(20, &account, "deploy --yes");
    run.kill().unwrap();
    run.wait().unwrap();
    // The next waits half a minute for the lease to lapse.
    let ran = Ran::of(&mut account.command(&account.cloud().endpoint, "deploy --yes")).ends(0);
    ran.says("waiting to see whether it lives");
    account.assert_as_wanted();
}

#[test]
fn a_destroy_that_was_killed_can_be_deployed_over() {
    let account = Account::deployed();
    let wanted = block_on(account.inventory());
    let (mut run, _wire) = stuck_at_write(12, &account, "destroy --yes");
    run.kill().unwrap();
    run.wait().unwrap();
    let world = World::of(&account);
    world.run(&account, "deploy --yes").ends(0);
    // The bucket outlived it, and what is on record in it: this is the second release.
    let mut things = block_on(account.inventory());
    things.retain(|thing| thing != "object releases/00000002.json");
    assert_eq!(things, wanted);
    account.assert_as_wanted();
}

#[test]
fn ctrl_c_ends_a_run_between_two_requests_and_twice_at_once() {
    let account = Account::new();
    let (mut run, _wire) = stuck_at_write(20, &account, "deploy --yes");
    assert!(signal(&mut run, "INT").contains("press Ctrl-C again to end at once"));
    kill(&run, "INT");
    assert_eq!(run.wait().unwrap().code(), Some(130));
}

/// `docker stop`, a cancelled CI job and a closed terminal end a run as Ctrl-C does: what was sent is finished, and the
/// lease is given back, so that the next run waits for nothing.
#[test]
fn other_signals_end_a_run_as_ctrl_c_does() {
    let account = Account::new();
    let (ran, wire) = account.run_heard("deploy --yes");
    ran.ends(0);
    let writes = wire.writes().len();
    for (name, code) in [("TERM", 143), ("HUP", 129)] {
        for n in [3, writes / 2, writes - 3] {
            let account = Account::new();
            let (mut run, wire) = stuck_at_write(n, &account, "deploy --yes");
            let said = signal(&mut run, name);
            assert!(said.contains(&format!("stopping (SIG{name})")), "{said}");
            wire.go_on();
            let Output { status, stderr, .. } = run.wait_with_output().unwrap();
            let said = String::from_utf8(stderr).unwrap();
            assert_eq!(status.code(), Some(code), "{name} {n}: {said}");
            assert!(said.contains("run deploy again to finish"), "{name} {n}: {said}");
            let ran = account.run("deploy --yes").ends(0);
            assert!(!ran.err.contains("waiting to see whether it lives"), "{name} {n}: {ran:?}");
            account.assert_as_wanted();
        }
    }
}

/// The second signal may be another.
#[test]
fn a_second_signal_ends_a_run_at_once() {
    let account = Account::new();
    let (mut run, _wire) = stuck_at_write(20, &account, "deploy --yes");
    signal(&mut run, "INT");
    kill(&run, "TERM");
    assert_eq!(run.wait().unwrap().code(), Some(143));
}

/// Who starts a run by `nohup` wants it to go on when the terminal is closed.
#[test]
fn a_run_under_nohup_survives_a_hangup() {
    let account = Account::new();
    let wire = Wire::silent_after(20, &account.cloud().endpoint);
    let deployer = account.command(&wire.endpoint, "deploy --yes");
    let mut nohup = Command::new("nohup");
    nohup.arg(deployer.get_program()).args(deployer.get_args()).env_clear();
    for (name, value) in deployer.get_envs() {
        nohup.env(name, value.unwrap());
    }
    nohup.current_dir(deployer.get_current_dir().unwrap());
    nohup.env("PATH", std::env::var_os("PATH").unwrap());
    let mut run = nohup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wire.await_silence();
    kill(&run, "HUP");
    wire.go_on();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    account.assert_as_wanted();
}

/// Without a terminal and without `--yes` the plan is shown, and nothing is done.
#[test]
fn without_a_terminal_and_yes_nothing_is_changed() {
    let account = Account::new();
    let ran = |line, shows| {
        let (ran, wire) = account.run_heard(line);
        ran.ends(6)
            .says(shows)
            .says("no terminal to ask on")
            .says("add --yes")
            .says("nothing was changed");
        wire.assert_no_writes();
    };
    ran("deploy", "+ rest api ops-api-dev");
    ran("ci-role --repo me/api", "+ ci role");
    account.run("deploy --yes").ends(0);
    ran("destroy", "- rest api ops-api-dev");
    ran("key rotate", "no terminal");
    account.packages.change_commit("0123456789a");
    account.run("deploy --yes").ends(0);
    ran("rollback", "back to release 1");
}

/// What a lost answer of CreateRestApi may leave behind: AWS lets APIs share a name.
#[tokio::test]
async fn of_two_apis_the_younger_goes() {
    let account = Account::deployed();
    let wanted = account.inventory().await;
    let old = account.outputs()["rest_api_id"].clone();
    let aws = account.aws().await;
    let gateway = &aws.apigateway;
    let born = gateway.get_rest_api().rest_api_id(&old).send().await.unwrap().created_date.unwrap();
    let young = loop {
        let regional = EndpointConfiguration::builder().types(EndpointType::Regional).build();
        let create = gateway.create_rest_api().name("ops-api-dev");
        let create = create.endpoint_configuration(regional);
        let create = create.set_tags(Some(aws.env.tags().into_iter().collect()));
        let api = create.send().await.unwrap();
        // AWS tells the age in seconds.
        if api.created_date.unwrap().secs() > born.secs() {
            break api.id.unwrap();
        }
        gateway.delete_rest_api().rest_api_id(api.id.unwrap()).send().await.unwrap();
    };
    account.run("plan").says(&format!("- rest api ops-api-dev  {young}  to delete"));
    assert_eq!(account.drift(), ["rest api ops-api-dev: delete"]);
    account.run("deploy --yes").ends(0);
    assert_eq!(account.outputs()["rest_api_id"], old);
    assert_eq!(account.inventory().await, wanted);
    account.assert_as_wanted();
}
