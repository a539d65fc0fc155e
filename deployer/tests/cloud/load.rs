//! Callers who never pause, while releases come and go: none of them ever gets a wrong answer.

#![allow(clippy::disallowed_methods, reason = "callers pause between calls")]

use crate::account::{Account, with_endpoint};
use crate::rollback::{answer, healthy};
use crate::world::fault::{At, Break};
use crate::world::{KILLED, World};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use deployer::ENDPOINTS;
use infra::contract::{Endpoint, get};
use infra::engine::{Secret, Stop};
use infra::http;
use infra::release::Release;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a caller was answered: status, content type, body; or why not.
pub type Answer = Result<(u16, String, String), String>;

pub struct Door {
    url: String,
    key: Secret,
    http: SharedHttpConnector,
}

impl Door {
    pub fn of(account: &Account) -> Self {
        let key = Secret::new(account.run("key show").ends(0).out.trim().to_owned());
        Self { url: account.outputs()["url"].clone(), key, http: http::connector() }
    }

    pub async fn call(&self, endpoint: &Endpoint) -> Answer {
        let (url, key) = (format!("{}{}", self.url, endpoint.path), self.key.reveal());
        let answer = http::get(&self.http, &url, &[("x-api-key", key)]).await?;
        Ok((answer.status, answer.content_type, answer.body))
    }
}

/// What is wrong with an answer, if it keeps the promise of none of these releases.
fn wrong(endpoint: &Endpoint, answer: &Answer, releases: &[Release]) -> Option<String> {
    let (status, kind, body) = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("{}: no answer: {error}", endpoint.path)),
    };
    let judged = releases.iter().map(|release| endpoint.judge(*status, kind, body, release));
    let wrong: Vec<String> = judged.map(Result::err).collect::<Option<_>>()?;
    Some(format!("{}: {status} {body} {wrong:?}", endpoint.path))
}

/// Every endpoint answers as one of the releases that may serve in these tests.
pub async fn assert_callers_are_served(account: &Account) {
    let door = Door::of(account);
    let releases = good(account, &["0123456789a"]);
    for endpoint in ENDPOINTS {
        let answer = door.call(endpoint).await;
        assert_eq!(wrong(endpoint, &answer, &releases), None);
    }
}

/// The packages' release as this checkout made it, and those of other commits.
fn good(account: &Account, commits: &[&str]) -> Vec<Release> {
    let Release { version, .. } = account.packages.release();
    let built = crate::packages::Packages::of_this_checkout().commit();
    let commits = [&*built].into_iter().chain(commits.iter().copied());
    commits.map(|commit| Release::stated(&version, commit)).collect()
}

