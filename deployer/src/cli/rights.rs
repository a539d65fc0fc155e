//! Rights, before the first write: all that is missing at once, where IAM tells.

use super::Common;
use super::screen::{DIM, paint, say};
use crate::aws::{Aws, Failure};
use crate::engine::{Failures, Plan};
use crate::resources::{Asked, ask_rights};
use crate::rights::{Missing, Mode, needs, questions};
use anyhow::{Error, Result, anyhow};
use std::fmt;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Check {
    /// Don't ask IAM beforehand whether all rights are there
    #[arg(long)]
    no_rights_check: bool,
}

/// What IAM said, for when it is known what has to be done.
pub struct Rights(Asked);

/// Rights that a run would miss on its way.
#[derive(Debug)]
pub struct Lacking {
    who: String,
    missing: Vec<Missing>,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { who, missing } = self;
        let s = if missing.len() == 1 { "" } else { "s" };
        write!(f, "{who} lacks the right{s} for this:")?;
        missing.iter().try_for_each(|missing| write!(f, "\n  {}", line(missing)))
    }
}

impl std::error::Error for Lacking {}

fn line(Missing { action, resources, why, .. }: &Missing) -> String {
    let more = match resources.len() {
        0 | 1 => String::new(),
        number => format!(" and {} more", number - 1),
    };
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    format!("{action} on {}{more}{why}", resources.first().map_or("*", String::as_str))
}

impl Check {
    /// Reads, and asks IAM meanwhile: about all that a run of this mode may need, for what it will need is
    /// only known when all is read. Where the read itself is refused, says what else is missing.
    ///
    /// # Errors
    /// The read's.
    pub async fn beside<T>(
        self,
        common: &Common,
        aws: &Aws,
        mode: Mode,
        read: impl Future<Output = Result<T>>,
    ) -> Result<(T, Rights)> {
        if self.no_rights_check {
            return Ok((read.await?, Rights(Asked::Root)));
        }
        let questions = questions(&aws.env, common.functions(), mode);
        match tokio::join!(read, ask_rights(aws, &questions)) {
            (Ok(read), asked) => Ok((read, Rights(asked))),
            (Err(error), Asked::Told(missing)) if !missing.is_empty() && is_denied(&error) => {
                Err(error.context(Lacking { who: aws.caller.clone(), missing }))
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn is_denied(error: &Error) -> bool {
    let refused = |error: &Error| {
        let failure = error.chain().find_map(|cause| cause.downcast_ref::<Failure>());
        failure.is_some_and(|failure| failure.status == Some(403) && !failure.is_expired())
    };
    match error.chain().find_map(|cause| cause.downcast_ref::<Failures>()) {
        Some(Failures(failures)) => failures.iter().any(refused),
        None => refused(error),
    }
}

impl Rights {
    /// Whether all is there that this plan needs; or says that nobody knows.
    ///
    /// # Errors
    /// [`Lacking`], with everything that is missing.
    pub fn check(&self, common: &Common, aws: &Aws, plan: &Plan) -> Result<()> {
        let needs = needs(plan);
        match &self.0 {
            Asked::Root => Ok(()),
            Asked::Untold(why) => {
                if !common.quiet {
                    let text = format!("rights were not looked at beforehand: {why}");
                    say(paint(DIM, text));
                }
                Ok(())
            }
            Asked::Told(missing) => {
                let needed = |missing: &&Missing| missing.is_needed(&needs);
                let missing: Vec<_> = missing.iter().filter(needed).cloned().collect();
                match missing.is_empty() {
                    true => Ok(()),
                    false => Err(anyhow!(Lacking { who: aws.caller.clone(), missing })),
                }
            }
        }
    }
}
