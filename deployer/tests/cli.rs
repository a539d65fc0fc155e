//! What the program says on the command line, as long as no AWS is needed for it: help, usage, and
//! every error that comes before anything could be changed. Read the snapshots as its users would.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::CommandFactory;
use deployer::ENDPOINTS;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Credentials that nobody knows, and a region.
const SOMEBODY: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_REGION", "ap-southeast-2"),
];

/// The program in an empty home, with nothing in its environment but what a test puts there.
struct Shell {
    home: TempDir,
    env: Vec<(String, String)>,
}

impl Shell {
    fn new(env: &[(&str, &str)]) -> Self {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let env = env.iter().map(own).collect();
        Self { home: tempfile::tempdir().unwrap(), env }
    }

    /// In a directory with packages below it, as `cargo xtask package` leaves them.
    fn with_packages(env: &[(&str, &str)]) -> Self {
        let shell = Self::new(env);
        write_packages(&shell.home.path().join("target/lambda"));
        shell
    }

    fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployer"));
        command
            .args(line.split_whitespace())
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", self.home.path())
            // Nobody asks the network for credentials.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// All that a user sees, and the exit code.
    fn run(&self, line: &str) -> String {
        let Output { status, stdout, stderr } = self.output(line);
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        let mut seen = format!("$ deployer {line}").trim_end().to_owned() + "\n";
        for (stream, text) in [("stdout", &out), ("stderr", &err)] {
            if !text.is_empty() {
                seen += &format!("--- {stream}\n{}\n", text.trim_end());
            }
        }
        seen + &format!("--- exit {}\n", status.code().unwrap())
    }

    fn runs(&self, lines: &[&str]) -> String {
        lines.iter().map(|line| self.run(line)).collect::<Vec<_>>().join("\n")
    }
}

fn write_packages(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    let package = |name: &str| {
        let zip = format!("PK {name}");
        let hash = Sha256::digest(&zip);
        fs::write(directory.join(format!("{name}.zip")), zip).unwrap();
        json!({
            "name": name,
            "file": format!("{name}.zip"),
            "sha256": format!("{hash:x}"),
            "code_sha256": STANDARD.encode(hash),
        })
    };
    let functions: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.function).collect();
    let packages: Vec<_> = functions.into_iter().map(package).collect();
    let manifest = json!({
        "format_version": 1, "version": "1.0.0", "git_sha": "abc57858585", "arch": "x86_64",
        "packages": packages,
    });
    fs::write(directory.join("manifest.json"), manifest.to_string()).unwrap();
}

/// Compares with a snapshot in which what differs from run to run is masked.
macro_rules! assert_seen {
    ($seen:expr) => {
        insta::with_settings!({ filters => [
            (r"deployer \d+\.\d+\.\d+", "deployer VERSION"),
            (r"\(os error \d+\)", "(os error N)"),
        ], omit_expression => true }, { insta::assert_snapshot!($seen) });
    };
}

#[test]
fn help() {
    assert_seen!(Shell::new(&[]).runs(&["--help", "--version"]));
}

#[test]
fn help_of_every_verb() {
    let verbs = [
        "plan",
        "deploy",
        "destroy",
        "smoke-test",
        "verify",
        "status",
        "logs",
        "invoke",
        "load",
        "open",
        "outputs",
        "key",
        "key show",
        "policy",
        "ci-role",
        "doctor",
        "key rotate",
        "key list",
        "key revoke",
        "graph",
        "completions",
    ];
    let seen = verbs.map(|verb| Shell::new(&[]).run(&format!("{verb} --help")));
    let listed = Shell::new(&[]).run("-h");
    assert!(verbs.iter().all(|verb| listed.contains(verb.split(' ').next().unwrap())), "{listed}");
    assert_seen!(seen.join("\n"));
}

