//! The configuration files of the AWS tools, read as the SDK reads them: it passes over what is wrong there, and
//! then says that there is no region, or no credentials.

use super::Access;
use anyhow::{Result, bail};
use aws_config::profile::{ProfileSet, load};
use aws_types::os_shim_internal::{Env, Fs};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// With which some editors begin a file, and which no AWS tool understands.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The profiles; none for the local cloud, which needs none.
///
/// # Errors
/// A file that can't be read or parsed; a profile that was asked for and isn't there.
pub async fn read(access: &Access) -> Result<Option<ProfileSet>> {
    if access.local.is_some() {
        return Ok(None);
    }
    for (name, file) in files() {
        let why = match fs::read(file) {
            Ok(content) if content.starts_with(BOM) => "line 1 begins with a byte order mark",
            Ok(content) if std::str::from_utf8(&content).is_err() => "it is not UTF-8",
            Err(error) if error.kind() == ErrorKind::PermissionDenied => "permission denied",
            _ => continue,
        };
        bail!(BadConfigFile(format!("reading {name}: {why}")));
    }
    let asked = access.profile.clone().map(Cow::Owned);
    let read = load(&Fs::real(), &Env::real(), &Default::default(), asked).await;
    let profiles = read.map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        BadConfigFile(cause)
    })?;
    let name = profiles.selected_profile();
    if name != "default" && profiles.get_profile(name).is_none() {
        let by = if access.profile.is_some() { "--profile" } else { "AWS_PROFILE" };
        let mut known: Vec<_> = profiles.profiles().map(ToOwned::to_owned).collect();
        known.sort();
        bail!(NoProfile { name: name.to_owned(), by, known });
    }
    Ok(Some(profiles))
}

/// Where the files are: as people know them, and as this machine does.
fn files() -> [(String, PathBuf); 2] {
    let files = [
        ("AWS_CONFIG_FILE", "~/.aws/config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    ];
    files.map(|(variable, default)| {
        let name = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let home = std::env::home_dir().unwrap_or_default();
        let path = name.strip_prefix("~/").map(|rest| home.join(rest));
        (name.clone(), path.unwrap_or_else(|| name.into()))
    })
}

/// The files' names, for people.
pub fn file_names() -> String {
    let [(config, _), (credentials, _)] = files();
    format!("{config} and {credentials}")
}

/// Which profile is used and where it was looked for, for people.
pub fn described(profiles: Option<&ProfileSet>) -> String {
    let name = profiles.map_or("default", ProfileSet::selected_profile);
    format!("profile {name} ({})", file_names())
}

/// The profile whose role asks for a second factor: the one that is used, or one that it builds on.
pub fn needs_mfa(profiles: &ProfileSet, region: &str) -> Option<NeedsMfa> {
    let mut name = profiles.selected_profile();
    // No chain is longer than there are profiles, unless it is a circle.
    for _ in profiles.profiles() {
        let profile = profiles.get_profile(name)?;
        if profile.get("mfa_serial").is_some() && profile.get("role_arn").is_some() {
            let used = profiles.selected_profile().to_owned();
            return Some(NeedsMfa { profile: used, region: region.to_owned() });
        }
        name = profile.get("source_profile")?;
    }
    None
}

/// A configuration file that can't be used: which, where, and why.
#[derive(Debug)]
pub struct BadConfigFile(String);

impl fmt::Display for BadConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BadConfigFile {}

/// A profile that was asked for by name and isn't there.
#[derive(Debug)]
pub struct NoProfile {
    pub name: String,
    /// The flag or variable that names it.
    pub by: &'static str,
    pub known: Vec<String>,
}

impl fmt::Display for NoProfile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { name, by, .. } = self;
        write!(f, "there is no profile {name:?}, which {by} names")
    }
}

impl Error for NoProfile {}

/// No credentials came of a profile that asks for a second factor, for which the SDK can't ask.
#[derive(Debug)]
pub struct NeedsMfa {
    pub profile: String,
    pub region: String,
}

impl fmt::Display for NeedsMfa {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "profile {} asks for MFA", self.profile)
    }
}

impl Error for NeedsMfa {}
