//! HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

use crate::server::{CONNECTED, Server};
use crate::shell::{SOMEBODY, Shell};

#[test]
fn https_goes_through_a_tunnel_that_the_proxy_may_refuse() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let proxy = Server::new(403, "");
        let url = format!("http://me:a-proxy-password@{}", proxy.address);
        let ran = Shell::new(&SOMEBODY).with(name, &url).run(CONNECTED);
        ran.refused(&[
            &format!("through the proxy http://{}: tunnel error: unsuccessful", proxy.address),
            "likely cause: the proxy ",
            "NO_PROXY",
        ]);
        let heard = proxy.heard();
        assert!(heard[0].starts_with("CONNECT sts.ap-southeast-2.amazonaws.com:443 "), "{heard:?}");
        assert!(heard[0].contains("Proxy-Authorization: Basic "), "{heard:?}");
    }
}

#[test]
fn http_is_asked_of_the_proxy_by_its_whole_url() {
    let proxy = Server::sts();
    for name in ["HTTP_PROXY", "http_proxy"] {
        let shell = Shell::new(&SOMEBODY).with("AWS_ENDPOINT_URL", "http://aws.test:4566");
        let ran = shell.with(name, &proxy.url()).run(CONNECTED);
        assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{ran:?}");
    }
    let heard = proxy.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("POST http://aws.test:4566/ HTTP/1.1"), "{heard:?}");
}

#[test]
fn this_machine_is_reached_without_a_proxy_and_so_is_what_no_proxy_names() {
    let (proxy, sts) = (Server::new(502, ""), Server::sts());
    let port = sts.address.split(':').nth(1).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        for exempt in ["", "somewhere.else"] {
            let shell = Shell::new(&SOMEBODY)
                .with("AWS_ENDPOINT_URL", &format!("http://{host}:{port}"))
                .with("HTTP_PROXY", &proxy.url())
                .with("https_proxy", &proxy.url())
                .with("NO_PROXY", exempt);
            let ran = shell.run(CONNECTED);
            assert!(ran.err.contains("\"Dev\" cannot be used in AWS names"), "{ran:?}");
        }
    }
    let shell = Shell::new(&SOMEBODY)
        .with("AWS_ENDPOINT_URL", "http://no-such-host.test")
        .with("HTTP_PROXY", &proxy.url())
        .with("no_proxy", ".test");
    shell.run(CONNECTED).refused(&["dns error"]);
    assert_eq!(proxy.heard(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_is_none_is_told_at_once() {
    for url in ["socks5://me:a-proxy-password@proxy:1080", "me:a-proxy-password@a b"] {
        let ran = Shell::new(&SOMEBODY).with("HTTPS_PROXY", url).run(CONNECTED);
        ran.refused(&["HTTPS_PROXY is not the URL of an HTTP proxy", "http://HOST:PORT"]);
    }
}

#[test]
fn a_proxy_that_does_not_answer_is_blamed_and_not_the_region() {
    let ran =
        Shell::new(&SOMEBODY).with("HTTPS_PROXY", "http://no-such-proxy.test:1").run(CONNECTED);
    let ran = ran.refused(&["through the proxy http://no-such-proxy.test:1", "cause: the proxy "]);
    assert!(!ran.err.contains("region that doesn't exist"), "{ran:?}");
}
