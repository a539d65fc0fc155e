//! `deployer invoke` and `open`: one call as a caller makes it, and where callers call.

use super::run::{connect, deployed};
use super::screen::{BAD, DIM, GOOD, can_ask, paint, result, say, time};
use super::{Common, Exit};
use crate::http::get;
use crate::resources::SecretParameter;
use crate::run::Run;
use anyhow::{Result, anyhow};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Instant;

pub const EXAMPLES: &str = "\
The body goes to stdout, status and time to stderr. From 400 on the exit code is 1.

Examples:
  deployer invoke health
  deployer invoke /metadata | jq .
  deployer invoke /health?deep=1 --json";

pub const OPEN_EXAMPLES: &str = "\
In a terminal with xdg-open also opens a browser, which has no key: expect 403.

Example:
  deployer open health";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A function, or a path of the API
    #[arg(value_name = "NAME|/PATH")]
    target: String,
}

#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// A function, or a path of the API
    #[arg(default_value = "/", value_name = "NAME|/PATH")]
    target: String,
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let path = path(common, &args.target)?;
    let aws = connect(common).await?;
    let url = url(common, &aws, &path).await?;
    let key = SecretParameter::value(&aws, &aws.env.parameter("api-key")).await?;
    let began = Instant::now();
    let answer = get(&aws.http, &url, &[("x-api-key", key.reveal())]).await;
    let took = began.elapsed();
    let answer = answer.map_err(|error| anyhow!("calling {url}: no answer: {error}"))?;
    let good = answer.status < 400;
    // A handler may repeat what it was sent.
    let body = answer.body.replace(key.reveal(), &key.to_string());
    if common.json {
        let parsed: Option<Value> = serde_json::from_str(&body).ok();
        result(json!({
            "url": url,
            "status": answer.status,
            "milliseconds": took.as_millis(),
            "content_type": answer.content_type,
            "body": parsed.unwrap_or(Value::String(body)),
        }));
    } else {
        let status = paint(if good { GOOD } else { BAD }, answer.status);
        say(format!("{status} {}", paint(DIM, format!("{} GET {url}", time(took)))));
        result(body.trim_end());
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

pub async fn open(common: &Common, args: &OpenArgs) -> Result<Exit> {
    let path = path(common, &args.target)?;
    let aws = connect(common).await?;
    let url = url(common, &aws, &path).await?;
    result(&url);
    if can_ask() {
        let quiet = || Stdio::null();
        // Where there is no browser, the URL is printed all the same.
        let _ = Command::new("xdg-open").arg(&url).stdout(quiet()).stderr(quiet()).spawn();
    }
    Ok(Exit::Done)
}

async fn url(common: &Common, aws: &Run, path: &str) -> Result<String> {
    let deployed = deployed(common, aws).await?;
    Ok(format!("{}{path}", aws.url(&deployed.api)))
}

/// What a URL can't hold of a path and its query; besides everything that isn't ASCII.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Path and query as they are sent. What is percent-encoded already stays as it is.
fn encoded(target: &str) -> String {
    let mut pieces = target.split('%');
    let first = pieces.next().unwrap_or_default();
    let encode = |text: &str| utf8_percent_encode(text, UNFIT).to_string();
    pieces.fold(encode(first), |done, piece| {
        let digits = piece.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
        let percent = if digits == 2 { "%" } else { "%25" };
        done + percent + &encode(piece)
    })
}

/// The path itself, or the first that the function answers.
fn path(common: &Common, target: &str) -> Result<String> {
    if target.starts_with('/') {
        return Ok(encoded(target));
    }
    let named = common.app.endpoints.iter().find(|endpoint| endpoint.function == target);
    let known = || common.app.functions().into_iter().collect::<Vec<_>>().join(", ");
    let named =
        named.ok_or_else(|| anyhow!("no function is called {target:?}; there are {}", known()));
    named.map(|endpoint| endpoint.path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn path_and_query_are_encoded_once() {
        for (typed, sent) in [
            ("/", "/"),
            ("/health?deep=1&a=b", "/health?deep=1&a=b"),
            ("/a b?c=d e#f", "/a%20b?c=d%20e%23f"),
            ("/caf\u{e9}?q=\u{20ac}\"", "/caf%C3%A9?q=%E2%82%AC%22"),
            ("/a%20b?c=%2F", "/a%20b?c=%2F"),
            ("/100%?p=%zz%", "/100%25?p=%25zz%25"),
        ] {
            assert_eq!(encoded(typed), sent, "{typed}");
        }
    }
}
