//! The local clouds for all tests of a run: started by the first that needs one, on a free port,
//! with a home of its own. There are two, for each does one thing at a time; half of the accounts are in each.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::LazyLock;

pub struct Local {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    home: PathBuf,
    /// Ends with this process, and the keeper waits for its end.
    _lifeline: ChildStdin,
}

/// Starts the cloud and, when this process has ended in whatever way, stops it. One shell does
/// both, so that nothing starts behind its back. The last log is kept, for a look after a failure.
const KEEPER: &str = r#"
    exec 2> "$LOCAL_CLOUD_HOME/said"
    { [ -z "$PACKAGES" ] || "$XTASK" package --out "$LOCAL_CLOUD_HOME/$PACKAGES"; } &&
        for port in $PORTS; do "$XTASK" local up --port $port && break; done
    exec > /dev/null
    cat
    "$XTASK" local down
    mv "$LOCAL_CLOUD_HOME/cloud.log" "$LOCAL_CLOUD_HOME/.."
    rm -r "$LOCAL_CLOUD_HOME"
"#;

pub fn local() -> &'static Local {
    // If it fails once, it fails for all tests at once.
    static LOCAL: LazyLock<Local> = LazyLock::new(|| start("false", PACKAGES));
    &LOCAL
}

/// The packages of this checkout, as they were when the run began.
pub fn packages() -> PathBuf {
    local().home.join(PACKAGES)
}

/// Where they are, in the home of the first cloud.
const PACKAGES: &str = "packages";

/// The one in which an account is.
pub fn cloud_of(account: &str) -> &'static Local {
    static OTHER: LazyLock<Local> = LazyLock::new(|| start("false", ""));
    match account.ends_with(['1', '3', '5', '7', '9']) {
        true => &OTHER,
        false => local(),
    }
}

/// Another, that holds everybody to their rights.
pub fn guarded() -> &'static Local {
    static GUARDED: LazyLock<Local> = LazyLock::new(|| start("true", ""));
    &GUARDED
}

/// With `packages`, packages into that directory of its home, too.
fn start(auth: &str, packages: &str) -> Local {
    let home = tempfile::Builder::new().prefix("cloud-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let home = home.unwrap().keep();
    let (lifeline, answer) = keep(&home, auth, packages);
    if answer.is_empty() {
        panic!("{}", fs::read_to_string(home.join("said")).unwrap());
    }
    Local { endpoint: answer.trim().to_owned(), home, _lifeline: lifeline }
}

/// What the keeper lives by, and its first line: the URL, or nothing when it failed.
#[allow(clippy::zombie_processes, reason = "it outlives this process, which it waits for")]
fn keep(home: &Path, auth: &str, packages: &str) -> (ChildStdin, String) {
    // Somebody else may take a port that is free now.
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [free(), free(), free()].map(|port| port.local_addr().unwrap().port().to_string());
    let mut keeper = Command::new("sh")
        .args(["-c", KEEPER])
        .env("XTASK", &*XTASK)
        .env("PORTS", ports.join(" "))
        .env("LOCAL_CLOUD_HOME", home)
        .env("AUTH", auth)
        .env("PACKAGES", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C is for the tests; the keeper has work to do then.
        .process_group(0)
        .spawn()
        .unwrap();
    let mut answer = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    (keeper.stdin.take().unwrap(), answer)
}

static XTASK: LazyLock<PathBuf> = LazyLock::new(|| {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(workspace).args(["build", "--quiet", "--package", "xtask"]);
    let Output { status, stdout, stderr } =
        build.args(["--message-format", "json"]).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    };
    String::from_utf8(stdout).unwrap().lines().find_map(executable).unwrap()
});
