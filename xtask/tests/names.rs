//! `cargo xtask package` of a function that looks up a host name, where musl is not installed.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object};
use tempfile::TempDir;

/// What `rustc` says where no target but the host's is installed; for all else the real one.
const RUSTC: &str = r#"#!/bin/sh
if [ "$1 $2" = "--print host-tuple" ]; then
    rustc --print host-tuple
    echo /nonexistent
else
    exec rustc "$@"
fi
"#;

/// A workspace with one function, `resolve`, and a crate in place of ureq.
const WORKSPACE: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        "[workspace]\nresolver = '3'\nmembers = ['functions']\n[profile.lambda]\ninherits = 'release'\nstrip = true\n",
    ),
    (
        "functions/Cargo.toml",
        "[package]\nname = 'functions'\nversion = '1.0.0'\nedition = '2024'\n[dependencies]\nureq = { path = '../ureq' }\n",
    ),
    (
        "functions/src/bin/resolve.rs",
        "fn main() { println!(\"{}\", ureq::resolve(\"localhost:80\").is_some()) }",
    ),
    ("ureq/Cargo.toml", "[package]\nname = 'ureq'\nversion = '3.0.0'\nedition = '2024'\n"),
    (
        "ureq/src/lib.rs",
        "pub fn resolve(name: &str) -> Option<std::net::SocketAddr> { std::net::ToSocketAddrs::to_socket_addrs(name).ok()?.next() }",
    ),
];

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Packages the function, with `more` in the workspace; returns what was said, and leaves the program at `bootstrap`.
fn package(directory: &Path, more: &[(&str, &str)]) -> String {
    let root = directory.join("project");
    for (file, content) in WORKSPACE.iter().chain(more) {
        write(&root.join(file), content);
    }
    let rustc = directory.join("rustc");
    write(&rustc, RUSTC);
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();

    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["package", "--arch", arch, "--out"]).arg(directory);
    command.env("CARGO_MANIFEST_DIR", root.join("xtask")).env("RUSTC", rustc);
    command.env("GIT_SHA", "0123456789a").env("CARGO_NET_OFFLINE", "true");
    command.env_remove("CARGO_TARGET_DIR");
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{said}");

    let zip = fs::File::open(directory.join("resolve.zip")).unwrap();
    let mut program = vec![];
    let mut zip = zip::ZipArchive::new(zip).unwrap();
    zip.by_name("bootstrap").unwrap().read_to_end(&mut program).unwrap();
    let bootstrap = directory.join("bootstrap");
    fs::write(&bootstrap, program).unwrap();
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755)).unwrap();
    said
}

/// Whether the program asks for shared libraries.
fn is_dynamic(program: &Path) -> bool {
    let program = fs::read(program).unwrap();
    let program = ElfFile64::<LittleEndian>::parse(&*program).unwrap();
    program.import_libraries().unwrap().next().is_some()
}

/// A command in a mount namespace of its own, where `/etc/nsswitch.conf` is the file `services`; none where the system
/// lets the caller make no namespace.
fn beside(services: &Path) -> Option<Command> {
    let namespaces: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];
    namespaces.into_iter().find_map(|namespace| {
        let command = || {
            let mut command = Command::new("unshare");
            command.args(namespace).args(["sh", "-c"]);
            command.arg("mount --bind \"$0\" /etc/nsswitch.conf && exec \"$@\"").arg(services);
            command
        };
        let allowed = command().arg("true").output().is_ok_and(|output| output.status.success());
        allowed.then(command)
    })
}

#[test]
fn a_function_that_looks_up_names_shares_glibc_and_resolves_beside_other_services() {
    let directory = TempDir::new().unwrap();
    let said = package(directory.path(), &[]);
    assert!(!said.contains("warning"), "{said}");
    let bootstrap = directory.path().join("bootstrap");
    assert!(is_dynamic(&bootstrap), "it is linked statically: {said}");

    let services = directory.path().join("nsswitch.conf");
    write(&services, "hosts: compat elsewhere [!UNAVAIL=continue] files\n");
    let Some(mut command) = beside(&services) else {
        eprintln!("not run beside another nsswitch.conf: mount namespaces aren't allowed here");
        return;
    };
    let output = command.arg(&bootstrap).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "true\n", "{output:?}");
}

#[test]
fn where_lambda_could_not_start_the_shared_one_it_is_static_with_a_warning() {
    let directory = TempDir::new().unwrap();
    let loader = r#"fn main() {
        if !std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default().contains("crt-static") {
            println!("cargo::rustc-link-arg=-Wl,--dynamic-linker=/opt/ld.so");
        }
    }"#;
    let said = package(directory.path(), &[("functions/build.rs", loader)]);
    assert!(!is_dynamic(&directory.path().join("bootstrap")), "{said}");
    let warning = "warning: the functions are linked statically with glibc, though they look up \
                   host names (they depend on ureq): with the shared library, Lambda could not \
                   start resolve: it asks to be loaded by /opt/ld.so, ";
    assert!(said.contains(warning), "{said}");
    assert_eq!(said.matches("next: rustup target add").count(), 1, "{said}");
}
