//! How glibc gets into functions that look up host names.
//!
//! A program that is linked statically with glibc loads the machine's glibc beside its own as soon as it looks up a host
//! name and `/etc/nsswitch.conf` lists a service other than `files` and `dns`; where the two differ, it crashes. So
//! functions that look up names get glibc as a shared library, if Lambda's is new enough for them. musl has no such
//! services.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::compile::{self, Built};
use crate::elf;
use crate::target::{Arch, Target};
use crate::workspace::{cargo, say};

/// Crates that look up host names: TLS, HTTP clients, and clients of databases. Not hyper, with which every function
/// asks the runtime API for events: its address is a number.
const CLIENTS: &[&str] = &[
    "attohttpc",
    "aws-config",
    "aws-smithy-http-client",
    "awc",
    "curl",
    "hickory-resolver",
    "isahc",
    "minreq",
    "mongodb",
    "mysql_common",
    "native-tls",
    "openssl",
    "postgres-protocol",
    "redis",
    "reqwest",
    "rustls",
    "s2n-tls",
    "sqlx-core",
    "surf",
    "ureq",
];

/// Compiles the functions, or the one named `only`, and gives the target as well: one that has its C library shared
/// instead of static if a function looks up names and Lambda could start the result.
///
/// # Errors
///
/// If a function does not compile, or cargo doesn't list the dependencies.
pub fn functions(arch: Arch, only: Option<&str>) -> Result<(Target, Built)> {
    let target = Target::installed(arch)?;
    if let Some(shared) = target.with_shared_glibc()
        && let Some(client) = client(&dependencies(target.triple)?)
    {
        let built = compile::functions(&shared, only)?;
        match check(&built, arch) {
            Ok(()) => return Ok((shared, built)),
            Err(refusal) => say(warning(client, arch, &refusal)),
        }
    }
    let built = compile::functions(&target, only)?;
    Ok((target, built))
}

/// The functions' dependencies for `triple`: a line of name and version each.
fn dependencies(triple: &str) -> Result<String> {
    let doing = "listing the functions' dependencies";
    let mut command = cargo("tree");
    command.args(["--package", "functions", "--edges", "normal", "--target", triple]);
    command.args(["--prefix", "none", "--format", "{p}"]);
    let output = command.output().with_context(|| format!("{doing}: cargo cannot be run"))?;
    if !output.status.success() {
        bail!("{doing}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first of `dependencies` that looks up host names.
fn client(dependencies: &str) -> Option<&str> {
    let names = dependencies.lines().filter_map(|line| line.split(' ').next());
    names.into_iter().find(|name| CLIENTS.contains(name) || name.starts_with("aws-sdk-"))
}

fn check(built: &Built, arch: Arch) -> Result<()> {
    built.programs.iter().try_for_each(|(name, program)| {
        let binary = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
        elf::check(&binary, arch).with_context(|| name.clone())
    })
}

fn warning(client: &str, arch: Arch, refusal: &anyhow::Error) -> String {
    // The refusal's own remedy is the one below.
    let refusal = format!("{refusal:#}");
    let refusal = refusal.lines().next().unwrap_or_default();
    format!(
        "warning: the functions are linked statically with glibc, though they look up host names (they depend on {client}): \
         with the shared library, Lambda could not start {refusal}; where /etc/nsswitch.conf lists services other than \
         files and dns, a static program may crash\n  next: rustup target add {}",
        arch.musl()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_found_among_dependencies() {
        let starter = "functions v1.0.0 (/workspace/functions)\nhyper v1.12.0\nhyper-util v0.1.21\nserde v1.0.229 (*)\n";
        assert_eq!(client(starter), None);
        for name in ["reqwest", "aws-config", "aws-sdk-dynamodb", "rustls"] {
            assert_eq!(client(&format!("{starter}{name} v1.0.0\nurl v2.5.8\n")), Some(name));
        }
    }
}
