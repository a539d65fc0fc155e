//! An application for this library's own tests.

use crate::app::App;
use crate::contract::{Endpoint, get};

pub const APP: App = App::new("fixture", ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[
    get("/", "root").limited(25, 50).answers(r#"{"message": "Hello, World!"}"#),
    get("/health", "health").knows_release().of_type("application/health+json"),
    get("/more", "root"),
];
