//! The net below every verb: a panic, of this program or of the SDK's set-up, is an error like others, with a
//! cause, a remedy and an exit code.

use anyhow::Result;
use futures_util::future::FutureExt;
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

/// The last panic, until it is told.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Keeps where and why instead of printing it: a hook for panics.
pub fn keep(panic: &PanicHookInfo) {
    let text = panic.to_string().replace('\n', " ");
    let text = text.trim_start_matches("panicked at ").to_owned();
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Runs a verb.
///
/// # Errors
/// The verb's; and [`Defect`] if it panicked.
pub async fn caught<T>(verb: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(verb).catch_unwind().await.unwrap_or_else(|_| {
        let text = std::mem::take(&mut *LAST.lock().unwrap_or_else(PoisonError::into_inner));
        Err(Defect(text).into())
    })
}

/// Something that this program, or the SDK, takes for impossible.
#[derive(Debug)]
pub struct Defect(String);

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "this program ran into a defect: {}", self.0)
    }
}

impl std::error::Error for Defect {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let panics = async || if true { panic!("of a test") } else { Ok(()) };
        let error = caught(panics()).await.unwrap_err();
        assert!(error.is::<Defect>(), "{error}");
    }
}
