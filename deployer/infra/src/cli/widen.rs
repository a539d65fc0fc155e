//! Leave to open what was closed: asked for on its own, whatever else was agreed to.

use super::screen::{CHANGED, agrees, can_ask, count, paint, say};
use crate::engine::{Plan, Stop};
use crate::widening::{Widening, widenings};
use anyhow::{Result, bail};
use std::fmt;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Leave {
    /// Agree to what the plan marks with `! widens`; --yes does not
    #[arg(long)]
    allow_widening: bool,
}

/// Nobody is there to agree to what a plan opens.
#[derive(Debug)]
pub struct Widens(Vec<Widening>);

impl fmt::Display for Widens {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the plan widens what others may do, and nobody has agreed to that")?;
        self.0.iter().try_for_each(|widening| write!(f, "\n  {}", line(widening)))
    }
}

impl std::error::Error for Widens {}

fn line(Widening { of, path, allows }: &Widening) -> String {
    format!("! {of}: {path} allows {allows}")
}

impl Leave {
    /// Whether the plan may open what it opens.
    ///
    /// # Errors
    /// [`Widens`] where it must be asked and nobody is there.
    pub async fn to(self, plan: &Plan, stop: &Stop) -> Result<bool> {
        let found = widenings(plan);
        if found.is_empty() || self.allow_widening {
            return Ok(true);
        }
        if !can_ask() {
            bail!(Widens(found));
        }
        found.iter().for_each(|widening| say(paint(CHANGED, line(widening))));
        let question = format!("{} more than before. Allow it?", allows(found.len()));
        let agreed = agrees(question, stop).await?;
        if !agreed {
            say("nothing was changed");
        }
        Ok(agreed)
    }
}

fn allows(number: usize) -> String {
    format!("{} allow{}", count(number, "change"), if number == 1 { "s" } else { "" })
}
