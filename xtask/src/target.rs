//! What the functions are compiled for.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::elf;
use serde::{Deserialize, Serialize};

/// A Lambda architecture, under the name that Lambda gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
pub enum Arch {
    #[default]
    #[serde(rename = "x86_64")]
    #[value(name = "x86_64")]
    X86_64,
    #[serde(rename = "arm64")]
    #[value(name = "arm64")]
    Arm64,
}

impl Arch {
    /// This machine's own, if Lambda has it.
    pub fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The target whose programs are static: they need no C library of the runtime's.
    pub fn musl(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64-unknown-linux-musl",
            Arch::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    fn gnu(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64-unknown-linux-gnu",
            Arch::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The number of the machine in an ELF header.
    pub fn machine(self) -> elf::Machine {
        match self {
            Arch::X86_64 => elf::EM_X86_64,
            Arch::Arm64 => elf::EM_AARCH64,
        }
    }

    /// The loader of dynamic programs, where every Linux with the GNU C library has it.
    pub fn interpreter(self) -> &'static str {
        match self {
            Arch::X86_64 => "/lib64/ld-linux-x86-64.so.2",
            Arch::Arm64 => "/lib/ld-linux-aarch64.so.1",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "arm64",
        })
    }
}

/// A rustc target, the linker it needs if the host's own would not do, and flags for rustc.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    pub triple: &'static str,
    pub linker: Option<&'static str>,
    pub flags: &'static [&'static str],
}

/// Links the C library into the program: no loader runs before it, and the runtime's version no longer matters.
const STATIC: &[&str] = &["-Ctarget-feature=+crt-static"];

/// The same with musl, which is so small that the program may be larger for being quicker: the profile's `opt-level` has
/// glibc's size in mind (`docs/PERFORMANCE.md`). rustc takes the last.
const MUSL: &[&str] = &["-Ctarget-feature=+crt-static", "-Copt-level=2"];

impl Target {
    /// The best installed target for `arch`: static if there is one, else the host's own; that, too, static if the host
    /// has its C library as an archive.
    ///
    /// # Errors
    ///
    /// If none is installed, with the command that installs one; or if rustc cannot be run.
    pub fn installed(arch: Arch) -> Result<Target> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output =
            Command::new(rustc).args(["--print", "host-tuple", "--print", "sysroot"]).output();
        let output = output.context("asking rustc for its host and targets")?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let [host, sysroot] = answer.lines().collect::<Vec<_>>()[..] else {
            bail!(
                "asking rustc for its host and targets: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        };
        let targets = Path::new(sysroot).join("lib/rustlib");
        let installed = |triple: &str| targets.join(triple).join("lib").is_dir();
        Target::choose(arch, host, installed, has_static_libc())
    }

    /// The same with glibc as a shared library, if this one links it statically.
    pub fn with_shared_glibc(&self) -> Option<Target> {
        (self.flags == STATIC).then_some(Target { flags: &[], ..*self })
    }

    fn choose(
        arch: Arch,
        host: &str,
        installed: impl Fn(&str) -> bool,
        static_libc: bool,
    ) -> Result<Target> {
        let (musl, gnu) = (arch.musl(), arch.gnu());
        if installed(musl) {
            let native = host.ends_with("-linux-gnu") || host.ends_with("-linux-musl");
            let native = native && host.split('-').next() == musl.split('-').next();
            // A static program needs nothing of a foreign system, so the linker that comes with Rust is enough.
            let linker = (!native).then_some("rust-lld");
            return Ok(Target { triple: musl, linker, flags: MUSL });
        }
        if host == gnu {
            let flags = if static_libc { STATIC } else { &[] };
            return Ok(Target { triple: gnu, linker: None, flags });
        }
        bail!(
            "building for {arch} on {host}: Rust's {musl} target is not installed\n  next: rustup target add {musl}"
        );
    }
}

/// Whether the host's linker finds `libc.a`: then the compiler driver answers with its path, else with its bare name.
fn has_static_libc() -> bool {
    let output = Command::new("cc").arg("-print-file-name=libc.a").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &str = "x86_64-unknown-linux-gnu";

    #[test]
    fn static_is_preferred() {
        let target = Target::choose(Arch::X86_64, LINUX, |_| true, true).unwrap();
        let triple = "x86_64-unknown-linux-musl";
        assert_eq!(target, Target { triple, linker: None, flags: MUSL });
        assert_eq!(target.with_shared_glibc(), None);
    }

    #[test]
    fn the_host_will_do() {
        for (static_libc, flags) in [(true, STATIC), (false, &[])] {
            let installed = |triple: &str| triple == LINUX;
            let target = Target::choose(Arch::X86_64, LINUX, installed, static_libc).unwrap();
            assert_eq!(target, Target { triple: LINUX, linker: None, flags });
            let shared = Target { triple: LINUX, linker: None, flags: &[] };
            assert_eq!(target.with_shared_glibc(), static_libc.then_some(shared));
        }
    }

    #[test]
    fn a_foreign_target_is_linked_by_rusts_own_linker() {
        for (arch, host) in [
            (Arch::Arm64, LINUX),
            (Arch::X86_64, "x86_64-apple-darwin"),
            (Arch::Arm64, "aarch64-apple-darwin"),
        ] {
            let target = Target::choose(arch, host, |_| true, true).unwrap();
            assert_eq!(
                target,
                Target { triple: arch.musl(), linker: Some("rust-lld"), flags: MUSL },
                "{arch} on {host}"
            );
        }
    }

    #[test]
    fn a_missing_target_is_named_with_the_remedy() {
        let error = Target::choose(Arch::Arm64, LINUX, |triple| triple == LINUX, true)
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("next: rustup target add aarch64-unknown-linux-musl"), "{error}");
    }
}
