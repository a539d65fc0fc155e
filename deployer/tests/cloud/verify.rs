//! From the URL back to the commit: what serves, what is on record, and what the sources make.

use crate::account::{Account, Ran};
use crate::checkout::Checkout;
use crate::packages::Packages;
use serde_json::json;
use std::fs;

/// Of no checkout, so that it is never dirty.
const COMMIT: &str = "0123456789a";

fn deployed() -> Account {
    let account = Account::new();
    account.packages.change_commit(COMMIT);
    account.run("deploy --yes").ends(0);
    account
}

fn verify(packages: &Packages) -> String {
    format!("verify --rebuilt {}", packages.path().display())
}

#[test]
fn what_the_packages_are_is_what_serves() {
    let account = deployed();
    let line = verify(&account.packages);
    let (ran, wire) = account.run_heard(&line);
    wire.assert_no_writes();
    let root = account.packages.release().package("root").sha256;
    ran.ends(0)
        .says(&format!("✓ same     root      {}\n", &root[..12]))
        .says(&format!("✓ same     commit    {COMMIT}\n"))
        .says(&format!("verified: commit {COMMIT} is what serves http"));

    let json = account.run(&format!("{line} --json")).ends(0).json();
    assert_eq!((&json["verified"], &json["release"]), (&true.into(), &1.into()));
    assert_eq!(
        json["functions"]["root"],
        json!({
            "same": true, "rebuilt": root, "serves": root, "record": root,
        })
    );
    assert_eq!(
        json["commit"],
        json!({
            "same": true, "rebuilt": COMMIT, "parameter": COMMIT, "record": COMMIT,
            "GET /health": COMMIT, "GET /metadata": COMMIT,
        })
    );
}

#[tokio::test]
async fn other_code_is_found_wherever_it_is() {
    let account = deployed();
    // Of another build of the same commit.
    let others = Packages::of_this_checkout();
    others.change_commit(COMMIT);
    others.change_code("health");
    let ran = account.run(&verify(&others)).ends(5).says("✗ DIFFERS  health    rebuilt ");
    ran.says("✓ same     root ")
        .says("is not what serves")
        .says("see health\n")
        .says("--rebuilt DIR");

    // Of another commit with the same code.
    let others_commit = Packages::of_this_checkout();
    others_commit.change_commit("fedcba98765");
    let ran = account.run(&verify(&others_commit)).ends(5).says("see commit\n");
    ran.says("commit fedcba98765 is not what serves").says("the packages are of fedcba98765");

    // Put by hand, beside the deployer.
    let aws = account.aws().await;
    let function = aws.env.function("health");
    let zip = fs::read(others.path().join("health.zip")).unwrap();
    let update = aws.lambda.update_function_code().function_name(&function);
    update.zip_file(zip.into()).send().await.unwrap();
    let version = loop {
        // Lambda refuses while it is still at the update.
        let publish = aws.lambda.publish_version().function_name(&function);
        if let Ok(version) = publish.send().await {
            break version.version.unwrap();
        }
    };
    let alias = aws.lambda.update_alias().function_name(&function).name("live");
    alias.function_version(version).send().await.unwrap();
    let ran = account.run(&verify(&account.packages)).ends(5);
    ran.says("see health\n").says("changed by hand");
    let json = account.run(&format!("{} --json", verify(&others))).ends(5).json();
    let health = &json["functions"]["health"];
    assert!(
        health["rebuilt"] == health["serves"] && health["serves"] != health["record"],
        "{json}"
    );

    account.run("deploy --yes").ends(0);
    account.run(&verify(&account.packages)).ends(0);
}

#[tokio::test]
async fn a_record_that_lies_is_found_out() {
    let account = deployed();
    let line = verify(&account.packages);
    let code = account.packages.release().package("root").code_sha256;
    account.edit_record(|record| record["functions"]["health"]["code_sha256"] = json!(code)).await;
    account.run(&line).ends(5).says("✗ DIFFERS  health ").says("✓ same     metadata ");

    // Nothing is hidden by leaving it out.
    account
        .edit_record(|record| drop(record["functions"].as_object_mut().unwrap().remove("health")))
        .await;
    account.run(&line).ends(5).says("✗ DIFFERS  health ").says("record nothing");

    account.edit_record(|record| record["git_sha"] = json!("fedcba98765")).await;
    let ran = account.run(&line).ends(5).says("✗ DIFFERS  commit ");
    ran.says(&format!("rebuilt {COMMIT} · parameter {COMMIT} · record fedcba98765"))
        .says(&format!("body.releaseId is \"{COMMIT}\", not \"fedcba98765\""));

    // And git never gets to see what is no commit.
    account.edit_record(|record| record["git_sha"] = json!("-x")).await;
    account.run("verify").ends(1).says("\"-x\" is not a commit");
    account.edit_record(|record| record["git_sha"] = json!("--upload-pack=x")).await;
    account.run("verify").ends(1).says("is on no record");
}

