//! The snapshot of its routes that a stage serves: which it holds, and whether that is believed.

use super::super::deployments::{self, Routes};
use super::{Entry, Stage};
use crate::run::Run;
use anyhow::Result;

impl Stage {
    /// The routes that a deployment of this definition must hold. None where one is neither made nor judged,
    /// because it has served before.
    fn routes(&self) -> Option<Routes> {
        match &self.entry {
            Entry::Release { proof, again: None, .. } => {
                Some(deployments::routes(&proof.endpoints))
            }
            Entry::Release { .. } | Entry::Return => None,
        }
    }

    /// The deployment of these routes. A rollback has none made.
    pub(super) async fn snapshot(&self, cx: &Run, api: &str) -> Result<String> {
        deployments::deployment(cx, api, &self.deployment, self.routes().as_ref()).await
    }

    /// Deletes the deployment of a release that was not proven. An error is ignored because the next deploy checks the
    /// deployment's routes again.
    pub(super) async fn discard(&self, cx: &Run, api: &str) {
        if self.routes().is_some() {
            let _ = deployments::discard(cx, api, &self.deployment).await;
        }
    }

    /// The definition that the deployment of this id holds, if its description is of one of ours.
    pub(super) async fn held(
        &self,
        cx: &Run,
        api: &str,
        (served, definition): (&str, Option<&str>),
    ) -> Result<String> {
        let Some(definition) = definition else { return Ok(format!("not ours ({served})")) };
        let holds = match self.routes() {
            Some(routes) if definition == self.deployment => {
                deployments::holds(cx, api, served, &routes).await?
            }
            _ => true,
        };
        Ok(if holds {
            definition.to_owned()
        } else {
            format!("{definition}, but without its routes")
        })
    }
}
