//! The process of the local cloud: who runs, starting it, stopping it.
//!
//! It locks `cloud.json` in its home for as long as it lives, and writes into it who it is. So "does it run" is a question
//! to the system, true however it ended, and the process id in a locked file is never another's.

use std::env;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::venv::forget_settings;
use super::{http, log};
use crate::workspace::{root, say};

const POLL: Duration = Duration::from_millis(20);
/// It writes its record a moment after it has locked it.
const RECORD: Duration = Duration::from_secs(1);
/// It is ready within a second or two; more only on a machine that is busy otherwise.
const START: Duration = Duration::from_secs(60);
/// Saving the state takes milliseconds, waiting for open connections up to three seconds.
const STOP: Duration = Duration::from_secs(15);

/// A running local cloud, as it describes itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Cloud {
    pub pid: u32,
    pub port: u16,
    pub ministack: String,
    /// Seconds since 1970.
    started: u64,
    home: Option<PathBuf>,
}

impl Cloud {
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.started)
    }

    /// Whoever answers on a port, if it is a local cloud at all.
    fn at(port: u16) -> Option<Cloud> {
        let (_, body) =
            http::request("GET", port, "/_local/whoami", Duration::from_secs(2)).ok()?;
        serde_json::from_str(&body).ok()
    }
}

/// The directory that belongs to one local cloud.
pub struct Home(PathBuf);

impl Home {
    /// `target/local`; tests set `LOCAL_CLOUD_HOME` to have one for themselves.
    pub fn of_workspace() -> Home {
        let own = env::var_os("LOCAL_CLOUD_HOME").map(PathBuf::from);
        Home(own.unwrap_or_else(|| root().join("target").join("local")))
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("cloud.log")
    }

    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    fn record(&self) -> PathBuf {
        self.0.join("cloud.json")
    }

    /// The cloud that runs here, if one does.
    ///
    /// # Errors
    ///
    /// If one runs and its record can't be read.
    pub fn running(&self) -> Result<Option<Cloud>> {
        let path = self.record();
        let deadline = Instant::now() + RECORD;
        while self.occupied()? {
            let what =
                || format!("reading {}, which the running local cloud wrote", path.display());
            let record = fs::read_to_string(&path).with_context(what)?;
            match serde_json::from_str(&record) {
                Ok(cloud) => return Ok(Some(cloud)),
                Err(error) if Instant::now() > deadline => return Err(error).with_context(what),
                Err(_) => sleep(POLL),
            }
        }
        Ok(None)
    }

    fn occupied(&self) -> Result<bool> {
        let path = self.record();
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.with_context(|| format!("opening {}", path.display()))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("locking {}", path.display()))
            }
        }
    }

    /// The port of the last cloud here, running or not.
    pub fn last_port(&self) -> Option<u16> {
        let record = fs::read_to_string(self.record()).ok()?;
        serde_json::from_str(&record).ok().map(|cloud: Cloud| cloud.port)
    }

    /// Waits until no other xtask starts, stops or empties this cloud; the turn ends when the file is dropped.
    pub fn take_turn(&self) -> Result<File> {
        take_turn(&self.0.join("turn"), "another cargo xtask local")
    }

    pub fn delete_state(&self) -> Result<()> {
        match fs::remove_dir_all(self.state()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("deleting {}", self.state().display()))
            }
            _ => Ok(()),
        }
    }
}

/// Locks a file, made if need be, and says so if that means waiting for `whom`.
pub fn take_turn(path: &Path, whom: &str) -> Result<File> {
    let what = || format!("locking {}", path.display());
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(what)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path).with_context(what)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say(format_args!("waiting for {whom}"));
            file.lock().with_context(what)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(what),
    }
    Ok(file)
}

/// # Errors
///
/// If the port can't be had, with who has it.
pub fn check_free(port: u16) -> Result<()> {
    // Both, because each alone lets something pass: on macOS one may listen on an address of a port that is taken on all.
    let answered = TcpStream::connect_timeout(&http::address(port), http::CONNECT).is_ok();
    let refused = TcpListener::bind(http::address(port)).err();
    if !answered && refused.is_none() {
        return Ok(());
    }
    let next = "next: cargo xtask local up --port N, with a free port";
    if let Some(cloud) = Cloud::at(port) {
        let home =
            cloud.home.map_or_else(|| "no directory".into(), |home| home.display().to_string());
        bail!(
            "starting the local cloud: port {port} is taken by another local cloud, pid {}, of {home}\n  {next}",
            cloud.pid
        );
    }
    match refused {
        Some(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error).with_context(|| {
            format!("starting the local cloud: listening on port {port}\n  {next}")
        }),
        _ => bail!(
            "starting the local cloud: port {port} is taken by another program (see: lsof -i :{port})\n  {next}"
        ),
    }
}

/// Starts it in the background and waits until it answers.
///
/// # Errors
///
/// If it ends or stays silent, with the end of its log.
pub fn start(home: &Home, python: &Path, port: u16) -> Result<Cloud> {
    let log =
        File::create(home.log()).with_context(|| format!("writing {}", home.log().display()))?;
    let mut command = Command::new(python);
    // Not `-I`, with which Python would not find the plugin beside the program.
    forget_settings(&mut command, "PYTHON");
    let mut child = command
        .arg(root().join("local").join("cloud.py"))
        .args(["--port", &port.to_string()])
        .arg("--home")
        .arg(&home.0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("sharing the log")?)
        .stderr(log)
        // A group of its own, so that Ctrl-C in our terminal isn't for it.
        .process_group(0)
        .spawn()
        .with_context(|| format!("running {}", python.display()))?;
    await_answer(home, &mut child, port)
}

