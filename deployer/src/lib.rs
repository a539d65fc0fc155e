//! A small API's infrastructure, stated in Rust and made so.
pub mod aws;
pub mod cli;
pub mod contract;
pub mod engine;
pub mod env;
pub mod release;
pub mod resources;
pub mod retry;
pub mod smoke;
pub mod stack;
