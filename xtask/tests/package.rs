//! `cargo xtask package`, for real: the first run compiles the functions for Lambda, which takes a minute or two.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const SHA: &str = "0123456789a";

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env("GIT_SHA", SHA);
    command
}

fn package(out: &Path, arguments: &[&str]) -> Command {
    let out = out.to_str().unwrap();
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    xtask(&[&["package", "--arch", arch, "--out", out], arguments].concat())
}

fn succeed(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{stderr}");
    assert!(stdout.is_empty(), "standard output is the deployer's");
    stderr
}

fn fail(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code));
    String::from_utf8(output.stderr).unwrap()
}

fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap());
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

/// Of this checkout.
fn functions() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/src/bin");
    let names = fs::read_dir(sources).unwrap().map(|file| file.unwrap().path());
    names.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// A directory of this test's own, emptied, below the target directory.
fn empty(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    directory
}

#[test]
fn packages_are_reproducible_described_and_reused() {
    let out = empty("packages");
    let said = succeed(package(&out, &[]));
    assert!(!said.contains("unchanged") && said.contains("packaged 1."), "{said}");
    let first = contents(&out);
    let functions = functions();
    let files =
        functions.iter().flat_map(|name| [format!("{name}.cdx.json"), format!("{name}.zip")]);
    let files: BTreeSet<_> = files.chain(["manifest.json".to_owned()]).collect();
    assert!(first.keys().eq(&files), "{:?}", first.keys());
    described(&first);
    billed(&first);

    let said = succeed(package(&out, &[]));
    assert_eq!(said.matches("unchanged").count(), functions.len(), "{said}");

    fs::write(out.join("root.zip"), "damaged").unwrap();
    fs::write(out.join("root.cdx.json"), "{}").unwrap();
    let said = succeed(package(&out, &["--only", "root"]));
    assert!(
        said.starts_with("root ") && !said.contains("unchanged") && !said.contains("health"),
        "{said}"
    );
    assert_eq!(contents(&out), first);

    let error = fail(package(&out, &["--only", "rot"]), 1);
    let all = functions.into_iter().collect::<Vec<_>>().join(", ");
    assert_eq!(error, format!("error: there is no function `rot`; there are: {all}\n"));
    let mut other_commit = package(&out, &["--only", "root"]);
    other_commit.env("GIT_SHA", "fedcba98765");
    assert!(fail(other_commit, 1).contains("the other packages are of 1."));

    // Nothing in the environment that cargo heeds may change the bytes, or leave a trace of this machine in them.
    fs::remove_dir_all(&out).unwrap();
    let mut elsewhere = package(&out, &[]);
    elsewhere
        .current_dir("/")
        .env("RUSTFLAGS", "-Ctarget-cpu=native")
        .env("CARGO_BUILD_TARGET", "wasm32-unknown-unknown");
    elsewhere.env("CARGO_PROFILE_LAMBDA_OPT_LEVEL", "0").env("CARGO_INCREMENTAL", "1");
    succeed(elsewhere);
    assert_eq!(contents(&out), first);
}

fn described(files: &BTreeMap<String, Vec<u8>>) {
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!((&manifest["format_version"], &manifest["git_sha"]), (&1.into(), &SHA.into()));
    let packages = manifest["packages"].as_array().unwrap();
    let names = packages.iter().map(|package| package["name"].as_str().unwrap());
    assert!(names.eq(&functions()), "{packages:?}");
    for package in packages {
        let zip = &files[package["file"].as_str().unwrap()];
        assert_eq!(package["zip_bytes"], zip.len());
        assert!(zip.len() < 1_200_000, "a function has grown to {} bytes", zip.len());
    }
}

/// Each zip has its bill: the crates that are in it, and none that only helped to build, test or deploy it.
fn billed(files: &BTreeMap<String, Vec<u8>>) {
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    for package in manifest["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let bill: Value = serde_json::from_slice(&files[&format!("{name}.cdx.json")]).unwrap();
        assert_eq!(
            (&bill["bomFormat"], &bill["specVersion"]),
            (&"CycloneDX".into(), &"1.6".into())
        );
        let subject = &bill["metadata"]["component"];
        assert_eq!(
            (&subject["name"], &subject["hashes"][0]["content"]),
            (&name.into(), &package["sha256"])
        );
        assert!(bill["serialNumber"].is_null() && bill["metadata"]["timestamp"].is_null());

        let components = bill["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|c| c["name"].as_str().unwrap()).collect();
        for inside in ["lambda_http", "lambda_runtime", "serde", "serde_json", "tokio", "hyper"] {
            assert!(names.contains(&inside), "{inside} is not in {names:?}");
        }
        for outside in ["serde_derive", "tokio-macros", "syn", "proptest", "clap", "functions"] {
            assert!(!names.contains(&outside), "{outside} is in no binary");
        }
        for component in components {
            let (name, version) = (&component["name"], &component["version"]);
            let purl =
                format!("pkg:cargo/{}@{}", name.as_str().unwrap(), version.as_str().unwrap());
            assert_eq!(component["purl"], purl);
            assert_eq!(component["hashes"][0]["content"].as_str().unwrap().len(), 64, "{name}");
            assert!(component["licenses"][0]["expression"].is_string(), "{name}");
        }
    }
}

#[test]
fn another_checkout_gives_the_same_bytes() {
    let here = empty("here");
    succeed(package(&here, &[]));

    // Kept from run to run, and only changed where the sources have: then the second build is quick.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("another checkout");
    for part in [
        "Cargo.toml",
        "Cargo.lock",
        "checkout",
        "functions",
        "xtask/Cargo.toml",
        "xtask/src/main.rs",
        "deployer/Cargo.toml",
        "deployer/src",
        "deployer/infra/Cargo.toml",
        "deployer/infra/src",
    ] {
        mirror(&root.join(part), &copy.join(part));
    }
    let there = copy.join("packages");
    let _ = fs::remove_dir_all(&there);
    let mut command = package(&there, &[]);
    command
        .env("CARGO_MANIFEST_DIR", copy.join("xtask"))
        .env("CARGO_TARGET_DIR", copy.join("target"));
    succeed(command);

    assert!(contents(&here) == contents(&there), "the path of a checkout is in the packages");
}

fn mirror(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(to).into_iter().flatten() {
            let stale = entry.unwrap();
            if !from.join(stale.file_name()).exists() {
                let path = stale.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                    .unwrap();
            }
        }
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            mirror(&entry.path(), &to.join(entry.file_name()));
        }
    } else if fs::read(to).ok() != Some(fs::read(from).unwrap()) {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn a_mistyped_verb_is_a_usage_error_with_a_suggestion() {
    let error = fail(xtask(&["depoly"]), 64);
    assert!(error.contains("'deploy'"), "{error}");
    assert!(fail(xtask(&[]), 64).contains("Usage: cargo xtask"));
    assert!(fail(xtask(&["package", "--arch", "mips"]), 64).contains("x86_64, arm64"));
}

#[test]
fn a_wrong_commit_is_refused_before_anything_is_built() {
    let out = empty("never");
    let mut command = package(&out, &[]);
    let error = fail(
        {
            command.env("GIT_SHA", "main");
            command
        },
        1,
    );
    assert!(error.starts_with("error: reading GIT_SHA: `main` is not a commit"), "{error}");
    assert!(!out.exists());
}
