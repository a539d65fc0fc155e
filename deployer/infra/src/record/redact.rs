//! What a recording must not tell: replaced by words that are the same for the same within a file.
//!
//! First by structure, for each format by the names that AWS has for things. Then, over the whole line as it
//! is written, by shape (account ids, addresses, names in ARNs, signatures in URLs) and by every secret that
//! was seen, in each way in which it may be written.

use super::body::Body;
use super::{Answer, Exchange};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use regex_lite::{Captures, Regex};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::LazyLock;

/// Headers that are kept. All others lose their value: signatures, tokens, keys, callers' addresses, logs.
const HEADERS: [&str; 22] = [
    "accept",
    "content-length",
    "content-type",
    "date",
    "etag",
    "if-match",
    "if-none-match",
    "last-modified",
    "retry-after",
    "smithy-protocol",
    "x-amz-bucket-region",
    "x-amz-executed-version",
    "x-amz-expected-bucket-owner",
    "x-amz-function-error",
    "x-amz-invocation-type",
    "x-amz-log-type",
    "x-amz-request-id",
    "x-amz-target",
    "x-amz-version-id",
    "x-amzn-errortype",
    "x-amzn-query-error",
    "x-amzn-requestid",
];

/// Environment variables that the deployer sets itself, with what a recording tells elsewhere too.
const SHOWN: [&str; 2] = ["VERSION", "GIT_SHA"];

/// Names of values that are credentials, in lower case.
const SECRETS: [&str; 14] = [
    "accesskeyid",
    "secretaccesskey",
    "sessiontoken",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "clientsecret",
    "devicecode",
    "password",
    "webidentitytoken",
    "samlassertion",
    "tokencode",
    "zipfile",
];

/// Names of who did something, in lower case; `holder` and `who` are those of the lease and of releases.
const PEOPLE: [&str; 10] = [
    "assumedroleid",
    "displayname",
    "holder",
    "rolesessionname",
    "serialnumber",
    "sourceidentity",
    "subjectfromwebidentitytoken",
    "userid",
    "username",
    "who",
];

/// Shorter values are words like any other, and are replaced only where they are known to be meant.
const SHORTEST: usize = 8;