/// Clap wraps longer lines, which breaks the columns of the examples.
#[test]
fn help_has_no_line_longer_than_100_columns() {
    fn check(command: &mut clap::Command) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let shown = command.render_long_help().to_string();
        for line in examples.lines().chain(shown.lines()) {
            assert!(line.chars().count() <= 100, "{}: {line}", command.get_name());
        }
        command.get_subcommands_mut().for_each(check);
    }
    let mut command = infra::cli::Cli::command();
    command.build(); // so that the global options are in every verb's help
    check(&mut command);
}

#[test]
fn a_policy_without_credentials_leaves_account_and_region_open() {
    let shell = Shell::new(&[]);
    let output = shell.output("policy --mode read --stage prod");
    assert_eq!(output.status.code(), Some(0));
    let policy: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let bucket = "arn:aws:s3:::ops-api-prod-ACCOUNT-REGION";
    assert_eq!(policy["data"]["Statement"][0]["Resource"], json!([bucket]));
    assert!(String::from_utf8(output.stderr).unwrap().contains("in the place of ACCOUNT"));
    assert_eq!(shell.output("policy --stage Prod").status.code(), Some(6));
}

#[test]
fn usage_errors_exit_with_64_and_suggest() {
    assert_seen!(Shell::new(&[]).runs(&[
        "",
        "plan --detailed-exit-code",
        "deploy --stge prod",
        "dploy",
        "plan --stage",
        "plan --color sometimes",
        "plan --quiet --verbose",
        "smoke-test --timeout soon",
        "completions cmd",
        "destroy plan.json",
        "deploy --canary 10%",
        "deploy --canary 100% --bake 5m",
        "deploy --canary 10% --bake 5w",
        "rollback --to the-last-one",
        "load --clients 0",
        "load --seconds 1h",
        "deploy --wait abc",
        "deploy --smoke-timeout 0",
        "key rotate --timeout 86401",
        "key rotate --grace 5x",
        "key rotate --grace 30",
        "key rotate --grace 91d",
        "logs --since abc",
        "logs --since 2d",
    ]));
}

/// Each of them gets to the packages, which aren't there.
#[test]
fn flags_stand_before_or_after_the_verb() {
    let shell = Shell::new(&[]);
    let before = shell.run("--stage prod --packages elsewhere plan");
    for line in [
        "plan --stage prod --packages elsewhere",
        "--stage prod plan --packages elsewhere",
        "--packages=elsewhere diff --stage=prod",
    ] {
        let after = shell.run(line);
        assert_eq!(before.split_once('\n').unwrap().1, after.split_once('\n').unwrap().1, "{line}");
    }
    assert!(before.contains("there is no elsewhere/manifest.json"), "{before}");
    // Said twice, the last counts.
    let both = shell.run("--stage dev graph --stage prod");
    assert!(both.contains("ops-api-prod") && !both.contains("ops-api-dev"), "{both}");
    // A flag counts more than the environment.
    let shell = Shell::new(&[("STAGE", "test")]);
    assert!(shell.run("graph").contains("ops-api-test"));
    assert!(shell.run("graph --stage prod").contains("ops-api-prod"));
}

#[test]
fn packages_that_cannot_be_deployed_are_refused() {
    let shell = Shell::with_packages(&SOMEBODY);
    let mut seen = shell.run("plan --packages nowhere");
    let directory = shell.home.path().join("target/lambda");
    let mut then = |file: &str, content: &[u8]| {
        write_packages(&directory);
        fs::write(directory.join(file), content).unwrap();
        seen += &format!("\n{}", shell.run("plan"));
    };
    let manifest = fs::read_to_string(directory.join("manifest.json")).unwrap();
    then("root.zip", b"PK corrupt");
    then("health.zip", b"no zip at all");
    then("metadata.zip", &fs::read(directory.join("root.zip")).unwrap());
    then("manifest.json", b"{");
    then("manifest.json", manifest.replace("health", "other").as_bytes());
    then(
        "manifest.json",
        manifest.replace("\"format_version\":1", "\"format_version\":2").as_bytes(),
    );
    write_packages(&directory);
    fs::remove_file(directory.join("root.zip")).unwrap();
    seen += &format!("\n{}", shell.run("deploy --yes"));
    assert_seen!(seen);
}

