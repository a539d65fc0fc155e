//! The invariants of the architecture, held against the sources themselves.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use deployer::{APP, ENDPOINTS};
use infra::app::App;
use infra::cli::graph;
use infra::contract::Endpoint;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Sources below a directory by their path in it, without tests and comments.
fn sources(directory: &Path) -> Vec<(String, String)> {
    fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => collect(&path, files),
                false => files.push(path),
            }
        }
    }
    let mut files = vec![];
    collect(directory, &mut files);
    let source = |path: PathBuf| {
        let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().lines();
        let code = code.filter(|line| !line.trim_start().starts_with("//"));
        (name, code.collect::<Vec<_>>().join("\n"))
    };
    let sources = files.into_iter().map(source);
    let sources: Vec<_> = sources.filter(|(name, _)| !name.contains("tests")).collect();
    assert!(!sources.is_empty());
    sources
}

/// Who says one of these words and isn't allowed to.
#[track_caller]
fn only(allowed: &[&str], words: &[&str]) {
    for (name, code) in sources(&root().join("deployer/infra/src")) {
        let may = allowed.iter().any(|place| name.starts_with(place));
        let said = words.iter().find(|word| code.contains(*word));
        assert!(may || said.is_none(), "{name} says {:?}", said.unwrap());
    }
}

#[test]
fn only_resources_and_the_client_name_an_sdk() {
    only(&["resources/", "aws.rs", "aws/"], &["aws_sdk_", "aws_config"]);
}

#[test]
fn only_retry_sleeps() {
    only(&["retry.rs"], &["sleep("]);
}

#[test]
fn only_the_command_line_prints() {
    only(&["cli/"], &["println!", "print!(", "stdout()", "stderr()", "anstream", "indicatif"]);
}

#[test]
fn the_engine_has_never_heard_of_aws() {
    for (name, code) in sources(&root().join("deployer/infra/src/engine")) {
        let lower = code.to_lowercase();
        assert!(!lower.contains("aws"), "{name}");
        for outside in ["crate::resources", "crate::cli", "crate::retry", "crate::env"] {
            assert!(!code.contains(outside), "{name} uses {outside}");
        }
    }
}

/// The lower layers, which import nothing of the layers above them.
#[test]
fn the_client_knows_no_resource_and_no_run() {
    let lower = [
        "app.rs",
        "aws.rs",
        "aws/",
        "contract.rs",
        "engine/",
        "env.rs",
        "failure.rs",
        "http.rs",
        "http/",
        "ids.rs",
        "object.rs",
        "quota.rs",
        "release.rs",
        "retry.rs",
        "retry/",
    ];
    let above =
        ["cli", "constructs", "lease", "record", "resources", "rights", "run", "smoke", "widening"];
    for (name, code) in sources(&root().join("deployer/infra/src")) {
        if !lower.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        for module in above {
            let uses = code.contains(&format!("crate::{module}::"));
            assert!(!uses, "{name} uses crate::{module}");
        }
    }
}

/// The operations that calls name: `lambda:CreateFunction`.
fn operations() -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for (name, code) in sources(&root().join("deployer/infra/src")) {
        let code = code.split_whitespace().collect::<String>();
        // The client itself hands on what it is given, and asks STS.
        let calls = match name.as_str() {
            "aws.rs" => ["call(&pacer,&secrets,", "\0", "\0"],
            _ => [".call(", ".call_new(", ".call_last("],
        };
        for (at, call) in calls.iter().flat_map(|call| code.match_indices(call)) {
            let to_aws = ["cx", "aws"].iter().any(|client| code[..at].ends_with(client));
            if to_aws || name == "aws.rs" {
                let literal = code[at + call.len()..].strip_prefix('"');
                let operation = literal.and_then(|rest| rest.split('"').next());
                operations.insert(operation.unwrap().to_owned());
            }
        }
    }
    operations
}

#[test]
fn every_operation_that_is_called_is_in_the_table_of_rights_and_no_other() {
    let table = infra::rights::TABLE.iter().map(|operation| operation.name.to_owned());
    assert_eq!(operations(), table.collect::<BTreeSet<_>>());
}

