//! What is deployed: a version, a commit, and a package for each function, as `cargo xtask
//! package` left them.

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lambda's limit for a zip that it fetches, 50 MB, as its error states it (CreateFunction).
const LARGEST_ZIP: u64 = 52_428_800;

/// A version and commit of the API, and its code.
#[derive(Clone, Debug, Default)]
pub struct Release {
    pub version: String,
    pub git_sha: String,
    /// `x86_64` or `arm64`.
    pub arch: String,
    packages: BTreeMap<String, Package>,
}

/// A function's zip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// In hex: names the artifact.
    pub sha256: String,
    /// In base64: Lambda's `CodeSha256`.
    pub code_sha256: String,
    /// Where it lies; none where nothing will be uploaded.
    pub file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Manifest {
    format_version: u32,
    version: String,
    git_sha: String,
    arch: String,
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    sha256: String,
    code_sha256: String,
}

impl Release {
    /// A release of which only version and commit matter.
    pub fn stated(version: &str, git_sha: &str) -> Self {
        let (version, git_sha) = (version.to_owned(), git_sha.to_owned());
        let arch = "x86_64".to_owned();
        Self { version, git_sha, arch, packages: BTreeMap::new() }
    }

    /// Adds a function's code as it is known without its zip.
    pub fn with_code(mut self, function: &str, code_sha256: &str) -> Self {
        let sha256 = base64_to_hex(code_sha256).unwrap_or_default();
        let code_sha256 = code_sha256.to_owned();
        self.packages.insert(function.to_owned(), Package { sha256, code_sha256, file: None });
        self
    }

    /// Reads the manifest in `dir` and proves that the zips of these functions are those it tells of.
    ///
    /// # Errors
    /// Says what is missing or differs, and how to make it anew.
    pub fn load<'a>(dir: &Path, functions: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        read(dir, functions).map_err(|error| error.context(Unpackaged))
    }

    /// The same of all packages that the manifest tells of.
    ///
    /// # Errors
    /// Says what is missing or differs, and how to make it anew.
    pub fn load_whole(dir: &Path) -> Result<Self> {
        let names = manifest(dir).map(|manifest| manifest.packages.into_iter().map(|p| p.name));
        let names: Vec<_> = names.map_err(|error| error.context(Unpackaged))?.collect();
        Self::load(dir, names.iter().map(String::as_str))
    }

    /// The functions of which it has packages.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }

    pub fn package(&self, function: &str) -> Package {
        self.packages.get(function).cloned().unwrap_or_default()
    }

    /// What functions that know their release are told.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        [pair("VERSION", &self.version), pair("GIT_SHA", &self.git_sha)].into()
    }
}

/// Whether it may be a version or a commit. They end up in SSM, in the functions' environment, in answers
/// and on terminals.
pub fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

/// The packages aren't there, or aren't what the manifest says.
#[derive(Debug)]
pub struct Unpackaged;

impl std::fmt::Display for Unpackaged {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("reading the packages")
    }
}

fn manifest(dir: &Path) -> Result<Manifest> {
    let path = dir.join("manifest.json");
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!("there is no {}", path.display()),
        _ => anyhow!("{}: {error}", path.display()),
    })?;
    let manifest: Manifest = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a manifest", path.display()))?;
    if manifest.format_version != 1 {
        bail!(
            "{} has format {}, and this deployer reads 1",
            path.display(),
            manifest.format_version
        );
    }
    for (what, value) in [("version", &manifest.version), ("git_sha", &manifest.git_sha)] {
        if !is_plain(value) {
            bail!("{}: {what} {value:?} is not one", path.display());
        }
    }
    if !["x86_64", "arm64"].contains(&manifest.arch.as_str()) {
        bail!("{}: Lambda has no architecture {:?}", path.display(), manifest.arch);
    }
    Ok(manifest)
}

