//! What a walk looks like while it runs: a line a step, moving on a terminal, plain elsewhere.

use super::screen::{BAD, CHANGED, DIM, GOOD, is_overheard, paint, say, time};
use crate::engine::{Action, Event, Observer, Plan};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shows the steps of a plan as they are carried out.
pub struct Progress {
    /// Title and verb by index; nothing for steps that do nothing.
    lines: Vec<Option<(String, &'static str, &'static str)>>,
    moving: Option<MultiProgress>,
    spinners: Mutex<HashMap<usize, ProgressBar>>,
    width: usize,
}

impl Progress {
    pub fn of(plan: &Plan) -> Arc<Self> {
        let verbs = |action| match action {
            Action::Create => Some(("creating", "created")),
            Action::Update => Some(("updating", "updated")),
            Action::Delete => Some(("deleting", "deleted")),
            Action::Keep => None,
        };
        let line = |step: &crate::engine::Step| {
            verbs(step.action).map(|(doing, done)| (step.title(), doing, done))
        };
        let lines: Vec<_> = plan.steps.iter().map(line).collect();
        let width = lines.iter().flatten().map(|(title, ..)| title.chars().count()).max();
        Arc::new(Self {
            width: width.unwrap_or(0).min(60),
            lines,
            moving: can_move().then(MultiProgress::new),
            spinners: Mutex::default(),
        })
    }

    fn line(&self, text: &str) {
        match &self.moving {
            Some(moving) => moving.suspend(|| say(text)),
            None => say(text),
        }
    }

    fn spinner(&self, node: usize) -> Option<ProgressBar> {
        self.spinners.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    fn start(&self, node: usize, title: &str, doing: &'static str) {
        let Some(moving) = &self.moving else { return };
        let style =
            ProgressStyle::with_template("  {spinner:.dim} {prefix} {msg:.dim} {elapsed:.dim}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner())
                .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
        let spinner = moving.add(ProgressBar::new_spinner().with_style(style));
        spinner.set_prefix(format!("{title:<width$}", width = self.width));
        spinner.set_message(doing);
        spinner.enable_steady_tick(Duration::from_millis(80));
        self.spinners.lock().unwrap_or_else(PoisonError::into_inner).insert(node, spinner);
    }

    fn finish(&self, node: usize) {
        let spinner = self.spinners.lock().unwrap_or_else(PoisonError::into_inner).remove(&node);
        spinner.into_iter().for_each(|spinner| spinner.finish_and_clear());
    }
}

fn can_move() -> bool {
    std::io::stderr().is_terminal()
        && !is_overheard()
        && std::env::var_os("CI").is_none()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Observer for Progress {
    fn hear(&self, node: usize, event: Event) {
        let Some(Some((title, doing, done))) = self.lines.get(node) else { return };
        let padded = format!("{title:<width$}", width = self.width);
        match event {
            Event::Started => self.start(node, title, doing),
            Event::Note(note) => match self.spinner(node) {
                Some(spinner) => spinner.set_message(note.to_owned()),
                None => self.line(&paint(DIM, format!("  · {padded}  {note}"))),
            },
            Event::Done(took) => {
                self.finish(node);
                let took = paint(DIM, format!("in {}", time(took)));
                self.line(&format!("  {} {padded}  {done} {took}", paint(GOOD, "✓")));
            }
            Event::Stopped => {
                self.finish(node);
                self.line(&format!("  {} {padded}  not finished", paint(CHANGED, "-")));
            }
            Event::Failed(error) => {
                self.finish(node);
                let failed = paint(BAD, "failed");
                self.line(&format!(
                    "  {} {padded}  {failed}: {}",
                    paint(BAD, "✗"),
                    error.root_cause().to_string().lines().next().unwrap_or_default()
                ));
            }
        }
    }
}

/// A single line that moves while something is read, and is gone when that is done.
pub struct Spinner(Option<ProgressBar>);

impl Spinner {
    pub fn new(text: &'static str, quiet: bool) -> Self {
        let spinner = (!quiet && can_move()).then(|| {
            let spinner = ProgressBar::new_spinner().with_message(text);
            spinner.enable_steady_tick(Duration::from_millis(80));
            spinner
        });
        Self(spinner)
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(spinner) = &self.0 {
            spinner.finish_and_clear();
        }
    }
}
