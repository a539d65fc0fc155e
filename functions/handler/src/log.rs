//! The log: a JSON line a request on standard output, which Lambda hands to CloudWatch.

use std::io::{self, Write};

use serde::Serialize;

/// The line for one request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Lambda's id of the invocation, as in its own `START` and `REPORT` lines.
    pub request_id: String,
    /// Absent if the event could not be read; so is the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Without the stage, as the client encoded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of the answer.
    pub status: u16,
    /// From the event's arrival to the answer's departure, to the microsecond.
    pub milliseconds: f64,
    /// Why the answer is a 500: the error and its causes, or the panic's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Entry {
    pub(crate) fn of(request_id: &str) -> Self {
        let request_id = request_id.to_owned();
        Entry { request_id, method: None, path: None, status: 0, milliseconds: 0.0, error: None }
    }
}

/// Writes `record` as one line. A log that cannot be written has nowhere to be complained about.
pub(crate) fn write(record: &impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(record) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Makes a panic a JSON line that says where, instead of several lines of plain text.
pub(crate) fn panics_as_json() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        write(&serde_json::json!({ "panic": place }));
    }));
}
