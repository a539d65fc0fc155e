//! Packages to deploy: those of this checkout, and what the next commit would make of them.

use crate::local::packages;
use base64::{Engine, engine::general_purpose::STANDARD};
use deployer::ENDPOINTS;
use infra::release::Release;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// A function in a language that needs no compiling. The local cloud runs it as a process.
const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import os, sys, urllib.request
proof, use = PROOF, USE
if proof is None:
    sys.exit("it cannot start")
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as event:
        request = event.headers["Lambda-Runtime-Aws-Request-Id"]
        answer = proof if b'"proof"' in event.read() else use
    print("this is the broken one", flush=True)
    urllib.request.urlopen(urllib.request.Request(api + request + "/response", answer.encode()))
"#;

pub struct Packages {
    directory: TempDir,
    /// How often code was changed.
    builds: AtomicU32,
}

impl Packages {
    pub fn of_this_checkout() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in fs::read_dir(packages()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
        }
        Self { directory, builds: AtomicU32::new(1) }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn release(&self) -> Release {
        Release::load(self.path(), ENDPOINTS.iter().map(|endpoint| endpoint.function)).unwrap()
    }

    pub fn commit(&self) -> String {
        self.release().git_sha
    }

    /// The same packages, of another commit.
    pub fn change_commit(&self, git_sha: &str) {
        self.edit_manifest(|manifest| manifest["git_sha"] = json!(git_sha));
    }

    /// Other code for one function: its zip gets another comment, and so another hash.
    pub fn change_code(&self, function: &str) {
        let path = self.path().join(format!("{function}.zip"));
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut zip = zip::ZipWriter::new_append(file).unwrap();
        zip.set_comment(format!("build {}", self.builds.fetch_add(1, Ordering::SeqCst))).unwrap();
        zip.finish().unwrap();
        self.describe(function);
    }

    /// One function's code under other names, and nothing else.
    pub fn copies<'a>(&self, function: &str, names: impl Iterator<Item = &'a str>) {
        self.edit_manifest(|manifest| {
            let packages = manifest["packages"].as_array().unwrap();
            let is = |package: &&Value| package["name"] == function;
            let package = packages.iter().find(is).unwrap().clone();
            let copy = |name: &str| {
                let mut copy = package.clone();
                copy["name"] = json!(name);
                copy
            };
            manifest["packages"] = names.map(copy).collect();
        });
    }

    /// Code for one function that answers each request with this; or, without an answer, that ends
    /// before it takes a request.
    pub fn put_code(&self, function: &str, answer: Option<&Value>) {
        self.put_two_faced_code(function, answer, answer);
    }

    /// The same, with another answer for callers than for the deployer's proof.
    pub fn put_two_faced_code(&self, function: &str, proof: Option<&Value>, used: Option<&Value>) {
        let python = |answer: Option<&Value>| {
            answer.map_or("None".to_owned(), |answer| format!("{:?}", answer.to_string()))
        };
        let script = BOOTSTRAP.replace("PROOF", &python(proof)).replace("USE", &python(used));
        let path = self.path().join(format!("{function}.zip"));
        let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
        let executable = SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file("bootstrap", executable).unwrap();
        zip.write_all(script.as_bytes()).unwrap();
        zip.finish().unwrap();
        self.describe(function);
    }

    fn describe(&self, function: &str) {
        let path = self.path().join(format!("{function}.zip"));
        let hash = Sha256::digest(fs::read(path).unwrap());
        self.edit_manifest(|manifest| {
            let mut packages = manifest["packages"].as_array_mut().unwrap().iter_mut();
            let package = packages.find(|package| package["name"] == function).unwrap();
            package["sha256"] = json!(format!("{hash:x}"));
            package["code_sha256"] = json!(STANDARD.encode(hash));
        });
    }

    fn edit_manifest(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.path().join("manifest.json");
        let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut manifest);
        fs::write(path, manifest.to_string()).unwrap();
    }
}
