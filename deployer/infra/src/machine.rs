//! What this machine has of what building, packaging and the local cloud need.

use crate::finding::Finding;
use crate::http;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use checkout::{Absent, Checkout};
use serde::Deserialize;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::task::spawn_blocking;

/// The oldest Rust that the workspace is built with, as `Cargo.toml` states it.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The oldest Python that the local cloud runs on.
const OLDEST_PYTHON: &str = "3.10";

/// As `cargo xtask local up` looks for it.
const PYTHONS: [&str; 6] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];

/// Architectures of Lambda, and the targets whose programs are static there.
const STATIC: [(&str, &str); 2] =
    [("x86_64", "x86_64-unknown-linux-musl"), ("arm64", "aarch64-unknown-linux-musl")];

/// Whether Rust is there, and new enough; and a linker for what runs on this machine.
pub async fn toolchain() -> Finding {
    let (rustc, cargo) = tokio::join!(ask("rustc", &["--version"]), ask("cargo", &["--version"]));
    let version = |said: &Option<Said>| said.as_ref().and_then(Said::second_word);
    let (Some(rustc), Some(cargo)) = (version(&rustc), version(&cargo)) else {
        return Finding::failed(
            "rustc or cargo isn't on PATH, or doesn't run",
            "install Rust: https://rustup.rs",
        );
    };
    if !is_new_enough(&rustc, OLDEST_RUST) {
        let found = format!("rustc {rustc} is too old: {OLDEST_RUST} is needed");
        return Finding::failed(found, "rustup update stable");
    }
    if ask("cc", &["--version"]).await.is_none() {
        let next = "install a C compiler (Debian, Ubuntu: sudo apt install gcc libc6-dev)";
        return Finding::failed(format!("rustc {rustc}, but no linker: cc doesn't run"), next);
    }
    Finding::ok(format!("rustc {rustc}, cargo {cargo} ({OLDEST_RUST} or newer is needed)"))
}

/// Whether Rust can build what runs on Lambda.
pub async fn targets() -> Finding {
    let said = ask("rustc", &["--print", "host-tuple", "--print", "sysroot"]).await;
    let text = said.filter(|said| said.good).map(|said| said.text).unwrap_or_default();
    let [host, sysroot] = text.lines().collect::<Vec<_>>()[..] else {
        return Finding::skipped("rustc doesn't tell: see toolchain");
    };
    let installed =
        |triple: &str| Path::new(sysroot).join("lib/rustlib").join(triple).join("lib").is_dir();
    judge_targets(host, installed)
}

fn judge_targets(host: &str, installed: impl Fn(&str) -> bool) -> Finding {
    let found = STATIC.iter().filter(|(_, triple)| installed(triple));
    let found: Vec<_> = found.map(|(arch, triple)| format!("{arch} ({triple})")).collect();
    if !found.is_empty() {
        return Finding::ok(format!("static for {}", found.join(" and ")));
    }
    let next = format!("rustup target add {}", STATIC[0].1);
    match host.ends_with("-linux-gnu") {
        true => Finding::warning(
            "no musl: packages have this machine's glibc, and start later; functions that look up host \
             names (HTTP clients, AWS SDKs, databases) need it as a shared library, which may be newer \
             than Lambda's",
            next,
        ),
        false => Finding::failed(format!("none that runs on Lambda; this is {host}"), next),
    }
}

/// Whether there is a Python that can hold the local cloud.
pub async fn python() -> Finding {
    const QUESTION: &str = "import sys; print('Python', '.'.join(map(str, sys.version_info[:3])), \
                            flush=True); import ensurepip, venv";
    let (mut old, mut bare) = (None, None);
    for program in PYTHONS {
        let Some(said) = ask(program, &["-I", "-c", QUESTION]).await else { continue };
        let Some(version) = said.second_word() else { continue };
        match (is_new_enough(&version, OLDEST_PYTHON), said.good) {
            (true, true) => return Finding::ok(format!("{program} {version}, with venv")),
            (true, false) => bare = bare.or(Some((program, version))),
            (false, _) => old = old.or(Some((program, version))),
        }
    }
    if let Some((program, version)) = bare {
        let next = "sudo apt install python3-venv (Debian, Ubuntu)";
        return Finding::failed(format!("{program} {version} has no venv"), next);
    }
    let found = match old {
        Some((program, version)) => format!("{program} {version} is too old"),
        None => "there is no python3 on PATH".to_owned(),
    };
    let next = format!("install Python {OLDEST_PYTHON} or newer, with venv; only --local needs it");
    Finding::failed(found, next)
}

