//! One local cloud for all tests of a run: started by the first that needs it, on a free port,
//! with a home of its own.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

pub struct Local {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The packages of this checkout, as they were when the run began.
    pub packages: PathBuf,
    _watcher: Child,
}

pub fn local() -> &'static Local {
    // If it fails once, it fails for all tests at once.
    static LOCAL: LazyLock<Local> = LazyLock::new(start);
    &LOCAL
}

fn start() -> Local {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let xtask = build_xtask(workspace);
    let home = tempfile::Builder::new().prefix("cloud-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let home = home.unwrap().keep();
    let watcher = watch(&xtask, &home);

    let packages = home.join("packages");
    run(Command::new(&xtask).args(["package", "--out"]).arg(&packages));

    Local { endpoint: up(&xtask, &home), packages, _watcher: watcher }
}

fn up(xtask: &Path, home: &Path) -> String {
    // Somebody else may take a port that was free a moment ago.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut up = Command::new(xtask);
        up.args(["local", "up", "--port", &port.to_string()]).env("LOCAL_CLOUD_HOME", home);
        let Output { status, stdout, stderr } = up.output().unwrap();
        if status.success() {
            return String::from_utf8(stdout).unwrap().trim().to_owned();
        }
        let said = String::from_utf8_lossy(&stderr);
        assert!(said.contains("is taken by"), "{said}");
    }
    panic!("no port stayed free");
}

/// Stops the cloud when this process has ended, however it ended: only then does the watcher's
/// standard input. The last log is kept, for a look after a failure.
fn watch(xtask: &Path, home: &Path) -> Child {
    use std::os::unix::process::CommandExt;
    const SCRIPT: &str = "cat; \"$0\" local down; \
                          mv \"$LOCAL_CLOUD_HOME/cloud.log\" \"$LOCAL_CLOUD_HOME/..\"; \
                          rm -r \"$LOCAL_CLOUD_HOME\"";
    Command::new("sh")
        .args(["-c", SCRIPT])
        .arg(xtask)
        .env("LOCAL_CLOUD_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the tests; the watcher has work to do then.
        .process_group(0)
        .spawn()
        .unwrap()
}

fn build_xtask(workspace: &Path) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(workspace).args(["build", "--quiet", "--package", "xtask"]);
    let messages = run(build.args(["--message-format", "json"]));
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    };
    messages.lines().find_map(executable).unwrap()
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let _ = std::io::stderr().write_all(if status.success() { b"" } else { &stderr });
    assert!(status.success(), "{command:?}");
    String::from_utf8(stdout).unwrap()
}
