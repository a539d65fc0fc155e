//! `NAME.cdx.json`: which crates are in a zip (CycloneDX 1.6), as the compiler itself told them.
//!
//! The same zip and the same `Cargo.lock` give the same bytes: no time, no number drawn by lot. Rust's own
//! standard library is in every binary and not listed, for it is no crate of the lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::manifest::Package;
use crate::workspace::{cargo, root, write_atomically};

/// The version of CycloneDX that the bills are written in.
const CYCLONEDX: &str = "1.6";

/// A crate, in the words of CycloneDX.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Component {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: String,
    version: String,
    purl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<BTreeMap<&'static str, String>>,
}

/// What `cargo metadata` tells of a package.
#[derive(Deserialize)]
struct Known {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Where the bill of materials of a function's package lies.
pub fn file(name: &str, directory: &Path) -> PathBuf {
    directory.join(format!("{name}.cdx.json"))
}

/// Writes the bill of each package that has none, or one of another zip, `Cargo.lock` or version of CycloneDX. `crates` are
/// those that were compiled into all of them, by cargo's ids.
///
/// # Errors
///
/// If cargo doesn't tell of the crates, or the files can't be written.
pub fn write(
    packages: &[Package],
    crates: &BTreeSet<String>,
    triple: &str,
    directory: &Path,
) -> Result<()> {
    let lock = root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let file = |package: &Package| file(&package.name, directory);
    let stale = |package: &&Package| {
        let heads =
            fs::read(file(package)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let is_current = |bill: &Value| {
            bill["specVersion"] == CYCLONEDX
                && bill["metadata"]["component"] == subject_of(package, triple, &lock)
        };
        !heads.as_ref().is_some_and(is_current)
    };
    let stale: Vec<_> = packages.iter().filter(stale).collect();
    if stale.is_empty() {
        return Ok(());
    }
    let components = components(crates, &metadata(triple)?, &checksums(&lock))?;
    for package in stale {
        let mut text = serde_json::to_vec_pretty(&json!({
            "$schema": format!("http://cyclonedx.org/schema/bom-{CYCLONEDX}.schema.json"),
            "bomFormat": "CycloneDX",
            "specVersion": CYCLONEDX,
            "version": 1,
            "metadata": { "component": subject_of(package, triple, &lock) },
            "components": components,
        }))?;
        text.push(b'\n');
        write_atomically(&file(package), &text)?;
    }
    Ok(())
}

/// The zip, and what else the list follows from.
fn subject_of(package: &Package, triple: &str, lock: &str) -> Value {
    json!({
        "type": "application",
        "bom-ref": package.name,
        "name": package.name,
        "version": env!("CARGO_PKG_VERSION"),
        "hashes": [{ "alg": "SHA-256", "content": package.sha256 }],
        "properties": [
            { "name": "cargo:lock:sha256", "value": format!("{:x}", Sha256::digest(lock)) },
            { "name": "rust:target", "value": triple },
        ],
    })
}

fn metadata(triple: &str) -> Result<Vec<Known>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Known>,
    }
    let mut command = cargo("metadata");
    command.args(["--format-version", "1", "--filter-platform", triple]).stderr(Stdio::inherit());
    let output = command.output().context("listing the crates: cargo cannot be run")?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .context("listing the crates: cargo metadata failed")?;
    Ok(metadata.packages)
}

/// By name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    fn entry(package: &str) -> Option<((&str, &str), &str)> {
        let mut fields = package.lines().filter_map(|line| line.split_once(" = "));
        let mut next = |key| Some(fields.find(|(name, _)| *name == key)?.1.trim_matches('"'));
        // In this order.
        Some(((next("name")?, next("version")?), next("checksum")?))
    }
    lock.split("[[package]]").skip(1).filter_map(entry).collect()
}

/// Without the workspace's own crates: they are what the bill is of.
fn components(
    crates: &BTreeSet<String>,
    known: &[Known],
    checksums: &BTreeMap<(&str, &str), &str>,
) -> Result<Vec<Component>> {
    let known: BTreeMap<_, _> = known.iter().map(|known| (known.id.as_str(), known)).collect();
    let mut components = Vec::new();
    for id in crates {
        let Some(Known { name, version, license, source, .. }) = known.get(id.as_str()) else {
            bail!("listing the crates: cargo compiled {id} and doesn't know it");
        };
        if source.is_none() {
            continue;
        }
        // A plus sign is an encoded space in some readers' eyes (purl: "Character encoding").
        let purl = format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"));
        let pairs = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
        };
        let license = license.as_deref().map(expression);
        let checksum = checksums.get(&(name.as_str(), version.as_str()));
        components.push(Component {
            r#type: "library",
            bom_ref: purl.clone(),
            name: name.clone(),
            version: version.clone(),
            purl,
            licenses: license.iter().map(|text| pairs(&[("expression", text)])).collect(),
            hashes: checksum
                .iter()
                .map(|sum| pairs(&[("alg", "SHA-256"), ("content", sum)]))
                .collect(),
        });
    }
    components.sort();
    Ok(components)
}

/// An SPDX expression: crates of old have a slash for "or" (Cargo's reference: "The license and license-file
/// fields").
fn expression(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+b\"\n\
        source = \"registry+x\"\nchecksum = \"00ff\"\ndependencies = [\n \"ours\",\n]\n\n\
        [[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n";

    fn known(id: &str, license: &str, source: Option<&str>) -> Known {
        let (name, version) = id.split_once('@').unwrap();
        Known {
            id: id.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            license: Some(license.to_owned()),
            source: source.map(ToOwned::to_owned),
        }
    }

    #[test]
    fn a_crate_has_its_license_and_the_checksum_of_the_lock_file() {
        let crates = ["a@1.0.0+b", "ours@1.0.0"].map(ToOwned::to_owned).into();
        let packages =
            [known("a@1.0.0+b", "MIT/Apache-2.0", Some("x")), known("ours@1.0.0", "MIT", None)];
        let components = components(&crates, &packages, &checksums(LOCK)).unwrap();
        assert_eq!(
            serde_json::to_value(components).unwrap(),
            json!([{
                "type": "library", "bom-ref": "pkg:cargo/a@1.0.0%2Bb", "name": "a",
                "version": "1.0.0+b", "purl": "pkg:cargo/a@1.0.0%2Bb",
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                "hashes": [{ "alg": "SHA-256", "content": "00ff" }],
            }])
        );
    }

    #[test]
    fn what_cargo_does_not_know_is_an_error() {
        let crates = ["b@1".to_owned()].into();
        assert!(components(&crates, &[], &checksums(LOCK)).is_err());
    }
}
