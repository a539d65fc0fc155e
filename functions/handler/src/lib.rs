//! What every endpoint shares: the loop with Lambda, the response, the log. It knows no application.
//!
//! Each file in `functions/src/bin` is one Lambda function: an async handler from [`Request`] to [`Response`], a `main` that gives
//! it to [`serve`], and its tests. To add an endpoint, add a file there and its line to the deployer's `stack.rs`.
//!
//! [`serve`] is a loop around [`answer`], which takes the event as text and returns what API Gateway is to be told,
//! together with the line to log. Nothing a handler does reaches the caller unseen: an error and a panic alike become
//! a 500 that tells nothing, and a log line that tells all. Handlers have no globals: what they read from the
//! environment comes through a lookup function, which a test replaces. [`variable`] reads one that must be set.

mod answer;
mod limits;
mod log;
mod release;
mod response;
mod serve;
mod variable;

pub use answer::{Answer, answer};
pub use lambda_http::{Body, Error, Request, Response};
pub use log::Entry;
pub use release::Release;
pub use response::json;
pub use serve::serve;
pub use variable::variable;

/// See `Cargo.toml`.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