fn await_answer(home: &Home, child: &mut Child, port: u16) -> Result<Cloud> {
    let deadline = Instant::now() + START;
    loop {
        if let Some(cloud) = Cloud::at(port).filter(|cloud| cloud.pid == child.id()) {
            return Ok(cloud);
        }
        if let Some(status) = child.try_wait().context("waiting for the local cloud")? {
            bail!(
                "starting the local cloud: it ended at once ({status})\n{}",
                log::end(&home.log())
            );
        }
        if Instant::now() > deadline {
            signal("KILL", child.id())?;
            bail!(
                "starting the local cloud: no answer within {} s\n{}",
                START.as_secs(),
                log::end(&home.log())
            );
        }
        sleep(POLL);
    }
}

/// Waits until a cloud that runs answers; it may have been started a moment ago.
///
/// # Errors
///
/// If it doesn't answer.
pub fn await_running(home: &Home, cloud: &Cloud) -> Result<()> {
    let deadline = Instant::now() + START;
    while home.occupied()? && Instant::now() < deadline {
        if Cloud::at(cloud.port).is_some_and(|found| found.pid == cloud.pid) {
            return Ok(());
        }
        sleep(POLL);
    }
    bail!(
        "asking the local cloud at {}: pid {} doesn't answer\n  next: cargo xtask local down, then up",
        cloud.url(),
        cloud.pid
    );
}

/// Asks it to save its state and end, and waits for that; ends it by force if it doesn't.
///
/// # Errors
///
/// If it survives even that.
pub fn stop(home: &Home, cloud: &Cloud) -> Result<()> {
    signal("TERM", cloud.pid)?;
    if ended(home, STOP)? {
        return Ok(());
    }
    say(format_args!(
        "the local cloud didn't stop within {} s: ending it by force, unsaved changes are lost",
        STOP.as_secs()
    ));
    signal("KILL", cloud.pid)?;
    if ended(home, STOP)? {
        return Ok(());
    }
    bail!(
        "stopping the local cloud: pid {} didn't end\n  next: look what holds it: ps -p {}",
        cloud.pid,
        cloud.pid
    );
}

fn ended(home: &Home, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    while home.occupied()? {
        if Instant::now() > deadline {
            return Ok(false);
        }
        sleep(POLL);
    }
    Ok(true)
}

/// Sends a signal; `KILL` also to the functions that it runs, which are of its group.
fn signal(name: &str, pid: u32) -> Result<()> {
    // The shell's own `kill`: slim images have no other. A process started by hand leads no group.
    let script = match name {
        "KILL" => format!("kill -KILL -- -{pid} 2>/dev/null || kill -KILL {pid}"),
        _ => format!("kill -{name} {pid}"),
    };
    let status =
        Command::new("sh").args(["-c", &script]).status().context("running sh to send a signal")?;
    if !status.success() {
        bail!("sending {name} to the local cloud: process {pid} refused it");
    }
    Ok(())
}

/// Empties the running cloud, in memory and on disk.
pub fn empty(cloud: &Cloud) -> Result<()> {
    let what = || format!("emptying the local cloud at {}", cloud.url());
    let (status, body) =
        http::request("POST", cloud.port, "/_ministack/reset", Duration::from_secs(30))
            .with_context(what)?;
    if status != 200 {
        bail!("{}: it answered {status}: {body}", what());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let directory = tempfile::tempdir().unwrap();
        let home = Home(directory.path().to_owned());
        (directory, home)
    }

    const RECORD: &str =
        r#"{"pid": 7, "port": 4567, "started": 1, "ministack": "1.2.3", "home": "/tmp/home"}"#;

    #[test]
    fn a_record_counts_only_while_its_writer_lives() {
        let (_directory, home) = home();
        assert_eq!(home.running().unwrap(), None);
        assert_eq!(home.last_port(), None);

        fs::write(home.record(), RECORD).unwrap();
        assert_eq!(home.running().unwrap(), None);
        assert_eq!(home.last_port(), Some(4567));

        let writer = File::open(home.record()).unwrap();
        writer.lock().unwrap();
        let cloud = home.running().unwrap().unwrap();
        assert_eq!((cloud.pid, cloud.url()), (7, "http://127.0.0.1:4567".into()));

        drop(writer);
        assert_eq!(home.running().unwrap(), None);
    }

    #[test]
    fn asking_does_not_look_like_running() {
        let (_directory, home) = home();
        fs::write(home.record(), RECORD).unwrap();
        let asking = File::open(home.record()).unwrap();
        asking.lock_shared().unwrap();
        assert_eq!(home.running().unwrap(), None);
    }

    #[test]
    fn a_strangers_port_is_refused_with_the_remedy() {
        let stranger = TcpListener::bind(http::address(0)).unwrap();
        let port = stranger.local_addr().unwrap().port();
        std::thread::spawn(move || while stranger.accept().is_ok() {});
        let error = check_free(port).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is taken by another program")), "{error}");
        assert!(error.contains("--port N"), "{error}");
    }

    #[test]
    fn deleting_no_state_is_no_error() {
        let (_directory, home) = home();
        home.delete_state().unwrap();
        fs::create_dir_all(home.state().join("s3")).unwrap();
        home.delete_state().unwrap();
        assert!(!home.state().exists());
    }
}