/// Only a reader who goes away is forgiven.
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let shell = Shell::new(&[]);
    for line in ["graph", "completions bash", "--help", "plan --help"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let Output { status, stderr, .. } = shell.command(line).stdout(full).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("error: the result could not be written"), "{line}: {said}");
        assert!(said.contains("next: "), "{line}: {said}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let Output { status, stderr, .. } = shell.command(line).stdout(writer).output().unwrap();
        assert_eq!((status.code(), stderr.len()), (Some(0), 0), "{line}");
    }
}

#[test]
fn no_region_is_told() {
    let credentials = &SOMEBODY[..2];
    assert_seen!(Shell::with_packages(credentials).runs(&["plan", "status", "destroy --yes"]));
}

#[test]
fn no_credentials_is_told() {
    let shell = Shell::with_packages(&[("AWS_REGION", "ap-southeast-2")]);
    assert_seen!(shell.runs(&["plan", "--profile nobody plan"]));
}

#[test]
fn stage_names_that_aws_would_refuse_are_refused() {
    let sts = aws_that_answers(200, IDENTITY);
    let shell = Shell::with_packages(&[&SOMEBODY[..], &[("AWS_ENDPOINT_URL", &sts)]].concat());
    assert_seen!(shell.runs(&[
        "plan --stage Dev",
        "plan --stage 1st",
        "plan --stage dev-",
        "plan --stage a-stage-with-a-name-that-is-far-too-long",
        "destroy --yes --stage under_score",
    ]));
}

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

#[test]
fn credentials_that_aws_does_not_take_are_told() {
    let refusals = [
        (403, "ExpiredToken", "The security token included in the request is expired"),
        (403, "InvalidClientTokenId", "The security token included in the request is invalid."),
        (403, "SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2"),
        (403, "AccessDenied", "User: arn:aws:iam::123456789012:user/u is not authorized"),
    ];
    let seen = refusals.map(|(status, code, message)| {
        let sts = aws_that_answers(
            status,
            &format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error></ErrorResponse>"
            ),
        );
        Shell::with_packages(&[&SOMEBODY[..], &[("AWS_ENDPOINT_URL", &sts)]].concat()).run("plan")
    });
    assert_seen!(seen.join("\n"));
}

/// Keys in the environment are somebody else's, perhaps of another account.
#[test]
fn a_profile_counts_more_than_the_environment() {
    let (sender, asked) = std::sync::mpsc::channel();
    let sts = aws_that_tells(sender, 200, IDENTITY);
    let shell = Shell::with_packages(&[&SOMEBODY[..], &[("AWS_ENDPOINT_URL", &sts)]].concat());
    fs::create_dir(shell.home.path().join(".aws")).unwrap();
    fs::write(
        shell.home.path().join(".aws/config"),
        "[profile theirs]\naws_access_key_id = AKIAOFTHEPROFILE\naws_secret_access_key = x\n",
    )
    .unwrap();
    let key = || {
        // A run that fails earlier asks nothing.
        let head: String = asked.recv_timeout(Duration::from_secs(30)).unwrap();
        let (_, credential) = head.split_once("credential=").unwrap();
        credential.split('/').next().unwrap().to_owned()
    };
    shell.run("plan --stage Dev");
    assert_eq!(key(), "akiaiosfodnn7example");
    shell.run("plan --stage Dev --profile theirs");
    assert_eq!(key(), "akiaoftheprofile");
    assert_seen!(shell.run("plan --stage Dev --profile nobodys"));
}

fn aws_that_answers(status: u16, body: &str) -> String {
    aws_that_tells(std::sync::mpsc::channel().0, status, body)
}

