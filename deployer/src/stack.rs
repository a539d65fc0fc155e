//! The application: its name, endpoints and settings. A fork owns this file.
//!
//! To add an endpoint, write its handler (`functions/src/bin/NAME.rs`) and a line in [`ENDPOINTS`].

use infra::app::App;
use infra::contract::{Endpoint, get};

/// The name is the first part of every name in AWS. Settings other than the usual ones:
/// `App { memory_mb: 512, ..App::new("ops-api", ENDPOINTS) }`.
pub const APP: App = App::new("ops-api", ENDPOINTS);

/// Every endpoint: its route, the function that answers it, and what it must answer. Smoke tests
/// hold it to that; `$VERSION` and `$GIT_SHA` are those that were deployed, `$ANY` is anything.
pub const ENDPOINTS: &[Endpoint] = &[
    get("/", "root").limited(25, 50).answers(r#"{"message": "Hello, World!"}"#),
    get("/health", "health")
        .knows_release()
        .limited(25, 50)
        .of_type("application/health+json")
        .answers(
            r#"{"status": "pass", "version": "$VERSION", "releaseId": "$GIT_SHA", "checks": "$ANY"}"#,
        ),
    get("/metadata", "metadata").knows_release().limited(25, 50).answers(
        r#"{"myapplication": [{"version": "$VERSION",
            "description": "pre-interview technical test", "lastcommitsha": "$GIT_SHA"}]}"#,
    ),
];
