//! What a packaged function weighs: bytes, memory, and instructions, as callgrind counts them. None of it depends on
//! how quick the machine is; times are the bench's.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../functions/tests/runtime_api/mod.rs"]
mod runtime_api;

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use runtime_api::{EVENT, environment, give, receive};

const FUNCTIONS: [&str; 3] = ["health", "metadata", "root"];

/// What `docs/PERFORMANCE.md` shows, and a little more: whoever exceeds one of these has made the functions heavier.
const PROGRAM: u64 = 2_270_000;
const ZIP: u64 = 1_060_000;
const MEMORY_KIB: u64 = 3 * 1024;
const INSTRUCTIONS_TO_FIRST_ANSWER: u64 = 530_000;
const INSTRUCTIONS_OF_A_LATER_ONE: u64 = 340_000;

/// Where the functions are, packaged and unpacked.
static PACKAGES: LazyLock<PathBuf> = LazyLock::new(packages);

fn packages() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("weight");
    let mut package = Command::new(env!("CARGO_BIN_EXE_xtask"));
    package.args(["package", "--arch", "x86_64", "--out", place.to_str().unwrap()]);
    let output = package.env("GIT_SHA", "0123456789a").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for function in FUNCTIONS {
        let zip = File::open(place.join(format!("{function}.zip"))).unwrap();
        let mut zip = zip::ZipArchive::new(zip).unwrap();
        let mut program = vec![];
        zip.by_name("bootstrap").unwrap().read_to_end(&mut program).unwrap();
        fs::write(place.join(function), program).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.join(function), executable).unwrap();
    }
    place
}

/// A function that waits for its next event: without its connection it would end.
struct Waiting {
    function: Child,
    _connection: TcpStream,
}

/// Starts a function, and gives it so many events over the one connection that it keeps.
fn start(mut command: Command, events: usize) -> Waiting {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    environment(&mut command, api.local_addr().unwrap())
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("VERSION", "1.0.0"), ("GIT_SHA", "0123456789a")])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let function = command
        .spawn()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}; is it installed?"));
    let (stream, _) = api.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(&stream);
    for _ in 0..events {
        let (asked, _) = receive(&mut reader);
        assert!(asked.starts_with("get /2018-06-01/runtime/invocation/next "), "{asked}");
        give(&stream, "r", EVENT, "");
        let (answered, _) = receive(&mut reader);
        assert!(
            answered.starts_with("post /2018-06-01/runtime/invocation/r/response "),
            "{answered}"
        );
        (&stream).write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
    receive(&mut reader); // for the next one, which doesn't come
    Waiting { function, _connection: stream }
}

fn end(mut waiting: Waiting) {
    let id = waiting.function.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    waiting.function.wait().unwrap();
}

/// How many instructions it takes to answer so many events.
fn instructions(program: &Path, events: usize) -> u64 {
    let out = program.with_extension("callgrind");
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program);
    end(start(command, events));
    let text = fs::read_to_string(&out).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("summary: "));
    total.unwrap().trim().parse().unwrap()
}

#[test]
fn packages_are_small() {
    for function in FUNCTIONS {
        let size = |name: &str| fs::metadata(PACKAGES.join(name)).unwrap().len();
        let (program, zip) = (size(function), size(&format!("{function}.zip")));
        assert!(program <= PROGRAM && zip <= ZIP, "{function}: {program} bytes, zipped {zip}");
    }
}

#[test]
fn a_function_needs_little_memory() {
    for function in FUNCTIONS {
        let running = start(Command::new(PACKAGES.join(function)), 10);
        let status = fs::read_to_string(format!("/proc/{}/status", running.function.id())).unwrap();
        end(running);
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        assert!(peak <= MEMORY_KIB, "{function}: {peak} KiB");
    }
}

/// musl's own allocator does, several times for each event: see `functions/Cargo.toml`.
#[test]
fn a_warm_function_asks_the_system_for_no_more_memory() {
    for function in FUNCTIONS {
        let faults = |events| {
            let running = start(Command::new(PACKAGES.join(function)), events);
            let stat = fs::read_to_string(format!("/proc/{}/stat", running.function.id())).unwrap();
            end(running);
            // The minor ones: the eighth field after the program's name, see proc(5).
            let (_, fields) = stat.rsplit_once(") ").unwrap();
            fields.split(' ').nth(7).unwrap().parse::<u64>().unwrap()
        };
        let (few, many) = (faults(10), faults(110));
        assert!(many < few + 50, "{function}: {few} page faults for 10 events, {many} for 110");
    }
}

/// Needs valgrind.
#[test]
fn a_function_takes_few_instructions() {
    for function in FUNCTIONS {
        let program = PACKAGES.join(function);
        let first = instructions(&program, 1);
        let later = (instructions(&program, 11) - first) / 10;
        assert!(
            first <= INSTRUCTIONS_TO_FIRST_ANSWER,
            "{function}: {first} to the first answer; without the C library's archive (libc.a) a loader runs first"
        );
        assert!(later <= INSTRUCTIONS_OF_A_LATER_ONE, "{function}: {later} for each later one");
    }
}