/// Replaces, and remembers by what.
#[derive(Default)]
pub struct Redactor {
    replaced: BTreeMap<(Kind, String), String>,
    /// Secrets and names, to be found wherever they are.
    known: BTreeSet<(usize, String, String)>,
    /// Values of environment variables, which may be words; AWS's errors repeat them.
    values: BTreeSet<(usize, String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Secret,
    Person,
    Value,
    Account,
    Address,
}

struct Shapes {
    access_key: Regex,
    person: Regex,
    email: Regex,
    presigned: Regex,
    digits: Regex,
    ipv4: Regex,
    ipv6: Regex,
    xml: Regex,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::new);

impl Shapes {
    /// A separator is plain, percent-encoded, or both (a query within a form).
    fn new() -> Self {
        #[allow(clippy::unwrap_used, reason = "constants, which a test compiles")]
        let regex = |text| Regex::new(text).unwrap();
        let name = r#"[^"\\<>\s&,:%;()]+(?:%(?:25)?40[^"\\<>\s&,:%;()]+)?"#;
        let (colon, slash) = ("(?::|%(?:25)?3[Aa])", "(?:/|%(?:25)?2[Ff])");
        let user = format!("user{slash}");
        let session = format!(r#"assumed-role{slash}[^"\\<>\s/%:]+{slash}"#);
        let federated = format!("federated-user{slash}");
        Self {
            access_key: regex(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"),
            person: regex(&format!("({colon}(?:{user}|{session}|{federated}))({name})")),
            email: regex(r"[A-Za-z0-9._+-]+(?:@|%(?:25)?40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
            presigned: regex(
                r#"((?i:X-Amz-(?:Credential|Security-Token|Signature))(?:=|%3D))[^&"\\<\s]+"#,
            ),
            digits: regex(r"[0-9]+"),
            ipv4: regex(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"),
            ipv6: regex(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"),
            xml: regex(r"<(ID|[A-Za-z]+)>([^<]+)</"),
        }
    }
}

impl Redactor {
    /// The line to be written.
    pub fn line(&mut self, mut exchange: Exchange) -> String {
        let place = Place {
            service: exchange.service.clone().unwrap_or_default(),
            operation: exchange.operation.clone().unwrap_or_default(),
            // Credentials in plain text, for machines in AWS.
            metadata: exchange.host.starts_with("169.254.")
                || exchange.host.starts_with("[fd00:ec2"),
        };
        headers(&mut exchange.headers);
        exchange.query = self.pairs(&exchange.query);
        self.body(&mut exchange.body, &place);
        match &mut exchange.answer {
            Answer::Answered { status, headers: all, body } => {
                headers(all);
                self.body(body, &place);
                if *status >= 400 {
                    self.error(body);
                }
            }
            Answer::Unanswered { .. } => {}
        }
        let line = serde_json::to_string(&exchange).unwrap_or_default();
        self.sweep(&line)
    }

    fn body(&mut self, body: &mut Body, place: &Place) {
        match body {
            Body::Empty | Body::Bytes { .. } => {}
            Body::Text(text) if place.metadata => *text = self.replace(Kind::Secret, text),
            Body::Json(value) | Body::Cbor(value) => self.json(value, place),
            Body::Text(text) if text.trim_start().starts_with('<') => *text = self.xml(text),
            Body::Text(text) => *text = self.pairs(text),
        }
    }

    fn json(&mut self, value: &mut Value, place: &Place) {
        match value {
            Value::Object(fields) => {
                let secure = fields.get("Type").is_some_and(|kind| kind == "SecureString");
                // Not of a patch, whose paths hold no secret.
                let key = place.service == "apigateway" && !fields.contains_key("op");
                for (name, value) in fields {
                    let secret = name == "Value" && secure || name == "value" && key;
                    self.field(name, value, secret, place);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item, place)),
            Value::String(text) => {
                // A document within the document: a policy, a dashboard, a function's answer.
                let inner = serde_json::from_str(text);
                if let Ok(mut inner @ (Value::Object(_) | Value::Array(_))) = inner {
                    let before = inner.clone();
                    self.json(&mut inner, place);
                    if inner != before {
                        *text = inner.to_string();
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn field(&mut self, name: &str, value: &mut Value, secret: bool, place: &Place) {
        let lower = name.to_lowercase();
        let log = name == "log" && place.service == "apigateway"
            || name == "message" && place.operation.contains("LogEvents");
        match value {
            Value::Object(variables) if name == "Variables" => {
                for (variable, value) in variables {
                    if let (Value::String(text), false) = (value, SHOWN.contains(&&**variable)) {
                        *text = self.replace(Kind::Value, text);
                    }
                }
            }
            Value::String(text) if secret || SECRETS.contains(&&*lower) => {
                *text = self.replace(Kind::Secret, text);
            }
            Value::String(text) if PEOPLE.contains(&&*lower) => {
                *text = self.replace(Kind::Person, text);
            }
            Value::String(text) if log => *text = format!("(log text of {} bytes)", text.len()),
            _ => self.json(value, place),
        }
    }

    /// Elements without others in them. IAM's have policies percent-encoded.
    fn xml(&mut self, text: &str) -> String {
        let element = |found: &Captures<'_>| {
            let (name, value) = (&found[1], &found[2]);
            // Of S3's owners `ID`; other ids are `Id`.
            let value = if name == "ID" {
                self.replace(Kind::Person, value)
            } else {
                self.encoded(name, value)
            };
            format!("<{name}>{value}</")
        };
        SHAPES.xml.replace_all(text, element).into_owned()
    }

    /// A query, or a form.
    fn pairs(&mut self, text: &str) -> String {
        let pair = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => format!("{name}={}", self.encoded(name, value)),
            None => pair.to_owned(),
        };
        text.split('&').map(pair).collect::<Vec<_>>().join("&")
    }

    /// What may be percent-encoded, and stays as it is where nothing is replaced in it.
    fn encoded(&mut self, name: &str, value: &str) -> String {
        let plain = percent_decode_str(value).decode_utf8_lossy().into_owned();
        let named = self.named(name, &plain);
        let swept = self.sweep(&named);
        if swept == plain {
            value.to_owned()
        } else if plain == value {
            swept
        } else {
            utf8_percent_encode(&swept, NON_ALPHANUMERIC).to_string()
        }
    }

    fn named(&mut self, name: &str, value: &str) -> String {
        let lower = name.to_lowercase();
        if SECRETS.contains(&&*lower) {
            self.replace(Kind::Secret, value)
        } else if PEOPLE.contains(&&*lower) {
            self.replace(Kind::Person, value)
        } else {
            value.to_owned()
        }
    }

    /// Lambda's errors repeat a function's environment.
    fn error(&self, body: &mut Body) {
        let values = |text: &str| substitute(text, &self.values);
        match body {
            Body::Text(text) => *text = values(text),
            Body::Json(value) | Body::Cbor(value) => {
                if let Ok(less) = serde_json::from_str(&values(&value.to_string())) {
                    *value = less;
                }
            }
            Body::Empty | Body::Bytes { .. } => {}
        }
    }

    /// What stands for it from now on.
    fn replace(&mut self, kind: Kind, value: &str) -> String {
        // The id of an account's root user is the account's.
        let root = value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit());
        let kind = if root { Kind::Account } else { kind };
        if value.is_empty()
            || self.replaced.iter().any(|((of, _), new)| *of == kind && new == value)
        {
            return value.to_owned();
        }
        let number = self.replaced.keys().filter(|(of, _)| *of == kind).count() + 1;
        let new = match kind {
            // As long as an API key must be (20 to 128 characters).
            Kind::Secret => format!("redacted-secret-{number:04}"),
            Kind::Person => format!("person-{number}"),
            Kind::Value => format!("value-{number}"),
            Kind::Account => format!("{}", 111_111_111_110 + number),
            // Kept free for examples (RFC 5737).
            Kind::Address => format!("192.0.2.{number}"),
        };
        let key = (kind, value.to_owned());
        let new = self.replaced.entry(key).or_insert(new).clone();
        let written = [
            value.to_owned(),
            utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
            serde_json::to_string(value).unwrap_or_default().trim_matches('"').to_owned(),
            STANDARD.encode(value),
        ];
        let known = match kind {
            Kind::Value => &mut self.values,
            _ => &mut self.known,
        };
        if value.len() >= SHORTEST && matches!(kind, Kind::Secret | Kind::Person | Kind::Value) {
            // Longest first, as the set is read backwards: one may be part of another.
            known.extend(written.map(|text| (text.len(), text, new.clone())));
        }
        new
    }

    fn sweep(&mut self, line: &str) -> String {
        let line = SHAPES.presigned.replace_all(line, "${1}redacted");
        let access_key = |found: &Captures<'_>| self.replace(Kind::Secret, &found[0]);
        let line = SHAPES.access_key.replace_all(&line, access_key);
        let named = |found: &Captures<'_>| {
            let name = percent_decode_str(&found[2]).decode_utf8_lossy().into_owned();
            format!("{}{}", &found[1], self.replace(Kind::Person, &name))
        };
        let line = SHAPES.person.replace_all(&line, named);
        let email = |found: &Captures<'_>| {
            let plain = found[0].replace("%2540", "@").replace("%40", "@");
            self.replace(Kind::Person, &plain)
        };
        let line = SHAPES.email.replace_all(&line, email);
        let line = substitute(&line, &self.known);
        let line = self.accounts(&line);
        self.addresses(&line)
    }

    /// Twelve digits by themselves. What stands before them may be percent-encoded: `%3A123456789012`.
    fn accounts(&mut self, line: &str) -> String {
        SHAPES
            .digits
            .replace_all(line, |found: &Captures<'_>| {
                let run = found.get(0).map_or(0..0, |run| run.range());
                let (before, after) = (&line[..run.start], &line[run.end..]);
                let skip = if before.ends_with('%') { 2 } else { 0 };
                let encoded = before.len() > 2 && before.as_bytes()[before.len() - 3] == b'%';
                let word = |c: char| c.is_ascii_alphanumeric();
                let apart = encoded || skip > 0 || !before.ends_with(word);
                match found[0].split_at_checked(skip) {
                    Some((escape, id)) if id.len() == 12 && apart && !after.starts_with(word) => {
                        format!("{escape}{}", self.replace(Kind::Account, id))
                    }
                    _ => found[0].to_owned(),
                }
            })
            .into_owned()
    }

    /// But this machine's own.
    fn addresses(&mut self, line: &str) -> String {
        let line = SHAPES.ipv4.replace_all(line, |found: &Captures<'_>| {
            let is_address = found[0].split('.').all(|part| part.parse::<u8>().is_ok());
            let own = found[0].starts_with("127.") || found[0].starts_with("192.0.2.");
            match is_address && !own {
                true => self.replace(Kind::Address, &found[0]),
                false => found[0].to_owned(),
            }
        });
        let line = SHAPES.ipv6.replace_all(&line, |found: &Captures<'_>| {
            let colons = found[0].matches(':').count();
            match found[0].parse::<Ipv6Addr>().is_ok() && colons > 2 {
                true => self.replace(Kind::Address, &found[0]),
                false => found[0].to_owned(),
            }
        });
        line.into_owned()
    }
}

/// Where something comes from.
struct Place {
    service: String,
    operation: String,
    metadata: bool,
}

fn headers(all: &mut BTreeMap<String, String>) {
    let lost = all.iter_mut().filter(|(name, _)| !HEADERS.contains(&name.as_str()));
    lost.for_each(|(_, value)| *value = "redacted".to_owned());
}

fn substitute(text: &str, known: &BTreeSet<(usize, String, String)>) -> String {
    known.iter().rev().fold(text.to_owned(), |text, (_, old, new)| text.replace(old, new))
}

#[cfg(test)]
mod tests;
