//! The local cloud's Python environment, beside settings of Python's and pip's. Needs no network: what is installed is
//! a wheel of the test's own.

use std::fs;
use std::io::{Cursor, Write};
use std::net::TcpListener;
use std::process::Command;

use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{Workspace, see};

/// Says that it has found both its package and the module beside it, and ends.
const CLOUD: &str = "import beside, sys, tiny; sys.exit(f'found {tiny.NAME} and {beside.NAME}')";

fn wheel() -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("tiny.py", "NAME = 'tiny'\n"),
        ("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"),
        (
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        (
            "tiny-1.0.dist-info/RECORD",
            "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n",
        ),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let local = workspace.root.join("local");
    fs::create_dir(&local).unwrap();
    let wheel = wheel();
    let file = workspace.beside("tiny-1.0-py3-none-any.whl");
    let hash = Sha256::digest(&wheel);
    fs::write(&file, wheel).unwrap();
    let locked = format!("tiny @ file://{} --hash=sha256:{hash:x}\n", file.display());
    fs::write(local.join("requirements.txt"), locked).unwrap();
    fs::write(local.join("requirements.in"), "# What it needs.\ntiny==1.0\n").unwrap();
    fs::write(local.join("beside.py"), "NAME = 'beside'\n").unwrap();
    fs::write(local.join("cloud.py"), CLOUD).unwrap();
    workspace
}

fn up(workspace: &Workspace) -> Command {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    workspace.xtask(&format!("local up --port {port}"))
}

#[test]
fn settings_do_not_lead_packages_astray() {
    let workspace = workspace();
    let elsewhere = workspace.beside("elsewhere");
    let file = workspace.beside("pip.conf");
    let place = elsewhere.display();
    fs::write(
        &file,
        format!(
            "[global]\nuser = yes\n[install]\ntarget = {place}\nprefix = {place}\nroot = {place}\n"
        ),
    )
    .unwrap();
    // Modules where it is called are not Python's own.
    fs::write(workspace.root.join("below/venv.py"), "1 / 0\n").unwrap();
    fs::write(workspace.root.join("below/pip.py"), "1 / 0\n").unwrap();

    let mut command = up(&workspace);
    command.current_dir(workspace.root.join("below")).env("PIP_CONFIG_FILE", file);
    for name in ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONUSERBASE"] {
        command.env(name, &elsewhere);
    }
    for name in ["PIP_USER", "PIP_DRY_RUN", "PIP_REQUIRE_VIRTUALENV", "PYTHONSAFEPATH"] {
        command.env(name, "1");
    }
    command.env("PYTHONWARNINGS", "error").env("PIP_PYTHON", "/nowhere");
    see(&mut command).ends(1).says("found tiny and beside");
    assert!(!elsewhere.exists());
}

#[test]
fn what_can_not_be_imported_is_not_installed() {
    let workspace = workspace();
    let wanted = workspace.root.join("local/requirements.in");
    let right = fs::read_to_string(&wanted).unwrap();
    fs::write(&wanted, format!("{right}absent==1.0\n")).unwrap();
    for _ in 0..2 {
        let seen = see(&mut up(&workspace)).ends(1).says("pip reported success");
        seen.says("No module named 'absent'").says("likely cause: ").says("next: ");
    }
    fs::write(&wanted, right).unwrap();
    see(&mut up(&workspace)).ends(1).says("found tiny and beside");
}
