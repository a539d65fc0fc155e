//! Printing: where things go, in which colours, and whether anybody is there to ask.

use super::Color;
use crate::engine::{Stop, Stopped};
use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use std::fmt::{self, Display};
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const CHANGED: Style = AnsiColor::Yellow.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const DIM: Style = Style::new().dimmed();
pub const BOLD: Style = Style::new().bold();

pub fn choose_colors(color: Color) {
    match color {
        Color::Auto => {} // anstream looks at the terminal, NO_COLOR and CLICOLOR itself
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Text in a style; stripped again where colours aren't wanted.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// What a run inside a test said: both streams, without colours.
#[derive(Clone, Debug, Default)]
pub struct Said(Arc<Mutex<(String, String)>>);

impl Said {
    /// Standard output and standard error, as far as the run has come.
    pub fn so_far(&self) -> (String, String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

tokio::task_local! {
    static EAR: Said;
}

/// Runs with everything said going to `ear` instead of the terminal.
pub async fn overheard<T>(ear: Said, run: impl Future<Output = T>) -> T {
    EAR.scope(ear, run).await
}

/// Whether what is said goes to a test instead of the terminal.
pub fn is_overheard() -> bool {
    EAR.try_with(|_| ()).is_ok()
}

/// Whether somebody overhears us, and so has heard the text.
fn heard(text: &impl Display, choose: fn(&mut (String, String)) -> &mut String) -> bool {
    let hear = |ear: &Said| {
        let mut said = ear.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.to_string();
        let stream = choose(&mut said);
        stream.push_str(&anstream::adapter::strip_str(&text).to_string());
        stream.push('\n');
    };
    EAR.try_with(hear).is_ok()
}

/// The first result that could not be written, and why.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Why a result is lost that was to be written to standard output.
pub fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// A closed pipe is the reader's choice, not an error.
pub fn note_unwritten(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = UNWRITTEN.set(error);
    }
}

/// A result, for people or programs to read. What becomes of it is told by [`unwritten`].
pub fn result(text: impl Display) {
    if heard(&text, |(out, _)| out) {
        return;
    }
    let mut out = anstream::stdout().lock();
    note_unwritten(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Anything that isn't a result.
pub fn say(text: impl Display) {
    if heard(&text, |(_, err)| err) {
        return;
    }
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// True when a person sits at both ends.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A run has to ask a question, and standard input or standard error is no terminal.
#[derive(Debug)]
pub struct NobodyToAsk;

impl fmt::Display for NobodyToAsk {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("this asks before it changes anything, and there is no terminal to ask on")
    }
}

impl std::error::Error for NobodyToAsk {}

/// Asks, and waits for a line; other things go on meanwhile. None when the input has ended.
///
/// # Errors
/// [`NobodyToAsk`] without a terminal.
pub async fn ask(question: impl Display) -> Result<Option<String>, NobodyToAsk> {
    if !can_ask() {
        return Err(NobodyToAsk);
    }
    let question = format!("{question} ");
    let answer = tokio::task::spawn_blocking(move || {
        let mut err = anstream::stderr().lock();
        let _ = err.write_all(question.as_bytes()).and_then(|()| err.flush());
        drop(err);
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 => Some(line.trim().to_owned()),
            _ => None,
        }
    });
    Ok(answer.await.ok().flatten())
}

/// Asks for a yes; anything else is a no. The run may be asked to stop meanwhile.
///
/// # Errors
/// [`Stopped`] when it is; [`NobodyToAsk`] without a terminal.
pub async fn agrees(question: impl Display, stop: &Stop) -> Result<bool> {
    let answer = tokio::select! {
        answer = ask(format!("{question} [y/N]")) => answer?.unwrap_or_default(),
        () = stop.wait() => bail!(Stopped),
    };
    Ok(["y", "yes"].contains(&answer.to_lowercase().as_str()))
}

/// "840 ms", "12.3 s", "2 min 05 s".
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds:.1} s"),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// "3 functions", "1 role".
pub fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
