//! Machines without CA certificates, and bundles that aren't any.

use crate::server::{CONNECTED, Server};
use crate::shell::{REGION, SOMEBODY, Shell};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[test]
fn without_certificates_http_is_reached_all_the_same() {
    let sts = Server::sts();
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"] {
        let shell = Shell::new(&SOMEBODY).with(name, "/nonexistent");
        let ran = shell.with("AWS_ENDPOINT_URL", &sts.url()).run(CONNECTED);
        assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{name}: {ran:?}");
    }
}

#[test]
fn the_doctor_tells_of_certificates() {
    let server = Server::new(403, "");
    let doctor = |way: &str, name: &str, value: &Path| {
        let shell = Shell::new(&SOMEBODY).with(way, &server.url());
        shell.with(name, value.to_str().unwrap()).finds("certificates")
    };
    let certified = Certified::new();
    for name in ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] {
        let nowhere = Path::new("/nonexistent");
        assert_eq!(doctor("AWS_ENDPOINT_URL", name, nowhere).0, "warning", "needed by none");
        let (level, found, next) = doctor("HTTPS_PROXY", name, nowhere);
        assert_eq!(level, "failed", "{found}");
        assert!(found.contains(&format!("{name}=/nonexistent")), "{found}");
        assert!(next.contains("ca-certificates") && next.contains("AWS_CA_BUNDLE"), "{next}");
        let (level, found, _) = doctor("HTTPS_PROXY", name, &certified.file);
        assert_eq!(level, "ok", "{found}");
        assert!(found.starts_with("1 of "), "{found}");
    }
}

/// A server with a certificate that only its own file vouches for, and a proxy that leads everything to it.
struct Certified {
    file: PathBuf,
    proxy: String,
    server: Child,
    _home: tempfile::TempDir,
}

impl Certified {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (file, key) = (home.path().join("ca.pem"), home.path().join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=test"])
            .args(["-addext", "subjectAltName=DNS:sts.ap-southeast-2.amazonaws.com"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&file)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl is needed for this test");
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", &free.port().to_string()])
            .arg("-cert")
            .arg(&file)
            .arg("-key")
            .arg(&key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                tunnel(client.unwrap(), free);
            }
        });
        Self { file, proxy, server, _home: home }
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

/// Leads a client to the server, wherever it asks to be led.
fn tunnel(client: TcpStream, server: std::net::SocketAddr) {
    let connect = || {
        (0..50).find_map(|_| {
            let connected = TcpStream::connect(server).ok();
            if connected.is_none() {
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
            connected
        })
    };
    let server = connect().unwrap();
    let mut head = BufReader::new(client.try_clone().unwrap());
    let mut line = String::new();
    while head.read_line(&mut line).is_ok_and(|read| read > 2) {}
    (&client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    for (mut from, mut to) in [(&client, &server), (&server, &client)]
        .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
    {
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_told_and_a_bundle_helps() {
    let certified = Certified::new();
    let shell = || Shell::new(&SOMEBODY).with("HTTPS_PROXY", &certified.proxy);
    let unknown = ["invalid peer certificate", "next: install CA certificates", "AWS_CA_BUNDLE"];
    let ran = shell().with("SSL_CERT_FILE", "/nonexistent").run(CONNECTED).refused(&unknown);
    assert!(ran.err.contains("likely cause: no CA certificate in SSL_CERT_FILE"), "{ran:?}");
    let other = Certified::new();
    let ran = shell().with("SSL_CERT_FILE", other.file.to_str().unwrap()).run(CONNECTED);
    let ran = ran.refused(&unknown);
    assert!(ran.err.contains("likely cause: a proxy or firewall in between"), "{ran:?}");
    // A GET is all that this server answers: the doctor's, who asks for the time.
    for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let shell = Shell::new(&[REGION]).with("HTTPS_PROXY", &certified.proxy);
        let (_, found, _) = shell.with(name, certified.file.to_str().unwrap()).finds("clock");
        assert!(found.contains("amazonaws.com doesn't tell the time"), "{found}");
    }
    // As for the AWS CLI, the bundle is all that counts.
    let shell = shell().with("SSL_CERT_FILE", certified.file.to_str().unwrap());
    shell.with("AWS_CA_BUNDLE", other.file.to_str().unwrap()).run(CONNECTED).refused(&unknown);
}
