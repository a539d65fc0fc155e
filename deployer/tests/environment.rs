//! The built program under odd environments: variables, files, networks. Whatever they are, it says what is
//! wrong, the likely cause and what to do next, ends with its documented exit code, and writes nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

#[path = "environment/server.rs"]
mod server;
#[path = "environment/shell.rs"]
mod shell;

#[path = "environment/certificates.rs"]
mod certificates;
#[path = "environment/checkout.rs"]
mod checkout;
#[path = "environment/endpoints.rs"]
mod endpoints;
#[path = "environment/profiles.rs"]
mod profiles;
#[path = "environment/proxies.rs"]
mod proxies;
#[path = "environment/variables.rs"]
mod variables;
