//! `deployer graph`: the stack as it is declared, drawn.

use super::screen::result;
use super::{Common, Exit};
use crate::contract::Endpoint;
use crate::env::Env;
use crate::release::Release;
use crate::stack::{APP, ENDPOINTS, stack};
use anyhow::Result;
use std::fmt::Write;

pub fn run(common: &Common) -> Result<Exit> {
    result(mermaid(&of_nowhere(&common.stage), ENDPOINTS));
    Ok(Exit::Done)
}

/// A stage of no account.
pub fn of_nowhere(stage: &str) -> Env {
    Env {
        app: APP.to_owned(),
        stage: stage.to_owned(),
        region: "REGION".to_owned(),
        account: "ACCOUNT".to_owned(),
        partition: "aws".to_owned(),
    }
}

/// The graph in Mermaid's language; an arrow points at what is used.
pub fn mermaid(env: &Env, endpoints: &'static [Endpoint]) -> String {
    let stated = Release::stated("VERSION", "COMMIT");
    let functions = endpoints.iter().map(|endpoint| endpoint.function);
    let release = functions.fold(stated, |release, function| release.with_code(function, ""));
    let graph = stack(env, &release, endpoints).graph;
    let mut text = "flowchart LR".to_owned();
    for (index, node) in graph.nodes().enumerate() {
        let _ = write!(text, "\n  n{index}[\"{}<br/>{}\"]", node.kind, node.name);
        for used in node.uses {
            let _ = write!(text, "\n  n{index} --> n{used}");
        }
    }
    text
}