/// Two that call one endpoint after the other, as fast as the usage plan lets them.
struct Callers {
    gone: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<(&'static Endpoint, Answer)>>>,
}

impl Callers {
    fn of(account: &Account) -> Self {
        const PAUSE: Duration = Duration::from_millis(50); // of 50 a second for the key
        let gone = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicUsize::new(0));
        let one = |_| {
            let (gone, calls, door) = (gone.clone(), calls.clone(), Door::of(account));
            let calling = async move {
                let mut answers = vec![];
                for endpoint in ENDPOINTS.iter().cycle() {
                    if gone.load(Ordering::SeqCst) && calls.load(Ordering::SeqCst) >= 100 {
                        break;
                    }
                    answers.push((endpoint, door.call(endpoint).await));
                    calls.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(PAUSE).await;
                }
                answers
            };
            std::thread::spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(calling)
            })
        };
        Self { threads: (0..2).map(one).collect(), gone }
    }

    /// They go home after a hundred calls at least, and tell of all that was wrong.
    #[track_caller]
    fn assert_content(self, releases: &[Release]) {
        self.gone.store(true, Ordering::SeqCst);
        let answers: Vec<_> = self.threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        let judged = answers.iter().map(|(endpoint, answer)| wrong(endpoint, answer, releases));
        let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
        judged.flatten().for_each(|what| *wrong.entry(what).or_default() += 1);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn good_and_bad_releases_come_and_go_and_nobody_notices() {
    let account = Account::deployed();
    let commits = ["0123456789a", "0123456789b", "0123456789c"];
    let releases = good(&account, &commits);
    let callers = Callers::of(&account);
    let deploy = |commit: &str| {
        account.packages.change_commit(commit);
        account.run("deploy --yes")
    };

    account.packages.change_code("root");
    deploy("0123456789a").ends(0).says("release 2 is live");

    account.packages.put_code("health", None);
    deploy("bad00000001").ends(5).says("it failed (");
    account.packages.put_code("health", Some(&answer(500, &json!({}))));
    deploy("bad00000002").ends(5).says("status 500 instead of 200");
    account.packages.put_code("health", Some(&healthy("bad0000000f")));
    deploy("bad00000003").ends(5).says("body.releaseId is");

    account.packages.put_code("health", Some(&healthy("0123456789b")));
    deploy("0123456789b").ends(0).says("release 3 is live");
    account.run("rollback --yes").ends(0).says("back to release 2");
    account.run("rollback --yes").ends(0).says("back to release 1");
    account.packages.put_code("health", Some(&healthy("0123456789c")));
    deploy("0123456789c").ends(0).says("release 6 is live");
    callers.assert_content(&releases);

    let record = account.run("releases --json").ends(0).json();
    let states: Vec<_> = record.as_array().unwrap().iter().map(|r| &r["state"]).collect();
    assert_eq!(states, ["live"; 6]); // those that never moved in were no releases
}

#[test]
fn a_key_takes_anothers_place_and_nobody_notices() {
    let account = Account::deployed();
    let releases = good(&account, &["0123456789a"]);
    let of_the_old_key = Callers::of(&account);
    account.run("key rotate --yes --grace 1h").ends(0).says("works until");
    let of_the_new_key = Callers::of(&account);
    account.packages.change_commit("0123456789a");
    account.run("deploy --yes").ends(0).says("release 2 is live");
    account.run("rollback --yes").ends(0);
    account.run("deploy --yes").ends(0);
    of_the_new_key.assert_content(&releases);
    of_the_old_key.assert_content(&releases);
}

#[test]
fn runs_that_are_interrupted_and_killed_are_not_noticed_either() {
    let account = Account::deployed();
    let releases = good(&account, &["0123456789a", "0123456789b", "0123456789c"]);
    let callers = Callers::of(&account);
    let broken = |line: &str, op: &str, k: usize, how: Break| {
        let (world, ran) = World::broken(&account, line, (op, k), how);
        ran.ends(if how == Break::Interrupt { 130 } else { KILLED });
        world
    };
    for (commit, how) in [("0123456789a", Break::Interrupt), ("0123456789b", Break::KillAnswered)] {
        account.packages.change_commit(commit);
        for (op, k) in [
            ("lambda:PublishVersion", 1),
            ("lambda:UpdateAlias", 1), // between the flips
            ("ssm:PutParameter", 1),
            ("execute-api:GET", 7), // in the middle of the smoke test
        ] {
            broken("deploy --yes", op, k, how);
        }
        broken("deploy --yes", "execute-api:GET", 2, how).run(&account, "deploy --yes").ends(0);
        for (op, k) in [("lambda:UpdateAlias", 1), ("ssm:PutParameter", 1)] {
            broken("rollback --yes", op, k, how);
        }
        broken("rollback --yes", "execute-api:GET", 2, how).run(&account, "rollback --yes").ends(0);
    }
    let more = with_endpoint(get("/more", "root"));
    account.packages.change_commit("0123456789c");
    for how in [Break::Interrupt, Break::KillAnswered] {
        let (fired, stop) = (Arc::default(), Stop::default());
        let world =
            World::of(&account).with(At::new("apigateway:UpdateStage", 1, how, &stop, &fired));
        world.set_endpoints(more);
        world.run_until(&account, &["deploy --yes"], &stop);
        world.mend();
        world.run(&account, "deploy --yes").ends(0);
        world.run(&account, "rollback --yes").ends(0);
    }
    callers.assert_content(&releases);
}
