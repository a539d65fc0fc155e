//! HTTP proxies, as curl reads them: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, or in lower case.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use hyper_util::client::proxy::matcher::{Builder, Matcher};
use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use ::http::Uri;

/// How a request reaches its host.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    Direct,
    /// Through this proxy: its URL without user and password.
    Proxy(String),
}

/// The route to a URL by the environment's variables. This machine and its own link (where EC2 serves
/// credentials) are always reached directly, because a proxy would reach its own.
///
/// # Errors
/// The variable that should name the proxy doesn't hold the URL of one.
pub fn route(url: &str) -> Result<Route, BadProxy> {
    route_by(url, |name| std::env::var(name).ok())
}

fn route_by(url: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Route, BadProxy> {
    let Ok(url) = url.parse::<Uri>() else { return Ok(Route::Direct) };
    let first =
        |names: &[&'static str]| names.iter().find_map(|name| Some((*name, variable(name)?)));
    let of_scheme: [&'static str; 2] = match url.scheme_str() {
        Some("http") => ["HTTP_PROXY", "http_proxy"],
        _ => ["HTTPS_PROXY", "https_proxy"],
    };
    let proxy = first(&of_scheme).or_else(|| first(&["ALL_PROXY", "all_proxy"]));
    let Some((name, proxy)) = proxy.filter(|_| !is_here(&url)) else { return Ok(Route::Direct) };
    let (_, exempt) = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let proxy_of = |builder: Builder| builder.no(exempt.as_str()).build().intercept(&url);
    if proxy_of(Matcher::builder().all("http://proxy")).is_none() {
        return Ok(Route::Direct);
    }
    let proxy = proxy_of(Matcher::builder().all(proxy)).ok_or(BadProxy(name))?;
    match proxy.uri().scheme_str() {
        Some("http" | "https") => {
            Ok(Route::Proxy(proxy.uri().to_string().trim_end_matches('/').to_owned()))
        }
        _ => Err(BadProxy(name)),
    }
}

fn is_here(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address: IpAddr| match address {
            IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
            IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
        })
}

/// A variable that doesn't hold the URL of an HTTP proxy. The value isn't repeated: it may hold a password.
#[derive(Debug, PartialEq, Eq)]
pub struct BadProxy(&'static str);

impl fmt::Display for BadProxy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self(name) = self;
        write!(f, "{name} is not the URL of an HTTP proxy")
    }
}

impl Error for BadProxy {}

/// A request that failed on its way through a proxy, with the innermost cause.
#[derive(Debug)]
struct ThroughProxy(String);

impl fmt::Display for ThroughProxy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ThroughProxy {}

/// The same failure, which names the proxy.
pub fn blame(proxy: &str, error: &ConnectorError) -> ConnectorError {
    let cause: BoxError =
        ThroughProxy(format!("through the proxy {proxy}: {}", super::root(error))).into();
    if error.is_timeout() {
        ConnectorError::timeout(cause)
    } else if error.is_user() {
        ConnectorError::user(cause)
    } else {
        ConnectorError::io(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STS: &str = "https://sts.eu-west-1.amazonaws.com/";

    fn route(url: &str, variables: &[(&str, &str)]) -> Result<Route, BadProxy> {
        route_by(url, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn proxy(url: &str) -> Result<Route, BadProxy> {
        Ok(Route::Proxy(url.to_owned()))
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        assert_eq!(route(STS, &[]), Ok(Route::Direct));
        assert_eq!(route(STS, &[("HTTP_PROXY", "http://p:1")]), Ok(Route::Direct));
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            assert_eq!(route(STS, &[(name, "http://p:1")]), proxy("http://p:1"), "{name}");
        }
        assert_eq!(route("http://aws.test", &[("http_proxy", "p:1")]), proxy("http://p:1"));
    }

    #[test]
    fn no_proxy_is_heeded_and_this_machine_needs_none() {
        let both = |url: &str, exempt: &str| {
            let proxy = "http://p:1";
            let variables = [("HTTPS_PROXY", proxy), ("HTTP_PROXY", proxy), ("NO_PROXY", exempt)];
            route(url, &variables)
        };
        for exempt in ["*", "amazonaws.com", ".amazonaws.com, x"] {
            assert_eq!(both(STS, exempt), Ok(Route::Direct), "{exempt}");
        }
        assert_eq!(both(STS, "azonaws.com"), proxy("http://p:1"));
        for here in ["127.0.0.1:4566", "127.9.9.9", "localhost:1", "LocalHost", "[::1]:4566"] {
            assert_eq!(both(&format!("http://{here}/"), ""), Ok(Route::Direct), "{here}");
            assert_eq!(both(&format!("https://{here}/"), ""), Ok(Route::Direct), "{here}");
        }
        assert_eq!(both("http://169.254.169.254/latest", ""), Ok(Route::Direct));
        assert_eq!(both("http://localhost.test/", ""), proxy("http://p:1"));
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_value() {
        for value in ["socks5://p:1", "http://", "ftp://p", "user:secret word@p:1"] {
            let error = route(STS, &[("https_proxy", value)]).unwrap_err();
            assert_eq!(error.to_string(), "https_proxy is not the URL of an HTTP proxy");
            assert_eq!(route(STS, &[("https_proxy", value), ("no_proxy", "*")]), Ok(Route::Direct));
        }
        let secret = [("HTTPS_PROXY", "http://user:secret@p:1")];
        assert_eq!(route(STS, &secret), proxy("http://p:1"));
    }
}