fn read<'a>(dir: &Path, functions: impl IntoIterator<Item = &'a str>) -> Result<Release> {
    let manifest = manifest(dir)?;
    let mut packages = BTreeMap::new();
    for function in functions {
        let entry = manifest.packages.iter().find(|entry| entry.name == function);
        let Some(entry) = entry else {
            bail!(
                "the stack has function {function:?} and {} has no package of it",
                dir.join("manifest.json").display()
            );
        };
        packages.insert(function.to_owned(), package(dir, entry)?);
    }
    let Manifest { version, git_sha, arch, .. } = manifest;
    Ok(Release { version, git_sha, arch, packages })
}

fn package(dir: &Path, entry: &Entry) -> Result<Package> {
    if Path::new(&entry.file).file_name() != Some(entry.file.as_ref()) {
        bail!("the manifest names {:?}, which is not a file beside it", entry.file);
    }
    let file = dir.join(&entry.file);
    let size = std::fs::metadata(&file).with_context(|| file.display().to_string())?.len();
    if size > LARGEST_ZIP {
        bail!("{} has {size} bytes, and Lambda takes {LARGEST_ZIP}", file.display());
    }
    let zip = std::fs::read(&file).with_context(|| file.display().to_string())?;
    if !zip.starts_with(b"PK") {
        bail!("{} is not a zip", file.display());
    }
    let hash: String = Sha256::digest(&zip).iter().map(|byte| format!("{byte:02x}")).collect();
    let declared = base64_to_hex(&entry.code_sha256);
    if hash != entry.sha256 || declared.as_ref() != Some(&hash) {
        bail!(
            "{} is not the file that the manifest describes: it is corrupt, or from another commit",
            file.display()
        );
    }
    Ok(Package { sha256: hash, code_sha256: entry.code_sha256.clone(), file: Some(file) })
}

/// Lambda's `CodeSha256`, as artifacts are named.
pub fn base64_to_hex(text: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bytes = STANDARD.decode(text).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    fn dir(name: &str, manifest: &Value) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("deployer-release-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("root.zip"), b"PK\x03\x04 a zip").unwrap();
        std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
        dir
    }

    fn manifest() -> Value {
        let hash = Sha256::digest(b"PK\x03\x04 a zip");
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "format_version": 1, "version": "1.0.0", "git_sha": "abc57858585", "arch": "x86_64",
            "packages": [{
                "name": "root", "file": "root.zip", "sha256": hex, "code_sha256": STANDARD.encode(hash),
            }],
        })
    }

    fn error(name: &str, manifest: &Value) -> String {
        let dir = dir(name, manifest);
        let result = Release::load(&dir, ["root"]);
        std::fs::remove_dir_all(dir).unwrap();
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn what_was_packaged_is_what_is_loaded() {
        let dir = dir("good", &manifest());
        let release = Release::load(&dir, ["root"]).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(release.git_sha, "abc57858585");
        assert_eq!(release.package("root").sha256.len(), 64);
    }

    #[test]
    fn whatever_is_wrong_with_the_packages_is_named() {
        let changed = |path: &str, value: Value| {
            let mut manifest = manifest();
            *manifest.pointer_mut(path).unwrap() = value;
            manifest
        };
        let of = |hash: &[u8]| STANDARD.encode(Sha256::digest(hash));
        for (name, manifest, says) in [
            ("text", json!("text"), "is not a manifest"),
            ("format", changed("/format_version", json!(9)), "has format 9"),
            ("sha", changed("/git_sha", json!("a b\n")), "git_sha"),
            ("arch", changed("/arch", json!("riscv64")), "riscv64"),
            ("none", changed("/packages", json!([])), "no package of it"),
            ("outside", changed("/packages/0/file", json!("../root.zip")), "not a file beside it"),
            ("gone", changed("/packages/0/file", json!("other.zip")), "other.zip"),
            ("foreign", changed("/packages/0/sha256", json!("00")), "from another commit"),
            ("code", changed("/packages/0/code_sha256", json!(of(b"x"))), "from another commit"),
        ] {
            let error = error(name, &manifest);
            assert!(error.contains(says), "{name}: {error}");
        }
    }

    #[test]
    fn a_missing_manifest_is_named() {
        let error = Release::load(Path::new("/nowhere"), ["root"]).unwrap_err();
        assert!(format!("{error:#}").contains("there is no /nowhere/manifest.json"), "{error:#}");
    }
}
