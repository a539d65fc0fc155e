//! What can be updated of a stage, each setting by the path that UpdateStage has for it (API Gateway API reference,
//! "Patch operations"), and what UpdateStage is asked for to change some settings into others.

use super::{Entry, Stage};
use crate::env::Env;
use crate::ids::Throttle;
use crate::resources::Observation;
use crate::resources::method_names::{from_stage, in_stage};
use aws_sdk_apigateway::operation::get_stage::GetStageOutput;
use aws_sdk_apigateway::types::{MethodSetting, Op, PatchOperation};
use std::collections::{BTreeMap, BTreeSet};

/// Operations in one request. API Gateway refuses about 80 ("Update size too large",
/// github.com/DianaIonita/serverless-api-gateway-caching, issue 46).
pub(super) const PIECE: usize = 50;

/// Which deployment is served.
pub(super) const DEPLOYMENT: &str = "/deploymentId";

impl Stage {
    /// What can be updated of it, each by the path that UpdateStage has for it.
    pub(super) fn settings(&self, env: &Env, deployment: Option<&str>) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        if let Some(id) = deployment {
            settings.insert(DEPLOYMENT.to_owned(), id.to_owned());
        }
        settings.extend(self.observation.iter().flat_map(|observation| observation.settings(env)));
        for (name, value) in &self.variables {
            settings.insert(format!("/variables/{name}"), value.clone());
        }
        for (method, Throttle { rate, burst }) in &self.throttling {
            let throttling = format!("/{}/throttling", in_stage(method));
            settings.insert(format!("{throttling}/rateLimit"), rate.to_string());
            settings.insert(format!("{throttling}/burstLimit"), burst.to_string());
        }
        settings
    }

    /// This stage, with the settings of a live one.
    pub(super) fn with_settings_of(&self, stage: &GetStageOutput, env: &Env) -> Self {
        let throttle = |(method, settings): (&String, &MethodSetting)| {
            let (rate, burst) =
                (settings.throttling_rate_limit(), settings.throttling_burst_limit());
            (from_stage(method), Throttle { rate, burst })
        };
        let variables = stage.variables().into_iter().flatten();
        Self {
            throttling: stage.method_settings().into_iter().flatten().map(throttle).collect(),
            variables: variables.map(|(name, value)| (name.clone(), value.clone())).collect(),
            observation: self.observation.is_some().then(|| Observation::of(stage, env)),
            entry: Entry::Return,
            ..self.clone()
        }
    }
}

/// What changes one into the other, in an order that is safe to cut anywhere into requests: the limits and variables of
/// a deployment are there before it is served, and what the deployment before it may need is removed after that.
pub(super) fn between(
    wanted: &BTreeMap<String, String>,
    is: &BTreeMap<String, String>,
) -> Vec<PatchOperation> {
    let differs = |path: &str| is.get(path) != wanted.get(path);
    let (deployment, others): (Vec<_>, Vec<_>) =
        wanted.iter().filter(|(path, _)| differs(path)).partition(|(path, _)| *path == DEPLOYMENT);
    let replace = |(path, value): (&String, &String)| {
        PatchOperation::builder().op(Op::Replace).path(path).value(value).build()
    };
    let kept: BTreeSet<&str> = wanted.keys().filter_map(|path| removable(path)).collect();
    let unwanted: BTreeSet<&str> =
        is.keys().filter_map(|path| removable(path)).filter(|path| !kept.contains(path)).collect();
    let remove = |path| PatchOperation::builder().op(Op::Remove).path(path).build();
    let set = others.into_iter().chain(deployment).map(replace);
    set.chain(unwanted.into_iter().map(remove)).collect()
}

/// What is removed to be rid of a setting: a variable, or all settings of a method, because API Gateway refuses to remove
/// only some of them. None of what every stage has.
fn removable(path: &str) -> Option<&str> {
    match path.strip_prefix("/variables/") {
        Some(_) => Some(path),
        None => path.split_once("/throttling/").map(|(method, _)| method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_deployment_needs_is_set_before_it_and_the_rest_removed_after() {
        let wanted = settings(&[
            ("/*/*/throttling/burstLimit", "200"),
            ("/*/*/throttling/rateLimit", "100"),
            ("/deploymentId", "new"),
            ("/tracingEnabled", "true"),
            ("/variables/alias", "live"),
        ]);
        let is = settings(&[
            ("/*/*/throttling/burstLimit", "5"),
            ("/*/*/throttling/rateLimit", "100"),
            ("/deploymentId", "old"),
            ("/tracingEnabled", "true"),
            ("/variables/spare", "x"),
            ("/~1/GET/throttling/burstLimit", "5"),
            ("/~1/GET/throttling/rateLimit", "5"),
        ]);
        let patch = between(&wanted, &is);
        let line = |o: &PatchOperation| {
            format!("{} {} {}", o.op().unwrap(), o.path().unwrap(), o.value().unwrap_or_default())
        };
        assert_eq!(
            patch.iter().map(line).collect::<Vec<_>>(),
            [
                "replace /*/*/throttling/burstLimit 200",
                "replace /variables/alias live",
                "replace /deploymentId new",
                "remove /variables/spare ",
                "remove /~1/GET ",
            ]
        );
        assert_eq!(between(&wanted, &wanted), []);
    }
}
