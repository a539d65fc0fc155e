//! What an endpoint promises its callers: the table in `stack.rs` is written with this, smoke
//! tests check it.

use crate::release::Release;
use anyhow::bail;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Written in `stack.rs`, or in the record of an earlier release.
type Text = &'static str;

/// One route and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    #[serde(deserialize_with = "kept")]
    pub method: Text,
    #[serde(deserialize_with = "kept")]
    pub path: Text,
    /// The binary in `functions/src/bin` that answers it.
    #[serde(deserialize_with = "kept")]
    pub function: Text,
    /// Whether the function is told `VERSION` and `GIT_SHA`.
    pub knows_release: bool,
    #[serde(deserialize_with = "kept")]
    pub content_type: Text,
    #[serde(deserialize_with = "kept")]
    pub body: Text,
    /// How often one key may call it: a second, and at once. The usage plan's, and no release's. None: only
    /// the limits of the whole plan and of the stage apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<(u32, u32)>,
    /// So many calls of its function may run at once, reserved for it. The function's, and no release's. None:
    /// as many as the account has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u16>,
}

/// These endpoints with what is reserved for their functions now: a function has that, whichever release serves.
pub fn reserved_now(mut endpoints: Vec<Endpoint>, now: &[Endpoint]) -> Vec<Endpoint> {
    for endpoint in &mut endpoints {
        if let Some(now) = now.iter().find(|now| now.function == endpoint.function) {
            endpoint.reserved = now.reserved;
        }
    }
    endpoints
}

/// What is read of a record lives as long as the program, which reads a few in all its life.
fn kept<'de, D: Deserializer<'de>>(text: D) -> Result<Text, D::Error> {
    String::deserialize(text).map(|text| &*text.leak())
}

/// `GET path`, answered by a function.
pub const fn get(path: &'static str, function: &'static str) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        function,
        knows_release: false,
        content_type: "application/json",
        body: "\"$ANY\"",
        limit: None,
        reserved: None,
    }
}

/// Finds settings that would be lost: a function is made from its first route, so what a later route says of the function
/// must be the same.
///
/// # Errors
/// Names the setting, its route, and the route where it counts.
pub fn check_shared_functions(endpoints: &[Endpoint]) -> anyhow::Result<()> {
    for (index, endpoint) in endpoints.iter().enumerate() {
        let same_function = |other: &&Endpoint| other.function == endpoint.function;
        let Some(first) = endpoints[..index].iter().find(same_function) else { continue };
        let setting = if endpoint.knows_release && !first.knows_release {
            "knows_release()"
        } else if endpoint.reserved.is_some() && endpoint.reserved != first.reserved {
            "reserved(…)"
        } else {
            continue;
        };
        bail!(
            "ENDPOINTS of deployer/src/stack.rs: {} has .{setting}, a setting of the function {}, which is made from \
             its first route, {}; move the setting there",
            endpoint.route(),
            endpoint.function,
            first.route()
        );
    }
    Ok(())
}

impl Endpoint {
    /// `GET /health`
    pub fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The function gets `VERSION` and `GIT_SHA`, and so a new version with every commit.
    pub const fn knows_release(self) -> Self {
        Self { knows_release: true, ..self }
    }

    pub const fn of_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// The JSON that it answers with 200.
    pub const fn answers(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    /// One key may call it so often a second, after a rest so often at once. At most 20 routes can have that.
    pub const fn limited(self, a_second: u32, at_once: u32) -> Self {
        Self { limit: Some((a_second, at_once)), ..self }
    }

    /// So many calls of its function may run at once, reserved for it; zero turns it off.
    pub const fn reserved(self, calls: u16) -> Self {
        Self { reserved: Some(calls), ..self }
    }

    /// Says what is wrong with an answer, if anything.
    pub fn judge(
        &self,
        status: u16,
        content_type: &str,
        body: &str,
        release: &Release,
    ) -> Result<(), String> {
        if status != 200 {
            return Err(format!("status {status} instead of 200"));
        }
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type != self.content_type {
            let wanted = self.content_type;
            return Err(format!("content type {content_type:?} instead of {wanted:?}"));
        }
        self.check_body(body, release)
    }

    /// Says what is wrong with a body, if anything.
    pub fn check_body(&self, body: &str, release: &Release) -> Result<(), String> {
        let Ok(is) = serde_json::from_str::<Value>(body) else {
            return Err("the body is not JSON".to_owned());
        };
        let promise =
            (self.body).replace("$VERSION", &release.version).replace("$GIT_SHA", &release.git_sha);
        let wanted: Value = serde_json::from_str(&promise)
            .map_err(|error| format!("its line in stack.rs is not JSON: {error}"))?;
        matches("body", &wanted, &is)
    }
}

fn matches(path: &str, wanted: &Value, is: &Value) -> Result<(), String> {
    match (wanted, is) {
        (Value::String(any), _) if any == "$ANY" => Ok(()),
        (Value::Object(wanted), Value::Object(is)) => {
            if let Some(extra) = is.keys().find(|key| !wanted.contains_key(*key)) {
                return Err(format!("{path}.{extra} is not part of the promise"));
            }
            for (key, wanted) in wanted {
                let path = format!("{path}.{key}");
                let is = is.get(key).ok_or_else(|| format!("{path} is missing"))?;
                matches(&path, wanted, is)?;
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(is)) if wanted.len() == is.len() => {
            let pairs = wanted.iter().zip(is).enumerate();
            pairs.into_iter().try_for_each(|(i, (w, is))| matches(&format!("{path}[{i}]"), w, is))
        }
        _ if wanted == is => Ok(()),
        _ => Err(format!("{path} is {is}, not {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: Endpoint = get("/metadata", "metadata")
        .answers(r#"{"app": [{"version": "$VERSION", "sha": "$GIT_SHA", "more": "$ANY"}]}"#);

    fn check(body: &str) -> Result<(), String> {
        METADATA.check_body(body, &Release::stated("1.2.3", "abc"))
    }

    #[test]
    fn a_kept_promise_passes() {
        check(r#"{"app":[{"sha":"abc","version":"1.2.3","more":{"x":1}}]}"#).unwrap();
    }

    #[test]
    fn a_broken_promise_is_named() {
        for (body, says) in [
            ("<html>", "not JSON"),
            (r#"{"app":[{"sha":"abc","version":"1.2.4","more":0}]}"#, "body.app[0].version is"),
            (r#"{"app":[{"sha":"abc","version":"1.2.3"}]}"#, "body.app[0].more is missing"),
            (r#"{"app":[],"x":1}"#, "body.x is not part"),
            (r#"{"app":[]}"#, "body.app is []"),
            ("[]", "body is []"),
        ] {
            let error = check(body).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
    }
}
