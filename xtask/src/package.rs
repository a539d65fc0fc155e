//! `cargo xtask package`: compiles the functions, checks them, zips them, and writes manifest and bills of materials.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::compile::Built;
use crate::manifest::{Manifest, Package};
use crate::target::Arch;
use crate::workspace::{make_writable, packages, root, say, write_atomically};
use crate::{archive, elf, git, link, sbom};

/// Compile, check and zip the functions for Lambda.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Architecture of the Lambda functions
    #[arg(long, value_enum, default_value_t, value_name = "ARCH")]
    pub arch: Arch,
    /// Repackage only this function, and leave the others as they are
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Directory for the zips and their manifest [default: target/lambda of the workspace]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A function that was built, and the zip to write, unless the one that is there will do.
struct Made {
    package: Package,
    zip: Option<Vec<u8>>,
}

/// What is to be packaged, and where: all that can be known to be right before anything is compiled.
pub struct Prepared<'a> {
    options: &'a Options,
    directory: PathBuf,
    previous: Option<Manifest>,
    manifest: Manifest,
}

/// Looks at what packaging needs.
///
/// # Errors
///
/// If there is no commit to name, or the packages could not be written.
pub fn prepare(options: &Options) -> Result<Prepared<'_>> {
    let directory = options.out.clone().unwrap_or_else(packages);
    let previous = Manifest::read(&directory);
    let mut manifest = Manifest::new(git::sha(&root())?, options.arch);
    if let Some(name) = &options.only {
        manifest.packages = others(name, &manifest, previous.as_ref())
            .with_context(|| format!("packaging only {name}"))?;
    }
    let next = "in a read-only checkout, cargo xtask package --out DIR, and cargo xtask deploy --packages DIR";
    make_writable(&directory, next)?;
    Ok(Prepared { options, directory, previous, manifest })
}

/// Packages what has changed and reports it, a line a function; what has not changed only if `thorough`.
///
/// No package is written before every function has passed its checks. The manifest is written last: until then, it
/// contradicts the new zips, and no deployer takes them.
///
/// # Errors
///
/// If a function does not compile, could not run on Lambda, or cannot be written.
pub fn package(prepared: Prepared<'_>, thorough: bool) -> Result<()> {
    let Prepared { options, directory, previous, mut manifest } = prepared;
    let (target, Built { programs, crates }) =
        link::functions(options.arch, options.only.as_deref())?;
    let of_arch = previous.as_ref().filter(|previous| previous.arch == options.arch);
    let make = |(name, binary): (&String, &PathBuf)| {
        let old = of_arch.and_then(|previous| previous.package(name));
        make(name, binary, options.arch, old, &directory)
            .with_context(|| format!("packaging {name} for {}", options.arch))
    };
    let made = programs.iter().map(make).collect::<Result<Vec<Made>>>()?;

    let mut packages = Vec::new();
    for Made { package, zip } in made {
        if let Some(zip) = &zip {
            write_atomically(&directory.join(&package.file), zip)?;
        }
        if thorough || zip.is_some() {
            say(line(&package, options.arch, zip.is_none()));
        }
        packages.push(package);
    }
    sbom::write(&packages, &crates, target.triple, &directory)?;
    manifest.packages.extend(packages);
    manifest.packages.sort_by(|a, b| a.name.cmp(&b.name));
    manifest.write(&directory)?;
    let former = previous.as_ref().map_or(&[][..], |previous| &previous.packages);
    remove_gone(former, &manifest, &directory);

    if thorough {
        let Manifest { version, git_sha, .. } = &manifest;
        let (triple, place) = (target.triple, directory.display());
        say(format_args!("packaged {version} {git_sha} for {triple} in {place}"));
    }
    Ok(())
}

/// Removes zips and bills of materials of functions that are gone: what the former manifest named and this one doesn't.
/// A deploy reads only what the manifest names, so one that can't be removed is ignored.
fn remove_gone(former: &[Package], manifest: &Manifest, directory: &Path) {
    for Package { name, file, .. } in
        former.iter().filter(|old| manifest.package(&old.name).is_none())
    {
        let _ = fs::remove_file(directory.join(file));
        let _ = fs::remove_file(sbom::file(name, directory));
    }
}

/// The packages to keep beside a repackaged `name`: all others, if they are of the same release.
fn others(name: &str, manifest: &Manifest, previous: Option<&Manifest>) -> Result<Vec<Package>> {
    let Some(previous) = previous else {
        bail!("the others have not been packaged\n  next: cargo xtask package");
    };
    manifest.agrees_with(previous)?;
    Ok(previous.packages.iter().filter(|package| package.name != name).cloned().collect())
}

fn make(
    name: &str,
    binary: &Path,
    arch: Arch,
    old: Option<&Package>,
    directory: &Path,
) -> Result<Made> {
    let binary = fs::read(binary).with_context(|| format!("reading {}", binary.display()))?;
    elf::check(&binary, arch)?;
    if let Some(old) = old.filter(|old| old.is_of(&binary, directory)) {
        return Ok(Made { package: old.clone(), zip: None });
    }
    let zip = archive::zip(&binary)?;
    Ok(Made { package: Package::new(name, &zip, &binary), zip: Some(zip) })
}

fn line(package: &Package, arch: Arch, unchanged: bool) -> String {
    let Package { name, zip_bytes, sha256, .. } = package;
    let kilobytes = zip_bytes.div_ceil(1000);
    let state = if unchanged { "  unchanged" } else { "" };
    format!("{name:<16} {arch:<6} {kilobytes:>6} kB  sha256 {sha256:.12}{state}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_needs_the_others_of_the_same_release() {
        let manifest = Manifest::new("0123456789a".into(), Arch::X86_64);
        let error = others("root", &manifest, None).unwrap_err().to_string();
        assert!(error.contains("next: cargo xtask package"), "{error}");

        let mut previous = Manifest::new("0123456789a".into(), Arch::X86_64);
        previous.packages =
            ["health", "root"].map(|name| Package::new(name, b"zip", b"binary")).into();
        let kept = others("root", &manifest, Some(&previous)).unwrap();
        assert_eq!(kept, previous.packages[..1]);

        previous.git_sha = "another".into();
        assert!(others("root", &manifest, Some(&previous)).is_err());
    }

    #[test]
    fn what_a_function_that_is_gone_has_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let [gone, kept] = ["gone", "kept"].map(|name| Package::new(name, b"zip", b"binary"));
        for name in ["gone.zip", "gone.cdx.json", "kept.zip", "somebody-elses.zip"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let mut manifest = Manifest::new("0123456789a".into(), Arch::X86_64);
        manifest.packages = vec![kept.clone()];
        remove_gone(&[gone, kept], &manifest, directory.path());
        let left = fs::read_dir(directory.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kept.zip", "somebody-elses.zip"]);
    }

    #[test]
    fn lines_align() {
        let package = Package::new("root", &[0; 1001], b"binary");
        assert_eq!(
            line(&package, Arch::X86_64, false),
            "root             x86_64      2 kB  sha256 2f33b0227588"
        );
        let package = Package::new("metadata", &[0; 1001], b"binary");
        assert_eq!(
            line(&package, Arch::Arm64, true),
            "metadata         arm64       2 kB  sha256 2f33b0227588  unchanged"
        );
    }
}
