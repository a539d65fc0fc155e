//! Rights, before the first write: all that is missing at once, where IAM tells.

use super::Common;
use super::explain::failures;
use super::screen::{CHANGED, DIM, paint, say};
use crate::aws::Failure;
use crate::engine::Plan;
use crate::resources::{Asked, ask_rights};
use crate::rights::{Missing, Mode, needs, questions};
use crate::run::Run;
use anyhow::{Error, Result, anyhow};
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Shared, select};
use std::fmt;
use std::pin::pin;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Check {
    /// Don't ask IAM beforehand whether all rights are there
    #[arg(long)]
    no_rights_check: bool,
}

/// What IAM says, for when it is known what has to be done. Nobody waits for it before.
pub struct Rights<'a>(Shared<LocalBoxFuture<'a, Asked>>);

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
    let why = why.reason().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{action} on {}{more}{why}", resources.first().map_or("*", String::as_str))
}

impl Check {
    /// Reads, and asks IAM meanwhile: about all that a run of this mode may need, for what it will need is
    /// only known when all is read. Where the read itself is refused, says what else is missing.
    ///
    /// # Errors
    /// The read's.
    pub async fn beside<'a, T>(
        self,
        common: &Common,
        aws: &'a Run,
        mode: Mode,
        read: impl Future<Output = Result<T>>,
    ) -> Result<(T, Rights<'a>)> {
        let app = &common.app;
        let questions = questions(&aws.env, app.functions(), mode, app.permissions_boundary);
        let ask = async move {
            match self.no_rights_check {
                true => Asked::Unasked,
                false => ask_rights(aws, &questions).await,
            }
        };
        let asked = ask.boxed_local().shared();
        let read = match select(pin!(read), asked.clone()).await {
            Either::Left((read, _)) => read,
            Either::Right((_, read)) => read.await,
        };
        match read {
            Ok(read) => Ok((read, Rights(asked))),
            Err(error) if is_denied(&error) => match asked.await {
                Asked::Told(missing) if !missing.is_empty() => {
                    Err(error.context(Lacking { who: aws.caller.clone(), missing }))
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}

fn is_denied(error: &Error) -> bool {
    failures(error).into_iter().any(Failure::is_denied)
}

impl Rights<'_> {
    /// Whether all is there that this plan needs. What IAM can't tell, or isn't sure of, is said and doesn't stop the run.
    ///
    /// # Errors
    /// [`Lacking`], with everything that is missing.
    pub async fn check(&self, common: &Common, aws: &Run, plan: &Plan) -> Result<()> {
        let needs = needs(plan, common.app.permissions_boundary);
        if needs.is_empty() {
            return Ok(());
        }
        match self.0.clone().await {
            Asked::Unasked => Ok(()),
            Asked::Untold(why) => {
                if !common.quiet {
                    let text = format!("rights were not looked at beforehand: {why}");
                    say(paint(DIM, text));
                }
                Ok(())
            }
            Asked::Told(missing) => {
                let needed = |missing: &Missing| missing.is_needed(&needs);
                let missing = missing.into_iter().filter(needed);
                let (doubtful, missing): (Vec<_>, Vec<_>) = missing.partition(Missing::is_doubtful);
                if !missing.is_empty() {
                    return Err(anyhow!(Lacking { who: aws.caller.clone(), missing }));
                }
                if !common.quiet && !doubtful.is_empty() {
                    let lines: String =
                        doubtful.iter().map(|one| format!("\n  {}", line(one))).collect();
                    say(paint(
                        CHANGED,
                        format!("IAM may deny these requests during the run:{lines}"),
                    ));
                }
                Ok(())
            }
        }
    }
}
