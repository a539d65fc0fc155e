//! Environment variables that a function needs.

use std::env::{self, VarError};

use lambda_http::Error;

/// The value of the environment variable `name`, for example `variable("TABLE")?` in `main`.
///
/// # Errors
///
/// A sentence that names the variable, where [`std::env::var`]'s error doesn't: it is unset, empty or not UTF-8.
pub fn variable(name: &str) -> Result<String, Error> {
    match env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value),
        Err(VarError::NotUnicode(_)) => {
            Err(format!("environment variable {name} is not UTF-8").into())
        }
        _ => Err(format!("environment variable {name} is not set").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named() {
        let error = variable("NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(error.to_string(), "environment variable NO_SUCH_VARIABLE is not set");
        assert!(variable("PATH").is_ok_and(|path| !path.is_empty()));
    }
}
