//! What a packaged function weighs: bytes, memory, and instructions, as callgrind counts them. None of it depends on
//! how quick the machine is; times are the bench's.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const EVENT: &str = include_str!("../../functions/tests/event.json");
const FUNCTIONS: [&str; 3] = ["health", "metadata", "root"];

/// What `docs/PERFORMANCE.md` shows, and a little more: whoever exceeds one of these has made the functions heavier.
const PROGRAM: u64 = 2_400_000;
const ZIP: u64 = 1_110_000;
const MEMORY_KIB: u64 = 3 * 1024;
const INSTRUCTIONS_TO_FIRST_ANSWER: u64 = 530_000;
const INSTRUCTIONS_OF_A_LATER_ONE: u64 = 340_000;

/// Packages the functions into a directory of this name, and unpacks them; gives it.
fn packages(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
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

/// Starts a function, and gives it so many events over the one connection that it keeps.
fn start(mut command: Command, events: usize) -> Child {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("AWS_LAMBDA_RUNTIME_API", api.local_addr().unwrap().to_string())
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("VERSION", "1.0.0"),
            ("GIT_SHA", "0123456789a"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let function = command
        .spawn()
        .unwrap_or_else(|error| panic!("starting {command:?}: {error}; is it installed?"));
    let (stream, _) = api.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    for _ in 0..events {
        assert!(request(&mut reader).starts_with("GET /2018-06-01/runtime/invocation/next "));
        let headers =
            "lambda-runtime-aws-request-id: r\r\nlambda-runtime-deadline-ms: 4102444800000";
        answer(&stream, &format!("200 OK\r\n{headers}"), EVENT);
        assert!(
            request(&mut reader).starts_with("POST /2018-06-01/runtime/invocation/r/response ")
        );
        answer(&stream, "202 Accepted", "");
    }
    request(&mut reader); // for the next one, which doesn't come
    function
}

/// The first line of a request; its body is read.
fn request(reader: &mut BufReader<&TcpStream>) -> String {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    first
}

fn answer(mut stream: &TcpStream, head: &str, body: &str) {
    let text = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).unwrap();
}

fn end(mut function: Child) {
    let id = function.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    function.wait().unwrap();
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
    let place = packages("weight");
    for function in FUNCTIONS {
        let size = |name: &str| fs::metadata(place.join(name)).unwrap().len();
        let (program, zip) = (size(function), size(&format!("{function}.zip")));
        assert!(program <= PROGRAM && zip <= ZIP, "{function}: {program} bytes, zipped {zip}");
    }
}

#[test]
fn a_function_needs_little_memory() {
    let place = packages("memory");
    for function in FUNCTIONS {
        let running = start(Command::new(place.join(function)), 10);
        let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
        end(running);
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        assert!(peak <= MEMORY_KIB, "{function}: {peak} KiB");
    }
}

/// Needs valgrind.
#[test]
fn a_function_takes_few_instructions() {
    let place = packages("instructions");
    for function in FUNCTIONS {
        let program = place.join(function);
        let first = instructions(&program, 1);
        let later = (instructions(&program, 11) - first) / 10;
        assert!(
            first <= INSTRUCTIONS_TO_FIRST_ANSWER,
            "{function}: {first} to the first answer; without the C library's archive (libc.a) a loader runs first"
        );
        assert!(later <= INSTRUCTIONS_OF_A_LATER_ONE, "{function}: {later} for each later one");
    }
}
