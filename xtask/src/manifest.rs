//! `manifest.json`: what the packages are, for the deployer, which has neither git nor the sources.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use checkout::parse;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::target::Arch;
use crate::workspace::write_atomically;

const FILE: &str = "manifest.json";
const FORMAT_VERSION: u32 = 1;

/// The packages of one commit, for one architecture.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Changes when a reader of the old format could not read the new.
    pub format_version: u32,
    /// Of the workspace.
    pub version: String,
    /// As [`crate::git::sha`] gives it.
    pub git_sha: String,
    pub arch: Arch,
    /// By name.
    pub packages: Vec<Package>,
}

/// One function's zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    /// Beside the manifest.
    pub file: String,
    /// Of the zip, in hexadecimal.
    pub sha256: String,
    /// The same in base64, as Lambda's `CodeSha256` has it.
    pub code_sha256: String,
    pub zip_bytes: usize,
    pub binary_bytes: usize,
    /// Of the binary, in hexadecimal: if it is the same, so is the zip.
    pub binary_sha256: String,
}

impl Manifest {
    /// A manifest without packages.
    pub fn new(git_sha: String, arch: Arch) -> Manifest {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Manifest { format_version: FORMAT_VERSION, version, git_sha, arch, packages: Vec::new() }
    }

    /// Reads the manifest in `directory`; `None` if there is none that this version of xtask could have written.
    pub fn read(directory: &Path) -> Option<Manifest> {
        let text = fs::read(directory.join(FILE)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        (manifest.format_version == FORMAT_VERSION).then_some(manifest)
    }

    /// Writes the manifest, if it differs from the one that is there.
    ///
    /// # Errors
    ///
    /// If `directory` cannot be written to.
    pub fn write(&self, directory: &Path) -> Result<()> {
        if Manifest::read(directory).as_ref() == Some(self) {
            return Ok(());
        }
        let mut text = serde_json::to_vec_pretty(self).context("writing the manifest")?;
        text.push(b'\n');
        write_atomically(&directory.join(FILE), &text)
    }

    /// Refuses to be mixed with packages of another version, commit or architecture. Packages of a commit may stay
    /// beside one of the same commit with changes: then the manifest says of all that they have changes.
    ///
    /// # Errors
    ///
    /// Which of them differ, and the remedy.
    pub fn agrees_with(&self, other: &Manifest) -> Result<()> {
        let release = |m: &Manifest, sha: &str| format!("{} {sha} for {}", m.version, m.arch);
        let (here, there) = (release(self, &self.git_sha), release(other, &other.git_sha));
        let unchanged = parse(&self.git_sha).map(|(digits, _)| release(self, digits));
        if here == there || unchanged.as_ref() == Some(&there) {
            return Ok(());
        }
        bail!(
            "the other packages are of {there}, and this one would be of {here}\n  next: cargo xtask package"
        );
    }

    /// The package of this name.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    pub fn new(name: &str, zip: &[u8], binary: &[u8]) -> Package {
        let digest = Sha256::digest(zip);
        Package {
            name: name.to_owned(),
            file: format!("{name}.zip"),
            sha256: format!("{digest:x}"),
            code_sha256: STANDARD.encode(digest),
            zip_bytes: zip.len(),
            binary_bytes: binary.len(),
            binary_sha256: sha256(binary),
        }
    }

    /// Whether it was made of `binary`, and its zip in `directory` is still what it was.
    pub fn is_of(&self, binary: &[u8], directory: &Path) -> bool {
        self.binary_bytes == binary.len()
            && self.binary_sha256 == sha256(binary)
            && fs::read(directory.join(&self.file)).is_ok_and(|zip| sha256(&zip) == self.sha256)
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_digest_are_as_aws_and_sha256sum_spell_it() {
        let package = Package::new("root", b"", b"binary");
        assert_eq!(
            package.sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(package.code_sha256, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn the_manifest_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::new("0123456789a-dirty".into(), Arch::X86_64);
        manifest.packages.push(Package::new("root", b"zip", b"binary"));
        manifest.write(directory.path()).unwrap();
        assert_eq!(Manifest::read(directory.path()), Some(manifest));

        let text = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert!(
            text.contains("\"format_version\": 1") && text.contains("\"arch\": \"x86_64\""),
            "{text}"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_is_not_a_manifest_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(directory.path()), None);
        for content in [
            "",
            "{}",
            r#"{"format_version":2,"version":"1","git_sha":"0","arch":"x86_64","packages":[]}"#,
        ] {
            fs::write(directory.path().join(FILE), content).unwrap();
            assert_eq!(Manifest::read(directory.path()), None, "{content}");
        }
    }

    #[test]
    fn packages_of_two_releases_do_not_mix() {
        let manifest = |sha: &str, arch| Manifest::new(sha.into(), arch);
        let one = manifest("0123456789a", Arch::X86_64);
        assert!(one.agrees_with(&manifest("0123456789a", Arch::X86_64)).is_ok());
        assert!(one.agrees_with(&manifest("0123456789a", Arch::Arm64)).is_err());
        let dirty = manifest("0123456789a-dirty", Arch::X86_64);
        assert!(one.agrees_with(&dirty).is_err());
        assert!(dirty.agrees_with(&one).is_ok(), "after an edit");
    }

    #[test]
    fn a_package_is_stale_when_its_binary_or_its_zip_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let package = Package::new("root", b"zip", b"binary");
        assert!(!package.is_of(b"binary", directory.path()), "no zip");

        fs::write(directory.path().join("root.zip"), b"zip").unwrap();
        assert!(package.is_of(b"binary", directory.path()));
        assert!(!package.is_of(b"BINARY", directory.path()));

        fs::write(directory.path().join("root.zip"), b"zap").unwrap();
        assert!(!package.is_of(b"binary", directory.path()), "damaged zip");
    }
}
