//! The deployer's verbs: makes ready what the verb needs, then becomes the deployer.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::manifest::Manifest;
use crate::package::{self, Options};
use crate::target::Arch;
use crate::workspace::{packages, root};
use crate::{compile, local};

/// A verb of the deployer's.
pub struct Verb {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether it compares the packages with what is live, so that they must be fresh.
    packages: bool,
    /// Whether it speaks to a cloud.
    cloud: bool,
}

const fn verb(name: &'static str, about: &'static str, packages: bool, cloud: bool) -> Verb {
    Verb { name, about, packages, cloud }
}

/// In the order in which they are used. The deployer documents them; `cargo xtask VERB --help` is its help.
pub const VERBS: [Verb; 20] = [
    verb("plan", "Show what deploy would change", true, true),
    verb("diff", "The same as plan", true, true),
    verb("deploy", "Package, show the plan, and carry it out", true, true),
    verb("smoke-test", "Call every endpoint of a deployed stage", false, true),
    verb("rollback", "Put an earlier release back", false, true),
    verb("releases", "List the releases that can be gone back to", false, true),
    verb("verify", "Rebuild what is deployed, and compare", false, true),
    verb("status", "Show what is live", false, true),
    verb("logs", "Show what the functions and API Gateway logged", false, true),
    verb("invoke", "Call an endpoint with the key", false, true),
    verb("load", "Have many callers call at once", false, true),
    verb("open", "Print or open an endpoint's URL", false, true),
    verb("outputs", "Print the URL and the names of a deployed stage", false, true),
    verb("key", "Show the API key", false, true),
    verb("destroy", "Delete a stage and everything that belongs to it", false, true),
    verb("policy", "Print the least IAM policy that the deployer can work with", false, true),
    verb("ci-role", "Make or delete the role as which GitHub's jobs deploy", false, true),
    verb("doctor", "Say what a deploy would lack", false, false),
    verb("graph", "Draw the stack", false, false),
    verb("completions", "Print the deployer's shell completions", false, false),
];

/// The deployer's flags that may stand before its verb and have a value.
const VALUED: [&str; 6] = ["--stage", "--region", "--profile", "--packages", "--color", "--record"];

/// The verb, if `arguments` are for the deployer: they start with its verb, or with flags of its own before one.
pub fn verb_of(arguments: &[OsString]) -> Option<&'static Verb> {
    let mut arguments = arguments.iter();
    let first = loop {
        let argument = arguments.next()?.to_string_lossy();
        match &*argument {
            "-h" | "--help" => return None,
            flag if VALUED.contains(&flag) => drop(arguments.next()),
            flag if flag.starts_with('-') => {}
            _ => break argument,
        }
    };
    VERBS.iter().find(|verb| first == verb.name)
}

/// Prepares for `verb`, then replaces this process by the deployer: its streams, signals and exit code are the caller's.
///
/// # Errors
///
/// If there is no deployer to become; then nothing has been changed in any cloud.
pub fn become_deployer(verb: &Verb, arguments: &[OsString]) -> Result<Infallible> {
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let help = flag("--help") || flag("-h");
    let own_packages = flag("--packages")
        || arguments.iter().any(|a| a.as_encoded_bytes().starts_with(b"--packages="));

    let local = verb.cloud && flag("--local") && !help;
    // Who looks at it starts nothing.
    let only_look = verb.name == "doctor" && flag("--local") && !help;
    let options = (verb.packages && !help && !own_packages).then(|| options(local));

    let prepared = options.as_ref().map(package::prepare).transpose()?;

    // All three at once: on a new checkout each takes its minute, and none needs the others.
    let (deployer, packaged, endpoint) = thread::scope(|scope| {
        let packaging = scope.spawn(|| prepared.map(|prepared| package::package(prepared, false)));
        let starting = scope.spawn(|| match only_look {
            true => local::running().transpose(),
            false => local.then(local::ensure_up),
        });
        (compile::deployer(), packaging.join(), starting.join())
    });
    let ended = |_| anyhow!("preparing for {}: a thread of xtask panicked, see above", verb.name);
    packaged.map_err(ended)?.transpose()?;
    let endpoint = endpoint.map_err(ended)?.transpose()?;

    let mut command = Command::new(deployer?);
    // Its default is below the current directory, which stays the caller's, for the sake of files in `arguments`.
    if !own_packages && env::current_dir().ok() != Some(root()) {
        command.arg("--packages").arg(packages());
    }
    command.envs(endpoint.map(|endpoint| ("AWS_ENDPOINT_URL", endpoint)));

    let error = command.args(arguments).exec();
    Err(error).with_context(|| format!("running {}", OsStr::to_string_lossy(command.get_program())))
}

/// What to package: for the local cloud, what runs on this machine; else, what was packaged for arm64 stays arm64.
fn options(local: bool) -> Options {
    let manifest = || Manifest::read(&packages()).map(|manifest| manifest.arch);
    let arch = if local { Arch::host() } else { manifest() };
    Options { arch: arch.unwrap_or_default(), only: None, out: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<&'static str> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        verb_of(&arguments).map(|verb| verb.name)
    }

    #[test]
    fn the_deployers_verbs_are_found_behind_its_flags() {
        assert_eq!(found("deploy"), Some("deploy"));
        assert_eq!(found("deploy --help"), Some("deploy"));
        assert_eq!(found("--local plan"), Some("plan"));
        assert_eq!(found("--stage status deploy"), Some("deploy"));
        assert_eq!(found("--stage=status deploy"), Some("deploy"));
        assert_eq!(found("--stage prod -v outputs --json"), Some("outputs"));
    }

    #[test]
    fn our_own_verbs_and_mistakes_are_not_the_deployers() {
        for line in [
            "",
            "--help",
            "-h deploy",
            "local status",
            "package --only plan",
            "help deploy",
            "depoly",
            "--local",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