/// Answers every request the same, and tells its head in lower case; gives its URL.
fn aws_that_tells(asked: std::sync::mpsc::Sender<String>, status: u16, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\
         x-amzn-requestid: a-request-id\r\nconnection: close\r\n\r\n{body}"
    );
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = BufReader::new(client.unwrap());
            let mut head = String::new();
            while client.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            let _ = asked.send(head); // if anybody listens
            client.read_exact(&mut vec![0; length]).unwrap();
            client.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn an_endpoint_that_does_not_answer_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let shell = Shell::with_packages(&[&SOMEBODY[..], &[("AWS_ENDPOINT_URL", &nowhere)]].concat());
    let lines = ["plan", "deploy --yes --local", "key show --local", "destroy --yes"];
    // Side by side: each is patient for a while.
    let seen = std::thread::scope(|scope| {
        let runs = lines.map(|line| scope.spawn(|| shell.run(line)));
        runs.map(|run| run.join().unwrap()).join("\n")
    });
    assert_seen!(seen);
}

/// A directory with programs that print a line each.
fn programs(directory: &Path, programs: &[(&str, &str)]) -> String {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(directory).unwrap();
    for (name, line) in programs {
        let file = directory.join(name);
        fs::write(&file, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory.to_str().unwrap().to_owned()
}

/// What the doctor says where there are these programs and no others, and nothing answers.
fn diagnosis(line: &str, tools: &[(&str, &str)], packages: bool) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut shell = Shell::new(&[
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_REGION", "ap-southeast-2"),
        ("SSL_CERT_FILE", "/nonexistent"),
    ]);
    let path = programs(&shell.home.path().join("bin"), tools);
    shell.env.push(("PATH".to_owned(), path));
    if packages {
        write_packages(&shell.home.path().join("target/lambda"));
        fs::write(shell.home.path().join("target/lambda/root.zip"), "PK corrupt").unwrap();
    }
    shell.run(line).replace(&endpoint, "http://NOWHERE")
}

#[test]
fn the_doctor_of_a_machine_with_nothing_names_every_remedy() {
    assert_seen!(diagnosis("doctor", &[], false));
}

#[test]
fn the_doctor_sees_what_is_old_or_broken() {
    let tools = [
        ("rustc", "echo rustc 1.50.0 || exit 1"),
        ("cargo", "echo cargo 1.50.0"),
        ("git", "echo fatal: not a git repository >&2; exit 128"),
        ("python3", "echo Python 3.9.1"),
        ("python3.12", "echo Python 3.12.1; exit 1"),
    ];
    assert_seen!(diagnosis("doctor --local", &tools, true));
}

#[test]
fn completions_know_the_verbs_in_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let Output { status, stdout, .. } = Shell::new(&[]).output(&format!("completions {shell}"));
        let script = String::from_utf8(stdout).unwrap();
        assert!(status.success() && script.contains("smoke-test"), "{shell}: {script}");
        assert!(script.contains("detailed-exitcode"), "{shell}: {script}");
    }
}

#[test]
fn the_graph_needs_no_aws_and_is_mermaid() {
    let Output { status, stdout, stderr } = Shell::new(&[]).output("graph --stage prod");
    assert!(status.success() && stderr.is_empty());
    let text = String::from_utf8(stdout).unwrap();
    assert!(text.starts_with("flowchart LR\n"), "{text}");
    for node in ["rest api<br/>ops-api-prod\"", "usage plan<br/>ops-api-prod\"", " --> "] {
        assert!(text.contains(node), "{node} is not in {text}");
    }
}

