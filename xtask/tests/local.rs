//! `cargo xtask local`, for real: each test has a home and a port of its own and takes a few seconds.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A home for a local cloud, which is stopped when the test ends, however it ends.
struct Home {
    directory: TempDir,
    port: u16,
}

struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Home {
        Home { directory: tempfile::tempdir().unwrap(), port: free_port() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("local").args(line.split_whitespace()).env("LOCAL_CLOUD_HOME", self.path());
        command
    }

    fn run(&self, line: &str) -> Answer {
        let Output { status, stdout, stderr } = self.command(line).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        Answer { code: status.code().unwrap(), out, err }
    }

    #[track_caller]
    fn up(&self) -> Answer {
        let answer = self.run(&format!("up --port {}", self.port));
        assert_eq!(answer.code, 0, "{}", answer.err);
        assert_eq!(answer.out, format!("http://127.0.0.1:{}\n", self.port));
        answer
    }

    /// The process id that `status` tells.
    #[track_caller]
    fn pid(&self) -> String {
        let answer = self.run("status");
        assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
        let line = answer.out.lines().find(|line| line.starts_with("pid")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// The status that a request to the cloud gets.
    fn http(&self, method: &str, path: &str) -> u16 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.command("down").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn state_survives_down_and_up_and_ends_with_reset() {
    let home = Home::new();
    assert_eq!(home.run("status").code, 3);
    home.up();
    assert_eq!(home.http("GET", "/_ministack/health"), 200);
    assert_eq!(home.http("PUT", "/a-bucket"), 200);
    assert_eq!(home.http("PUT", "/a-bucket/a-key"), 200);

    let answer = home.run("down");
    assert_eq!((answer.code, answer.out.as_str()), (0, ""), "{}", answer.err);
    assert!(TcpStream::connect(("127.0.0.1", home.port)).is_err());
    let answer = home.run("status");
    assert_eq!((answer.code, answer.out.as_str()), (3, "not running\n"));

    // The port is that of the last time.
    let answer = home.run("up");
    assert_eq!(answer.out, format!("http://127.0.0.1:{}\n", home.port), "{}", answer.err);
    assert_eq!(home.http("HEAD", "/a-bucket/a-key"), 200);

    assert_eq!(home.run("reset").code, 0);
    assert_eq!(home.http("HEAD", "/a-bucket"), 404);
    assert_eq!(home.http("PUT", "/b-bucket"), 200);
    home.run("down");
    assert_eq!(home.run("reset").code, 0);
    home.up();
    assert_eq!(home.http("HEAD", "/b-bucket"), 404);

    let log = home.run("logs -n 1");
    assert!(log.out.contains("HEAD /b-bucket 404"), "{}", log.out);
}

#[test]
fn up_and_down_are_idempotent() {
    let home = Home::new();
    let both = [
        home.command(&format!("up --port {}", home.port)),
        home.command(&format!("up --port {}", home.port)),
    ];
    let both = both.map(|mut command| command.stdout(Stdio::null()).spawn().unwrap());
    for mut child in both {
        assert!(child.wait().unwrap().success());
    }
    let pid = home.pid();
    assert!(home.up().err.contains("already running"));
    assert_eq!(home.pid(), pid);

    let answer = home.run(&format!("up --port {}", free_port()));
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("it already runs at"), "{}", answer.err);

    assert_eq!(home.run("down").code, 0);
    let answer = home.run("down");
    assert_eq!(answer.code, 0);
    assert!(answer.err.contains("not running"), "{}", answer.err);
}

#[test]
fn a_cloud_that_was_killed_is_not_running() {
    let home = Home::new();
    home.up();
    let pid = home.pid();
    assert!(
        Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status().unwrap().success()
    );
    while home.run("status").code == 0 {}
    home.up();
    assert_ne!(home.pid(), pid);
}

#[test]
fn what_is_not_ours_keeps_its_port_and_its_life() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    std::thread::spawn(move || while stranger.accept().is_ok() {});
    let home = Home::new();
    let answer = home.run(&format!("up --port {port}"));
    assert_eq!((answer.code, answer.out.as_str()), (1, ""));
    assert!(
        answer.err.contains(&format!("port {port} is taken by another program")),
        "{}",
        answer.err
    );
    assert!(answer.err.contains("--port N"), "{}", answer.err);

    home.up();
    let second = Home { directory: tempfile::tempdir().unwrap(), port: home.port };
    let answer = second.run(&format!("up --port {}", home.port));
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("another local cloud"), "{}", answer.err);
    assert!(
        answer.err.contains(&home.path().canonicalize().unwrap().display().to_string()),
        "{}",
        answer.err
    );
    assert_eq!(second.run("down").code, 0);
    assert_eq!(home.http("GET", "/_ministack/health"), 200);
}

#[test]
fn a_start_that_fails_shows_the_log() {
    let home = Home::new();
    // The cloud can't keep its state where a file is.
    std::fs::write(home.path().join("state"), "").unwrap();
    let answer = home.run(&format!("up --port {}", home.port));
    assert_eq!(answer.code, 1);
    assert!(
        answer.err.contains("it ended at once") && answer.err.contains("state"),
        "{}",
        answer.err
    );
}