/// The members of a struct of the SDK that this is built with.
fn sdk_members(package: &str, file: &str) -> BTreeSet<String> {
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform"])
        .args(["x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|one| one["name"] == package).unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let source = fs::read_to_string(manifest.parent().unwrap().join(file)).unwrap();
    let of_struct = source.split("pub struct ").nth(1).unwrap().split("\n}").next().unwrap();
    let member = |line: &str| {
        let (name, _) = line.trim().strip_prefix("pub ")?.split_once(':')?;
        Some(name.to_owned())
    };
    of_struct.lines().filter_map(member).collect()
}

/// Members of a function's configuration that no plan compares, with the reason.
const UNCOMPARED: &[(&str, &str)] = &[
    ("code_size", "follows from the code"),
    ("config_sha256", "follows from the configuration"),
    ("function_arn", "follows from the name"),
    ("function_name", "is what the function is found by"),
    ("last_update_status_reason_code", "says in a code what the reason says"),
    ("master_arn", "is set for replicas of Lambda@Edge alone, which Lambda makes"),
    ("package_type", "never changes; an image has no runtime, which is compared"),
    ("revision_id", "changes with everything"),
    ("runtime_version_config", "is Lambda's choice: it patches runtimes by itself"),
    ("signing_job_arn", "follows from the code"),
    ("signing_profile_version_arn", "follows from the code"),
    ("state_reason_code", "says in a code what the reason says"),
];

#[test]
fn each_member_of_a_functions_configuration_is_compared_or_has_a_reason() {
    let members = sdk_members("aws-sdk-lambda", "src/types/_function_configuration.rs");
    assert!(members.contains("layers") && members.len() > 30, "{members:?}");
    let reads = ["attached.rs", "config.rs", "function.rs", "grant.rs", "versions.rs"];
    let sources = sources(&root().join("deployer/infra/src/resources"));
    let code: String = sources
        .iter()
        .filter(|(name, _)| reads.contains(&name.as_str()))
        .flat_map(|(_, code)| code.split_whitespace())
        .collect();
    let compared = members.iter().filter(|member| code.contains(&format!(".{member}()")));
    let compared: BTreeSet<&str> = compared.map(String::as_str).collect();
    let uncompared: BTreeSet<&str> = UNCOMPARED.iter().map(|(member, _)| *member).collect();
    let decided: BTreeSet<&str> = compared.union(&uncompared).copied().collect();
    let members: BTreeSet<&str> = members.iter().map(String::as_str).collect();
    assert_eq!(decided, members, "decide about each: compare it (attached.rs), or say why not");
    let both: Vec<_> = compared.intersection(&uncompared).collect();
    assert!(both.is_empty(), "compared, and said not to be: {both:?}");
}

#[test]
fn the_stack_is_stated_without_io() {
    let constructs = sources(&root().join("deployer/infra/src/constructs"));
    assert!(constructs.iter().any(|(name, _)| name == "mod.rs"));
    for (name, code) in constructs {
        for word in ["async", "await", "std::fs", "std::env", "std::net", "tokio"] {
            assert!(!code.contains(word), "constructs/{name} says {word}");
        }
    }
}

#[test]
fn one_idea_a_file() {
    for (name, code) in sources(&root().join("deployer/infra/src")) {
        let lines = code.lines().count();
        assert!(lines <= 400, "{name} has {lines} lines");
    }
}

#[test]
fn every_endpoint_has_its_binary_and_every_binary_its_endpoint() {
    let declared: BTreeSet<String> =
        ENDPOINTS.iter().map(|endpoint| endpoint.function.to_owned()).collect();
    let files = fs::read_dir(root().join("functions/src/bin")).unwrap();
    let stem = |file: std::io::Result<fs::DirEntry>| {
        file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(files.map(stem).collect::<BTreeSet<_>>(), declared);
}

/// Of the endpoints that they show: one that is added later may be missing there.
#[test]
fn the_pictures_in_the_docs_are_the_graph() {
    for page in ["README.md", "docs/ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let picture = text.split("```mermaid\n").nth(1).and_then(|rest| rest.split("\n```").next());
        let picture = picture.unwrap_or_default();
        let is_shown = |endpoint: &Endpoint| {
            picture.contains(&format!("[\"function<br/>{}-dev-{}\"]", APP.name, endpoint.function))
        };
        let shown: Vec<_> = ENDPOINTS.iter().copied().filter(is_shown).collect();
        assert!(!shown.is_empty(), "{page}");
        assert_eq!(
            picture,
            {
                let app = App { endpoints: shown.leak(), ..APP };
                graph::mermaid(&graph::of_nowhere(&app, "dev"), &app)
            },
            "put what `cargo xtask graph` prints into the mermaid block of {page}"
        );
    }
}

/// Whoever reads the exit codes in a script must find the same everywhere.
#[test]
fn the_exit_codes_are_the_same_in_every_page() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_deployer")).arg("--help").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for page in ["README.md", "docs/ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for code in ["0 done", "1 failed", "2 differences", "3 partly done", "64 usage"] {
            assert!(help.contains(code) && text.contains(code), "{page}: {code}");
        }
    }
}
