//! Which release is running, as the deployer tells it in `VERSION` and `GIT_SHA`.

/// The release that was deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Of the workspace, like `1.0.0`.
    pub version: String,
    /// Abbreviated commit, followed by `-dirty` if the checkout had uncommitted changes.
    pub git_sha: String,
}

impl Release {
    /// Reads both variables with `lookup`, which gives a variable's value.
    ///
    /// # Errors
    ///
    /// A sentence that names the first variable that is missing or malformed.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Release, String> {
        Ok(Release { version: Release::version(&lookup)?, git_sha: Release::git_sha(&lookup)? })
    }

    /// Reads `VERSION`: three numbers, and after them what semver allows.
    ///
    /// # Errors
    ///
    /// A sentence fit for the public: it does not repeat the value.
    pub fn version(lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let version = lookup("VERSION").ok_or("VERSION is not set")?;
        match is_version(&version) {
            true => Ok(version),
            false => Err("VERSION is malformed: expected a semantic version, like 1.0.0".into()),
        }
    }

    /// Reads `GIT_SHA`: 7 to 40 hexadecimal digits, and perhaps `-dirty`.
    ///
    /// # Errors
    ///
    /// A sentence fit for the public: it does not repeat the value.
    pub fn git_sha(lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let sha = lookup("GIT_SHA").ok_or("GIT_SHA is not set")?;
        match is_git_sha(&sha) {
            true => Ok(sha),
            false => Err(
                "GIT_SHA is malformed: expected 7 to 40 hexadecimal digits, with or without -dirty"
                    .into(),
            ),
        }
    }
}

fn is_version(text: &str) -> bool {
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        && rest.len() != 1
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b))
}

fn is_git_sha(text: &str) -> bool {
    let digits = text.strip_suffix("-dirty").unwrap_or(text);
    (7..=40).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["1.0.0", "10.20.30", "1.0.0-rc.1", "1.0.0+build.5", "1.0.0-rc.1+5"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "", "1", "1.0", "1.0.0.0", "v1.0.0", "1..0", "1.0.x", "1.0.0-", "1.0.0 ", "1.0.0-é",
            "-1.0.0",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn commits() {
        for good in ["abc5785", "abc57858585", "ABC57858585", "abc57858585-dirty", &"0".repeat(40)]
        {
            assert!(is_git_sha(good), "{good}");
        }
        for bad in [
            "",
            "abc578",
            "-dirty",
            "abc57858585-dirt",
            "abc57858585-dirty-dirty",
            "xyz57858585",
            &"0".repeat(41),
        ] {
            assert!(!is_git_sha(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        let only_version = |name: &str| (name == "VERSION").then(|| "1.0.0".to_owned());
        assert_eq!(Release::read(only_version), Err("GIT_SHA is not set".to_owned()));

        let error = Release::read(|_| Some("hunter2".to_owned())).unwrap_err();
        assert!(error.starts_with("VERSION is malformed") && !error.contains("hunter2"), "{error}");
    }
}
