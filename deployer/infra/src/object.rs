//! What lies in the staging bucket is input: anybody who may write there has written it.

use crate::aws::Failure;
use anyhow::Result;
use aws_smithy_types::byte_stream::ByteStream;

/// Reads an object's body to its end, or until it is larger than anything that was written here.
///
/// # Errors
/// When it breaks off.
pub async fn body(mut body: ByteStream, largest: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() > largest {
            break;
        }
    }
    Ok(bytes)
}

/// Reads once more what broke off in the middle: the answer had begun well, so nobody else repeats it.
///
/// # Errors
/// What AWS refuses, or that it broke off each time.
pub async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const MORE: usize = 2;
    for _ in 0..MORE {
        match read().await {
            Err(error) if error.downcast_ref::<Failure>().is_none() => {}
            result => return result,
        }
    }
    read().await
}

/// The beginning of a text, without what would command a terminal.
pub fn shown(text: &str, longest: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(longest).collect()
}
