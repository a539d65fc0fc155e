//! An application for this library's own tests, and a stage.

use crate::app::App;
use crate::contract::{Endpoint, get};
use crate::env::Env;

pub const APP: App = App::new("fixture", ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    get("/", "root").limited(25, 50).answers(r#"{"message": "Hello, World!"}"#),
    get("/health", "health").knows_release().of_type("application/health+json"),
    get("/more", "root"),
];

/// A stage of the starter's application, whose names the snapshots hold.
pub fn env(stage: &str) -> Env {
    Env {
        app: "ops-api".into(),
        stage: stage.into(),
        region: "ap-southeast-2".into(),
        account: "123456789012".into(),
        partition: "aws".into(),
    }
}