#[test]
fn colours_are_for_those_who_want_them() {
    let coloured = |env: &[(&str, &str)], line| {
        let Output { stdout, stderr, .. } = Shell::new(env).output(line);
        [stdout, stderr].concat().contains(&0x1b)
    };
    assert!(!coloured(&[], "plan"), "not into a pipe");
    assert!(!coloured(&[("NO_COLOR", "1")], "plan"));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1")], "plan --color never"));
    assert!(coloured(&[], "plan --color always"));
    assert!(coloured(&[("NO_COLOR", "1")], "plan --color always"), "a flag counts more");
    assert!(!coloured(&[], "--help") && !coloured(&[], "dploy"));
}

#[test]
fn policies_are_written_to_files_as_they_are_printed() {
    let shell = Shell::new(&[]);
    let printed = shell.output("policy --mode read --quiet").stdout;
    let printed: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    let written = shell.output("policy --mode read --out policies --quiet").stdout;
    let files: Vec<_> = std::str::from_utf8(&written).unwrap().lines().collect();
    let names: Vec<_> = printed.as_object().unwrap().keys().collect();
    let wanted: Vec<_> = names.iter().map(|name| format!("policies/{name}.json")).collect();
    assert!(files.len() > 2 && files == wanted, "{files:?} for {names:?}");
    for (file, name) in files.iter().zip(names) {
        let text = fs::read_to_string(shell.home.path().join(file)).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document, printed[name]);
    }
}

#[test]
fn paths_of_policies_are_printed_as_json() {
    let written = Shell::new(&[]).output("policy --mode all --out policies --json --quiet");
    let paths: serde_json::Value = serde_json::from_slice(&written.stdout).unwrap();
    let wanted = ["api", "data", "iam"].map(|name| (name, format!("policies/{name}.json")));
    assert_eq!(paths, json!(std::collections::BTreeMap::from(wanted)));
}

/// Modes and stages share the names of files.
#[test]
fn policies_never_replace_files_with_other_content() {
    let shell = Shell::new(&[]);
    let out = |line: &str| shell.output(&format!("policy --out policies {line}"));
    let read = |name: &str| fs::read_to_string(shell.home.path().join("policies").join(name));
    assert_eq!(out("--mode read").status.code(), Some(0));
    assert_eq!(out("--mode read").status.code(), Some(0), "the same content is no conflict");
    let before = read("iam.json").unwrap();
    fs::remove_file(shell.home.path().join("policies/api.json")).unwrap();
    for line in ["--mode all", "--mode read --stage prod"] {
        let Output { status, stdout, stderr } = out(line);
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.len()), (Some(6), 0), "{said}");
        assert!(said.contains("policies/data.json: the file exists already"), "{said}");
        assert!(said.contains("next: choose another directory"), "{said}");
        assert!(read("api.json").is_err(), "written before all files were checked");
        assert_eq!(read("iam.json").unwrap(), before);
    }
}

#[test]
fn recording_is_never_written_over_what_is_there() {
    let shell = Shell::new(&[]);
    let home = shell.home.path();
    fs::write(home.join("mine.jsonl"), "mine").unwrap();
    std::os::unix::fs::symlink("elsewhere", home.join("link.jsonl")).unwrap();
    for (file, why) in [
        ("mine.jsonl", "the file exists already"),
        ("link.jsonl", "the file exists already"),
        ("no/such/file.jsonl", "the directory no/such doesn't exist"),
        ("mine.jsonl/file.jsonl", "Not a directory"),
    ] {
        let output = shell.output(&format!("graph --record {file}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(6), 0), "{said}");
        assert!(said.contains(&format!("error: creating the recording {file}: {why}\n")), "{said}");
        assert!(said.contains("next: choose a FILE"), "{said}");
    }
    assert_eq!(fs::read_to_string(home.join("mine.jsonl")).unwrap(), "mine");
    assert!(!home.join("elsewhere").exists());
    let output = shell.output("graph --record new.jsonl");
    assert_eq!(output.status.code(), Some(0));
    let header: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(home.join("new.jsonl")).unwrap()).unwrap();
    assert_eq!((&header["format_version"], &header["verb"]), (&json!(1), &json!("graph")));
}
