//! `deployer graph`: the stack as it is declared, drawn.

use super::screen::result;
use super::{Common, Exit};
use crate::app::App;
use crate::constructs::stack;
use crate::env::Env;
use crate::release::Release;
use anyhow::Result;
use std::fmt::Write;

pub fn run(common: &Common) -> Result<Exit> {
    result(mermaid(&of_nowhere(&common.app, &common.stage), &common.app));
    Ok(Exit::Done)
}

/// A stage of no account.
pub fn of_nowhere(app: &App, stage: &str) -> Env {
    Env {
        app: app.name.to_owned(),
        stage: stage.to_owned(),
        region: "REGION".to_owned(),
        account: "ACCOUNT".to_owned(),
        partition: "aws".to_owned(),
    }
}

/// The graph in Mermaid's language; an arrow points at what is used.
pub fn mermaid(env: &Env, app: &App) -> String {
    let stated = Release::stated("VERSION", "COMMIT");
    let release = app
        .functions()
        .into_iter()
        .fold(stated, |release, function| release.with_code(function, ""));
    let graph = stack(env, &release, app).graph;
    let mut text = "flowchart LR".to_owned();
    for (index, node) in graph.nodes().enumerate() {
        let _ = write!(text, "\n  n{index}[\"{}<br/>{}\"]", node.kind, node.name);
        for used in node.uses {
            let _ = write!(text, "\n  n{index} --> n{used}");
        }
    }
    text
}
