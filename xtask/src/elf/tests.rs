//! Small programs, linked here by the host's own compiler against stand-ins for the shared libraries.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

const NATIVE: Arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::X86_64 };
const FOREIGN: Arch = if cfg!(target_arch = "aarch64") { Arch::X86_64 } else { Arch::Arm64 };

/// A C library of the future: `new` came after Lambda's.
const LIBC: &str = "void old(void) {} void new(void) {}";
const LIBC_VERSIONS: &str = "GLIBC_2.34 { global: old; }; GLIBC_2.38 { global: new; };";

fn cc(directory: &Path, arguments: &[&str]) {
    let output = Command::new("cc")
        .current_dir(directory)
        .arg("-nostdlib")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Compiles `source` with `arguments`, against `libc.so.6` and `libssl.so.3` as needed.
fn build(source: &str, arguments: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (file, content) in [
        ("libc.c", LIBC),
        ("libc.map", LIBC_VERSIONS),
        ("ssl.c", "void ssl(void) {}"),
        ("main.c", source),
    ] {
        fs::write(directory.join(file), content).unwrap();
    }
    let versions = "-Wl,--version-script=libc.map";
    cc(
        directory,
        &["-shared", "-fPIC", "libc.c", "-o", "libc.so", "-Wl,-soname,libc.so.6", versions],
    );
    cc(directory, &["-shared", "-fPIC", "ssl.c", "-o", "libssl.so", "-Wl,-soname,libssl.so.3"]);

    let libraries = ["-Wl,--as-needed", "libc.so", "libssl.so"];
    let dynamic =
        arguments.iter().all(|argument| !matches!(*argument, "-c" | "-static" | "-static-pie"));
    let libraries = if dynamic { &libraries[..] } else { &[] };
    cc(directory, &[&["-fPIC", "main.c", "-o", "out"], arguments, libraries].concat());
    fs::read(directory.join("out")).unwrap()
}

/// A program that calls one function of a library.
fn calling(function: &str) -> Vec<u8> {
    build(&format!("void {function}(void); void _start(void) {{ {function}(); }}"), &["-pie"])
}

fn refusal(binary: &[u8]) -> String {
    check(binary, NATIVE).unwrap_err().to_string()
}

const EMPTY: &str = "void _start(void) {}";

#[test]
fn programs_that_lambda_can_start_pass() {
    check(&calling("old"), NATIVE).unwrap();
    check(&build(EMPTY, &["-static"]), NATIVE).unwrap();
    check(&build(EMPTY, &["-static-pie"]), NATIVE).unwrap();
}

#[test]
fn a_symbol_newer_than_the_runtime_is_named_with_the_remedy() {
    let expected = format!(
        "it needs new of GLIBC_2.38, and the runtime has GLIBC_2.34\n  \
         next: rustup target add {} && cargo xtask package --arch {NATIVE}",
        NATIVE.musl()
    );
    assert_eq!(refusal(&calling("new")), expected);
}

#[test]
fn a_version_marked_weak_may_be_missing() {
    let mut binary = calling("new");
    let hash = elf::hash(b"GLIBC_2.38").to_le_bytes();
    let entry = binary.windows(4).position(|window| window == hash).unwrap();
    binary[entry + 4] = 2; // VER_FLG_WEAK; not every linker sets it for a weak symbol
    check(&binary, NATIVE).unwrap();
}

#[test]
fn versions_compare_as_numbers() {
    for provided_version in ["GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.34", "GCC_4.2.0", "LIBFOO_9"] {
        assert!(provided(provided_version), "{provided_version}");
    }
    for missing in [
        "GLIBC_2.34.1",
        "GLIBC_2.35",
        "GLIBC_2.100",
        "GLIBC_3.0",
        "GLIBC_PRIVATE",
        "GLIBC_ABI_DT_RELR",
    ] {
        assert!(!provided(missing), "{missing}");
    }
}

#[test]
fn a_library_that_the_runtime_has_not_is_named() {
    assert!(refusal(&calling("ssl")).starts_with("it needs the shared library libssl.so.3, "));
}

#[test]
fn a_strange_loader_is_named() {
    let strange = build(
        "void old(void); void _start(void) { old(); }",
        &["-pie", "-Wl,--dynamic-linker=/opt/ld.so"],
    );
    assert!(refusal(&strange).starts_with("it asks to be loaded by /opt/ld.so, "));
}

#[test]
fn the_other_architecture_is_refused() {
    let error = check(&calling("old"), FOREIGN).unwrap_err().to_string();
    assert_eq!(error, format!("it is built for {NATIVE}, not for {FOREIGN}"));

    const MACHINE: usize = 18;
    let mut binary = calling("old");
    binary[MACHINE] = 243; // RISC-V
    assert_eq!(
        refusal(&binary),
        format!("it is built for machine 243 of ELF's list, not for {NATIVE}")
    );
}

#[test]
fn what_is_not_a_program_is_refused() {
    for file in [&b""[..], b"#!/bin/sh\n", b"\xcf\xfa\xed\xfe\x0c\0\0\x01", b"MZ", b"\x7fEL"] {
        assert!(refusal(file).starts_with("it is not an ELF file"), "{file:?}");
    }
    for parts in [build(EMPTY, &["-c"]), build("void library(void) {}", &["-shared"])] {
        assert_eq!(refusal(&parts), "it is an object file or a shared library, not a program");
    }
}

#[test]
fn the_class_and_byte_order_count() {
    const CLASS: usize = 4;
    const BYTE_ORDER: usize = 5;
    for (byte, other) in [(CLASS, 1), (BYTE_ORDER, 2)] {
        let mut binary = calling("old");
        binary[byte] = other;
        assert_eq!(refusal(&binary), "it is not a 64-bit little-endian ELF file");
    }
}

#[test]
fn without_section_headers_nothing_is_taken_for_granted() {
    let mut binary = calling("new");
    let (offset, count_and_names) = (0x28..0x30, 0x3c..0x40);
    binary[offset].fill(0);
    binary[count_and_names].fill(0);
    assert!(refusal(&binary).starts_with("its section headers are gone"));
}

#[test]
fn a_truncated_program_is_refused_at_every_length() {
    let binary = calling("old");
    for length in 0..binary.len() {
        assert!(check(&binary[..length], NATIVE).is_err(), "{length} bytes of {}", binary.len());
    }
}
