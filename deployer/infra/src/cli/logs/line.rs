//! One line of a log, for people and for programs.

use crate::cli::screen::{BAD, DIM, paint};
use anstyle::{AnsiColor, Style};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Value, json};

/// A line, and who wrote it.
pub struct Line {
    /// A function's short name, or `gateway`.
    pub source: String,
    /// Milliseconds since 1970.
    pub time: i64,
    pub message: String,
}

/// What Lambda writes where there is no answer: the process ended, or its time did.
const ENDS: [&str; 5] =
    ["Task timed out", "Runtime exited", "Runtime.ExitError", "Status: timeout", "Status: error"];

/// Of each source always the same, of two next to each other in the alphabet never.
const COLORS: [AnsiColor; 5] =
    [AnsiColor::Cyan, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Green, AnsiColor::Yellow];

impl Line {
    fn parsed(&self) -> Option<Value> {
        serde_json::from_str(&self.message).ok().filter(Value::is_object)
    }

    /// Whether it tells of a failure of ours. That a caller did wrong is none.
    pub fn is_error(&self) -> bool {
        let Some(fields) = self.parsed() else {
            return ENDS.iter().any(|end| self.message.contains(end));
        };
        let status = &fields["status"];
        let status = status.as_u64().or_else(|| status.as_str()?.parse().ok());
        status.is_some_and(|status| status >= 500)
            || !fields["panic"].is_null()
            || !fields["errorType"].is_null()
    }

    /// Lambda's lines around each call that tell nothing else.
    pub fn is_ceremony(&self) -> bool {
        self.message.starts_with("START RequestId: ") || self.message.starts_with("END RequestId: ")
    }

    /// Lambda's id of the call that it belongs to: the gateway's line has it too.
    pub fn request_id(&self) -> Option<String> {
        if let Some(fields) = self.parsed() {
            let id =
                fields.get("functionRequestId").or_else(|| fields.get("requestId"))?.as_str()?;
            return Some(id.to_owned()).filter(|id| id.len() > 1); // "-" is nobody's
        }
        let (_, rest) = self.message.split_once("RequestId: ")?;
        rest.split_whitespace().next().map(ToOwned::to_owned)
    }

    /// With colours; `width` is that of the widest source.
    pub fn text(&self, width: usize) -> String {
        let Self { source, message, .. } = self;
        let id: String = self.request_id().unwrap_or_default().chars().take(8).collect();
        let style = match self.is_error() {
            true => BAD,
            false => Style::new(),
        };
        format!(
            "{} {} {} {}",
            paint(DIM, self.utc().get(11..23).unwrap_or_default()),
            paint(color(source), format!("{source:<width$}")),
            paint(DIM, format!("{id:<8}")),
            paint(style, harmless(message.trim_end())),
        )
    }

    /// One object; the message as an object too, if it is one.
    pub fn json(&self) -> String {
        let message = self.parsed().unwrap_or_else(|| self.message.trim_end().into());
        let line = json!({
            "time": self.utc(),
            "source": self.source,
            "request_id": self.request_id(),
            "error": self.is_error(),
            "message": message,
        });
        line.to_string()
    }

    /// `2026-11-24T18:05:00.123Z`.
    fn utc(&self) -> String {
        let date = DateTime::from_millis(self.time);
        let text = date.fmt(Format::DateTime).unwrap_or_default();
        let seconds = text.get(..19).unwrap_or_default();
        format!("{seconds}.{:03}Z", self.time.rem_euclid(1000))
    }
}

fn color(source: &str) -> Style {
    let first = source.bytes().next().unwrap_or_default();
    COLORS[usize::from(first) % COLORS.len()].on_default()
}

/// Callers have a say in what is logged: a terminal must not obey them.
fn harmless(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> Line {
        Line { source: "health".to_owned(), time: 1_767_225_600_007, message: message.to_owned() }
    }

    #[test]
    fn failures_of_ours_are_errors_and_mistakes_of_callers_are_not() {
        for (message, is_error) in [
            (r#"{"requestId":"a","status":500,"error":"no"}"#, true),
            (r#"{"requestId":"a","status":503}"#, true),
            (r#"{"requestId":"a","status":"502"}"#, true),
            (r#"{"panic":"src/bin/health.rs:3:1"}"#, true),
            (r#"{"errorType":"Runtime.ExitError","errorMessage":"…"}"#, true),
            ("2026-01-01T00:00:00Z 0-0 Task timed out after 5.00 seconds", true),
            ("RequestId: a Error: Runtime exited with error: signal: killed", true),
            ("REPORT RequestId: a\tDuration: 5000.00 ms\tStatus: timeout", true),
            (r#"{"requestId":"a","status":"403"}"#, false),
            (r#"{"status":"-","functionStatus":"-","error":"-"}"#, false),
            (r#"{"status":"502","functionStatus":"200","error":"-"}"#, true),
            (r#"{"requestId":"a","status":200,"milliseconds":500.0}"#, false),
            ("REPORT RequestId: a\tDuration: 500.00 ms", false),
            ("500", false),
            ("", false),
        ] {
            assert_eq!(line(message).is_error(), is_error, "{message}");
        }
    }

    #[test]
    fn lines_of_a_request_have_the_same_id_whoever_wrote_them() {
        for message in [
            "START RequestId: 4f5b-1 Version: 3",
            "REPORT RequestId: 4f5b-1\tDuration: 1 ms",
            r#"{"requestId":"4f5b-1","status":200}"#,
            r#"{"requestId":"another","functionRequestId":"4f5b-1","status":"200"}"#,
        ] {
            assert_eq!(line(message).request_id().as_deref(), Some("4f5b-1"), "{message}");
        }
        let refused = line(r#"{"requestId":"x","functionRequestId":"-","status":"403"}"#);
        assert_eq!(refused.request_id(), None);
        assert_eq!(line("hello").request_id(), None);
    }

    #[test]
    fn text_has_time_source_and_request_and_commands_no_terminal() {
        let text = line("START RequestId: 0123456789 \u{1b}[31mred\u{7}\n").text(8);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "00:00:00.007 health   01234567 START RequestId: 0123456789  [31mred ");
    }

    /// As the access log of other deployers, or of earlier releases of this one, may have them.
    #[test]
    fn line_that_is_not_json_is_shown_as_it_is() {
        let broken = line("{\"status\":\"200\",\"error\":\"a \"quoted\u{1b} word\"}\n");
        let text = broken.text(8);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.ends_with(r#" {"status":"200","error":"a "quoted  word"}"#), "{plain}");
        let json: Value = serde_json::from_str(&broken.json()).unwrap();
        assert_eq!(json["message"], "{\"status\":\"200\",\"error\":\"a \"quoted\u{1b} word\"}");
    }

    #[test]
    fn json_keeps_objects() {
        let json: Value = serde_json::from_str(&line(r#"{"status":"502"}"#).json()).unwrap();
        let (time, status) = (&json["time"], &json["message"]["status"]);
        assert_eq!((time, status), (&json!("2026-01-01T00:00:00.007Z"), &json!("502")));
        assert_eq!((&json["error"], &json["source"]), (&json!(true), &json!("health")));
    }
}
