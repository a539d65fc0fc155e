//! The built program under odd environments: variables, files, networks. Whatever they are, it says what is
//! wrong, the likely cause and what to do next, ends with its documented exit code, and writes nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

#[path = "environment/checkout.rs"]
mod checkout;
