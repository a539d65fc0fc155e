//! A small API's infrastructure, stated in Rust and made so.
pub mod aws;
pub mod engine;
pub mod env;
pub mod resources;
pub mod retry;
