//! `deployer graph`: the stack as it is declared, drawn.

use super::screen::result;
use super::{Common, Exit};
use crate::env::Env;
use crate::release::Release;
use crate::stack::{APP, ENDPOINTS, stack};
use anyhow::Result;
use std::fmt::Write;

pub fn run(common: &Common) -> Result<Exit> {
    let env = Env {
        app: APP.to_owned(),
        stage: common.stage.clone(),
        region: "REGION".to_owned(),
        account: "ACCOUNT".to_owned(),
        partition: "aws".to_owned(),
    };
    result(mermaid(&env));
    Ok(Exit::Done)
}

/// The graph in Mermaid's language; an arrow points at what is used.
pub fn mermaid(env: &Env) -> String {
    let stated = Release::stated("VERSION", "COMMIT");
    let functions = ENDPOINTS.iter().map(|endpoint| endpoint.function);
    let release = functions.fold(stated, |release, function| release.with_code(function, ""));
    let graph = stack(env, &release, ENDPOINTS).graph;
    let mut text = "flowchart LR".to_owned();
    for (index, node) in graph.nodes().enumerate() {
        let _ = write!(text, "\n  n{index}[\"{}<br/>{}\"]", node.kind, node.name);
        for used in node.uses {
            let _ = write!(text, "\n  n{index} --> n{used}");
        }
    }
    text
}
