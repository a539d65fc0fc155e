//! What a packaged function weighs: bytes, memory, and instructions, as callgrind counts them. None of it depends on
//! how quick the machine is; times are the bench's.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../functions/handler/tests/runtime_api/mod.rs"]
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
struct Limits {
    program: u64,
    zip: u64,
    instructions_to_first_answer: u64,
    instructions_of_a_later_one: u64,
}

const WITH_GLIBC: Limits = Limits {
    program: 2_270_000,
    zip: 1_060_000,
    instructions_to_first_answer: 530_000,
    instructions_of_a_later_one: 340_000,
};

const WITH_MUSL: Limits = Limits {
    program: 1_720_000,
    zip: 810_000,
    instructions_to_first_answer: 405_000,
    instructions_of_a_later_one: 315_000,
};

const MEMORY_KIB: u64 = 3 * 1024;

/// The functions, packaged and unpacked.
struct Packages {
    place: PathBuf,
    limits: Limits,
}

static PACKAGES: LazyLock<Packages> = LazyLock::new(packages);

fn packages() -> Packages {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("weight");
    let mut package = Command::new(env!("CARGO_BIN_EXE_xtask"));
    package.args(["package", "--arch", "x86_64", "--out", place.to_str().unwrap()]);
    let output = package.env("GIT_SHA", "0123456789a").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for function in FUNCTIONS {
        let zip = File::open(place.join(format!("{function}.zip"))).unwrap();
        let mut zip = zip::ZipArchive::new(zip).unwrap();
        let mut program = vec![];
        zip.by_name("bootstrap").unwrap().read_to_end(&mut program).unwrap();
        fs::write(place.join(function), program).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.join(function), executable).unwrap();
    }
    let limits = match said.contains("for x86_64-unknown-linux-musl") {
        true => WITH_MUSL,
        false => WITH_GLIBC,
    };
    assert!(said.contains("for x86_64-unknown-linux-"), "{said}");
    Packages { place, limits }
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
    let Packages { place, limits } = &*PACKAGES;
    for function in FUNCTIONS {
        let size = |name: &str| fs::metadata(place.join(name)).unwrap().len();
        let (program, zip) = (size(function), size(&format!("{function}.zip")));
        assert!(
            program <= limits.program && zip <= limits.zip,
            "{function}: {program} bytes, zipped {zip}"
        );
    }
}

#[test]
fn a_function_needs_little_memory() {
    for function in FUNCTIONS {
        let running = start(Command::new(PACKAGES.place.join(function)), 10);
        let status = fs::read_to_string(format!("/proc/{}/status", running.function.id())).unwrap();
        end(running);
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        assert!(peak <= MEMORY_KIB, "{function}: {peak} KiB");
    }
}

/// musl's own allocator does, five times for each event (637 page faults after 110, where 137 are after ten): see
/// `functions/Cargo.toml`.
#[test]
fn a_warm_function_asks_the_system_for_no_more_memory() {
    for function in FUNCTIONS {
        let faults = |events| {
            let running = start(Command::new(PACKAGES.place.join(function)), events);
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
    let Packages { place, limits } = &*PACKAGES;
    for function in FUNCTIONS {
        let program = place.join(function);
        let first = instructions(&program, 1);
        let later = (instructions(&program, 11) - first) / 10;
        assert!(
            first <= limits.instructions_to_first_answer,
            "{function}: {first} to the first answer; without the C library's archive (libc.a) a loader runs first"
        );
        assert!(
            later <= limits.instructions_of_a_later_one,
            "{function}: {later} for each later one"
        );
    }
}