/// Whether the current directory is in a checkout of the sources, with a commit to package.
pub async fn checkout() -> Finding {
    let look = || {
        let checkout = Checkout::here()?;
        let commit = checkout.commit();
        Ok::<_, Absent>((checkout.root.join("deployer/src/stack.rs").is_file(), commit))
    };
    let elsewhere = "cd to the checkout: only there can packages be made";
    match spawn_blocking(look).await {
        Ok(Ok((true, Ok(commit)))) => Finding::ok(format!("commit {commit}")),
        Ok(Ok((true, Err(_)))) => Finding::failed(
            "nothing is committed yet: a package is named after its commit",
            "git commit",
        ),
        Ok(Ok((false, _))) => Finding::warning("this is a checkout of something else", elsewhere),
        Ok(Err(absent @ Absent::Git(_))) => Finding::failed(absent.to_string(), "install git"),
        Ok(Err(Absent::Owner { said, remedy })) => Finding::failed(said, remedy),
        Ok(Err(absent @ Absent::Untracked(_))) => Finding::warning(absent.to_string(), elsewhere),
        Ok(Err(Absent::Checkout(_))) => Finding::warning("there is none here", elsewhere),
        Err(_) => Finding::skipped("git didn't tell"),
    }
}

/// What the local cloud tells of itself.
#[derive(Deserialize)]
struct Cloud {
    ministack: String,
}

/// Whether the local cloud runs at `endpoint`.
pub async fn local_cloud(http: &SharedHttpConnector, endpoint: &str) -> Finding {
    let answer = http::get(http, &format!("{endpoint}/_local/whoami"), &[]).await;
    let cloud = answer.ok().and_then(|answer| serde_json::from_str::<Cloud>(&answer.body).ok());
    match cloud {
        Some(Cloud { ministack }) => Finding::ok(format!("ministack {ministack} at {endpoint}")),
        None => Finding::failed(format!("not running at {endpoint}"), "cargo xtask local up"),
    }
}

/// What a program printed, and whether it ended well.
struct Said {
    good: bool,
    text: String,
}

impl Said {
    /// As programs tell their versions: `rustc 1.95.0 (…)`.
    fn second_word(&self) -> Option<String> {
        self.text.split_whitespace().nth(1).map(ToOwned::to_owned)
    }
}

/// Ends with us, whether or not it has an end of its own.
struct Mortal(Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Runs a program; none where there is none of that name. Whoever stops waiting ends it.
async fn ask(program: &str, arguments: &[&str]) -> Option<Said> {
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Mortal(command.spawn().ok()?);
    let mut stdout = child.0.stdout.take()?.take(64 * 1024);
    let read = spawn_blocking(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let text = read.await.ok()?.ok()?;
    let good = spawn_blocking(move || child.0.wait()).await.ok()?.ok()?.success();
    Some(Said { good, text })
}

/// Whether `1.95.0-nightly` is `1.94.1` or newer. What is no version is not.
fn is_new_enough(version: &str, oldest: &str) -> bool {
    let numbers = |version: &str| {
        let numbers = version.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
        numbers.collect::<Option<Vec<u32>>>()
    };
    numbers(version).is_some_and(|version| Some(version) >= numbers(oldest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn versions_are_numbers() {
        for (version, oldest, enough) in [
            ("1.94.1", "1.94.1", true),
            ("1.95.0-nightly", "1.94.1", true),
            ("1.94.0", "1.94.1", false),
            ("1.100.0", "1.94.1", true),
            ("3.9.18", "3.10", false),
            ("3.10.0", "3.10", true),
            ("4.0.0", "3.10", true),
            ("not-found:", "3.10", false),
            ("", "1.94.1", false),
        ] {
            assert_eq!(is_new_enough(version, oldest), enough, "{version} {oldest}");
        }
    }

    #[test]
    fn a_target_is_static_or_this_machines_or_missing() {
        let level = |host, installed: &[&str]| {
            judge_targets(host, |triple| installed.contains(&triple)).level
        };
        let (linux, mac) = ("x86_64-unknown-linux-gnu", "aarch64-apple-darwin");
        assert_eq!(level(linux, &["x86_64-unknown-linux-musl"]), Level::Ok);
        assert_eq!(level(mac, &["aarch64-unknown-linux-musl"]), Level::Ok);
        assert_eq!(level(linux, &[linux]), Level::Warning);
        assert_eq!(level(mac, &[mac]), Level::Failed);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_left_alone() {
        let began = std::time::Instant::now();
        let patience = std::time::Duration::from_millis(50);
        let asked = tokio::time::timeout(patience, ask("sleep", &["600"])).await;
        assert!(asked.is_err() && began.elapsed().as_secs() < 60);
        assert!(ask("no-such-program", &[]).await.is_none());
        assert_eq!(ask("echo", &["a", "b"]).await.unwrap().second_word().unwrap(), "b");
    }
}