#[tokio::test]
async fn what_cannot_be_told_is_said_with_a_next_step() {
    let account = Account::new();
    account
        .run("verify")
        .ends(1)
        .says("stage dev is not deployed")
        .says("next: cargo xtask deploy");

    account.packages.change_commit("0123456789a-dirty");
    account.run("deploy --yes").ends(0);
    let ran = account.run(&verify(&account.packages)).ends(1).says("nobody committed");
    ran.says("next: commit them, and deploy that");
    account.run("verify").ends(1).says("nobody committed");

    account.packages.change_commit(COMMIT);
    account.run("deploy --yes").ends(0);
    let outside = Ran::of(&mut account.command(&account.cloud().endpoint, "verify")).ends(1);
    outside.says(&format!("rebuilding commit {COMMIT}: ")).says("--rebuilt DIR");
    account.run("verify --rebuilt /nowhere").ends(1).says("there is no /nowhere/manifest.json");

    let aws = account.aws().await;
    let bucket = aws.env.bucket();
    for number in 1..=2 {
        let key = format!("releases/{number:08}.json");
        aws.s3.delete_object().bucket(&bucket).key(key).send().await.unwrap();
    }
    account
        .run("verify")
        .ends(1)
        .says("is on no record")
        .says("cargo xtask deploy, which makes one");
    account.run("status").ends(0).says("release  none on record");
}

#[test]
fn a_commit_is_rebuilt_from_itself_alone() {
    let (account, checkout) = (Account::new(), Checkout::new());
    let [good, broken] = [checkout.commit("good"), checkout.commit("broken")];
    let (path, said) = checkout.pretend_cargo(account.packages.path());
    fs::write(checkout.path().join("source"), "uncommitted").unwrap();
    let verify = || {
        let mut command = account.command(&account.cloud().endpoint, "verify");
        Ran::of(checkout.around(&mut command).env("PATH", &path).env("GIT_DIR", "/nowhere"))
    };
    let deploy = |git_sha: &str| {
        account.packages.change_commit(git_sha);
        account.run("deploy --yes").ends(0);
    };
    let nothing_is_left = || {
        assert_eq!(checkout.git("worktree list").lines().count(), 1);
        assert!(!checkout.path().join("target/verify/checkout").exists());
        assert_eq!(checkout.git("status --porcelain"), "M source");
    };

    deploy(&good);
    verify().ends(0).says(&format!("verified: commit {good} is what serves"));
    let arch = account.packages.release().arch;
    let out = checkout.path().canonicalize().unwrap().join("target/verify/packages");
    let out = out.display();
    let called =
        format!("xtask package --arch {arch} --out {out} GIT_SHA={good} AWS= source=good\n");
    assert_eq!(fs::read_to_string(said).unwrap(), called);
    nothing_is_left();

    // What a run that was killed has left is in nobody's way.
    checkout.git("worktree add --quiet --lock --detach target/verify/checkout HEAD");
    verify().ends(0);
    nothing_is_left();

    let lock = fs::File::create(checkout.path().join("target/verify/lock")).unwrap();
    lock.lock().unwrap();
    verify().ends(1).says("another verify is at work");
    lock.unlock().unwrap();

    deploy(&broken);
    let ran = verify().ends(1).says("    100\n    error: it does not compile\n");
    assert!(!ran.err.contains("    50\n"), "{}", ran.err);
    ran.says(&format!("next: run it yourself, in a checkout of {broken}"));
    nothing_is_left();

    deploy(COMMIT);
    verify().ends(1).says("does not have it").says("next: git fetch");
}

#[test]
fn a_project_below_the_top_of_its_repository_is_rebuilt_too() {
    let (account, checkout) = (Account::new(), Checkout::at("apps/api"));
    let good = checkout.commit("good");
    let (path, said) = checkout.pretend_cargo(account.packages.path());
    account.packages.change_commit(&good);
    account.run("deploy --yes").ends(0);
    let mut command = account.command(&account.cloud().endpoint, "verify");
    let ran = Ran::of(checkout.around(&mut command).env("PATH", &path));
    ran.ends(0).says(&format!("verified: commit {good} is what serves"));
    assert!(fs::read_to_string(said).unwrap().contains("source=good"));
    assert!(
        checkout.path().join("target/verify").exists() && !checkout.top().join("target").exists()
    );
}

#[test]
fn a_shallow_clone_is_told_how_to_get_old_commits() {
    let (account, checkout) = (Account::new(), Checkout::new());
    let [old, _] = [checkout.commit("old"), checkout.commit("new")];
    let from = checkout.path().display();
    checkout.git(&format!("clone --quiet --depth 1 file://{from} target/shallow"));
    account.packages.change_commit(&old);
    account.run("deploy --yes").ends(0);
    let run = |line: &str| {
        let mut command = account.command(&account.cloud().endpoint, line);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        Ran::of(command.current_dir(checkout.path().join("target/shallow")))
    };
    run("verify").ends(1).says("does not have it").says("next: git fetch --unshallow");
    run("status").ends(0).says("behind   unknown here; git fetch --unshallow");
}
