//! An AWS account for one test, and the deployer at work in it.

use crate::inventory::inventory;
use crate::local::{self, cloud_of};
use crate::packages::Packages;
use crate::wire::Wire;
use crate::world::World;
use crate::world::fault::aws_like;
use deployer::{APP, ENDPOINTS};
use infra::aws::{Access, Aws, Local};
use infra::contract::Endpoint;
use infra::engine::Plan;
use infra::http;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub const REGION: &str = "ap-southeast-2";

/// A role with this may be a function's.
pub const TRUST: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
    "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}"#;

pub struct Account {
    /// Twelve digits, which the local cloud takes as an access key of that account.
    pub id: String,
    pub packages: Packages,
    /// Where the runs of this account happen when `CLOUD_LIKE=aws`: in this process, in a world with
    /// all that AWS does all the time.
    world: Option<World>,
}

/// How many resources a stage has, and how many the receipt of its destruction names: so many whatever is served, and so
/// many for each function.
pub const RESOURCES: usize = 13 + 7 * ENDPOINTS.len();
pub const DELETED: usize = 11 + 5 * ENDPOINTS.len();
pub const ALARMS: usize = 2 + 2 * ENDPOINTS.len();

/// The stack's endpoints and one more.
pub fn with_endpoint(more: Endpoint) -> &'static [Endpoint] {
    let endpoints: Vec<_> = ENDPOINTS.iter().copied().chain([more]).collect();
    endpoints.leak()
}

/// What the smoke test says when all is well.
pub fn all_passed() -> String {
    passed_but(0)
}

/// What it says when so many checks failed.
pub fn passed_but(failed: usize) -> String {
    let checks = 1 + 3 * ENDPOINTS.len();
    format!("{} of {checks} passed", checks - failed)
}

/// What a run of the deployer said, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Account {
    pub fn new() -> Self {
        Self::of_prefix("00")
    }

    /// One that AWS has just made: ten calls of functions run at once in it.
    pub fn new_to_aws() -> Self {
        Self::of_prefix("10")
    }

    fn of_prefix(prefix: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = format!("{prefix}{:010}", 700_000 + NEXT.fetch_add(1, Ordering::SeqCst));
        let mut account = Self { id, packages: Packages::of_this_checkout(), world: None };
        account.world = std::env::var("CLOUD_LIKE")
            .is_ok_and(|like| like == "aws")
            .then(|| aws_like(World::of(&account)));
        account
    }

    /// An account in which the stage `dev` is deployed.
    pub fn deployed() -> Self {
        let account = Self::new();
        account.run("deploy --yes").ends(0);
        account
    }

    /// The local cloud in which it is.
    pub fn cloud(&self) -> &'static local::Local {
        cloud_of(&self.id)
    }

    pub fn command(&self, endpoint: &str, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
        command
            .args(line.split_whitespace())
            .arg("--packages")
            .arg(self.packages.path())
            .current_dir(self.packages.path())
            .env_clear()
            .envs([
                ("AWS_ENDPOINT_URL", endpoint),
                ("AWS_ACCESS_KEY_ID", &self.id),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", REGION),
            ])
            .stdin(Stdio::null());
        command
    }

    /// Runs the built program with these arguments.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ran {
        if let Some(world) = &self.world {
            return world.run(self, line);
        }
        Ran::of(&mut self.command(&self.cloud().endpoint, line))
    }

    /// The same, with a witness.
    pub fn run_heard(&self, line: &str) -> (Ran, Wire) {
        let wire = Wire::to(&self.cloud().endpoint);
        if let Some(world) = &self.world {
            return (world.by_way_of(&wire.endpoint, || world.run(self, line)), wire);
        }
        (Ran::of(&mut self.command(&wire.endpoint, line)), wire)
    }

    /// For changes by hand, and for stacks other than the program's own.
    pub async fn aws(&self) -> Aws {
        self.aws_of("dev").await
    }

    pub async fn aws_of(&self, stage: &str) -> Aws {
        let (endpoint, access_key) = (self.cloud().endpoint.clone(), self.id.clone());
        let local = Some(Local { endpoint, access_key, secret_key: "test".to_owned() });
        let region = Some(REGION.to_owned());
        Aws::connect(&Access { local, region, ..Access::default() }, &APP, stage).await.unwrap()
    }

    /// Everything in the account, whoever made it; without ids, to be compared with others.
    pub async fn inventory(&self) -> Vec<String> {
        inventory(&self.aws().await).await
    }

    /// What `plan` says differs: kind, name and path of each property that is there and isn't as
    /// wanted; kind, name and action of everything else that is to be done.
    #[track_caller]
    pub fn drift(&self) -> Vec<String> {
        let (ran, wire) = self.run_heard("plan --json --detailed-exitcode");
        wire.assert_no_writes();
        let plan: Plan = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        ran.ends(if plan.is_empty() { 0 } else { 2 });
        let mut drift = vec![];
        for step in &plan.steps {
            let action = format!("{:?}", step.action).to_lowercase();
            match action.as_str() {
                "keep" => {}
                "update" => drift.extend(
                    step.changes.iter().map(|change| format!("{}: {}", step.title(), change.path)),
                ),
                _ => drift.push(format!("{}: {action}", step.title())),
            }
        }
        drift
    }

    #[track_caller]
    pub fn assert_as_wanted(&self) {
        assert_eq!(self.drift(), Vec::<String>::new());
        self.run("smoke-test").ends(0);
    }

    /// Changes the record of the first release, as anybody could who may write the bucket.
    pub async fn edit_record(&self, edit: impl FnOnce(&mut Value)) {
        let aws = self.aws().await;
        let (bucket, key) = (aws.env.bucket(), "releases/00000001.json");
        let object = aws.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
        let text = object.body.collect().await.unwrap().into_bytes();
        let mut record = serde_json::from_slice(&text).unwrap();
        edit(&mut record);
        let body = record.to_string().into_bytes().into();
        aws.s3.put_object().bucket(&bucket).key(key).body(body).send().await.unwrap();
    }

    pub fn outputs(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.run("outputs --json").ends(0).json()).unwrap()
    }

    /// What a path of the deployed API answers to a caller with the key.
    pub async fn get(&self, path: &str) -> u16 {
        self.get_with(self.run("key show").ends(0).out.trim(), path).await
    }

    /// What it answers to a caller with this key.
    pub async fn get_with(&self, key: &str, path: &str) -> u16 {
        let url = format!("{}{path}", self.outputs()["url"]);
        http::get(&http::connector(), &url, &[("x-api-key", key)]).await.unwrap().status
    }
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// On either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.out.contains(text) || self.err.contains(text),
            "{text:?} is not in:\n{}\n{}",
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}
