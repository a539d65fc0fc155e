//! The gate: refuses what Lambda's `provided.al2023` runtime could not start, before it is packaged.
//!
//! On Lambda such a binary fails at its first invocation, with a line in a log; here it fails at once, by name.

use anyhow::{Context, Result, bail};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{LittleEndian, Object, elf};

use crate::target::Arch;

/// The C library of Amazon Linux 2023: <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>.
const GLIBC: [u32; 2] = [2, 34];

/// The shared libraries of the runtime that a Rust binary may ask for: those of its C library, and the unwinder.
const LIBRARIES: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

type File<'a> = ElfFile64<'a, LittleEndian>;

/// Checks that Lambda on `arch` could start `binary`.
///
/// # Errors
///
/// What it could not, with the symbol or library at fault, and the remedy.
pub fn check(binary: &[u8], arch: Arch) -> Result<()> {
    let file = identify(binary, arch)?;
    let interpreter = interpreter(&file)?;
    let libraries = libraries(&file)?;

    if let Some(interpreter) = &interpreter {
        if interpreter != arch.interpreter() {
            bail!(
                "it asks to be loaded by {interpreter}, and the runtime has {}{}",
                arch.interpreter(),
                remedy(arch)
            );
        }
        if libraries.is_empty() {
            bail!(
                "its section headers are gone, so what it needs cannot be told; leave stripping to `strip = true`"
            );
        }
    }
    if let Some(library) = libraries.iter().find(|name| !LIBRARIES.contains(&name.as_str())) {
        bail!(
            "it needs the shared library {library}, and the runtime has none of that name\n  \
             next: find the crate that links it with `cargo tree -p functions`, and its feature for a bundled or pure Rust build"
        );
    }
    if let Some((symbol, version)) = too_new(&file)? {
        let [major, minor] = GLIBC;
        bail!(
            "it needs {symbol} of {version}, and the runtime has GLIBC_{major}.{minor}{}",
            remedy(arch)
        );
    }
    Ok(())
}

/// A static binary asks nothing of the runtime.
fn remedy(arch: Arch) -> String {
    format!("\n  next: rustup target add {} && cargo xtask package --arch {arch}", arch.musl())
}

/// Parses the headers: a 64-bit little-endian program for `arch`.
fn identify(binary: &[u8], arch: Arch) -> Result<File<'_>> {
    match binary {
        [0x7f, b'E', b'L', b'F', 2, 1, ..] => {}
        [0x7f, b'E', b'L', b'F', ..] => bail!("it is not a 64-bit little-endian ELF file"),
        _ => bail!("it is not an ELF file; only a Linux build runs on Lambda{}", remedy(arch)),
    }
    let file = File::parse(binary).context("it is a damaged ELF file")?;

    let header = file.elf_header();
    let machine = header.e_machine(LittleEndian);
    if machine != arch.machine() {
        bail!("it is built for {}, not for {arch}", name(machine));
    }
    // A static program may be ET_DYN too, without an interpreter; but only a program has an entry point.
    let kind = header.e_type(LittleEndian);
    if !matches!(kind, elf::ET_EXEC | elf::ET_DYN) || header.e_entry(LittleEndian) == 0 {
        bail!("it is an object file or a shared library, not a program");
    }
    Ok(file)
}

fn name(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64".to_owned(),
        elf::EM_AARCH64 => "arm64".to_owned(),
        elf::Machine(other) => format!("machine {other} of ELF's list"),
    }
}

fn interpreter(file: &File) -> Result<Option<String>> {
    for segment in file.elf_program_headers() {
        if let Some(path) =
            segment.interpreter(LittleEndian, file.data()).context("reading its interpreter")?
        {
            return Ok(Some(text(path)));
        }
    }
    Ok(None)
}

fn libraries(file: &File) -> Result<Vec<String>> {
    let libraries = file.import_libraries().context("reading its shared libraries")?;
    libraries
        .map(|library| Ok(text(library.context("reading its shared libraries")?.name())))
        .collect()
}

/// The first version of the C library that is needed and newer than Lambda's, with a symbol that needs it.
///
/// It is the version table that the loader goes by, not the symbols: some versions stand for no symbol
/// (`GLIBC_ABI_DT_RELR`), and those marked weak may be missing.
fn too_new(file: &File) -> Result<Option<(String, String)>> {
    let reading = "reading the symbol versions that it needs";
    let sections = file.elf_section_table();
    let Some((mut needs, strings)) =
        sections.gnu_verneed(LittleEndian, file.data()).context(reading)?
    else {
        return Ok(None);
    };
    let strings = sections.strings(LittleEndian, file.data(), strings).context(reading)?;

    while let Some((_, mut versions)) = needs.next().context(reading)? {
        while let Some(version) = versions.next().context(reading)? {
            let weak = version.vna_flags.get(LittleEndian).contains(elf::VER_FLG_WEAK);
            let name = version.name(LittleEndian, strings).context(reading)?;
            if !weak && !provided(&text(name)) {
                return Ok(Some((symbol_of(file, name)?, text(name))));
            }
        }
    }
    Ok(None)
}

/// Whether the runtime has this version: any that is not the C library's, and `GLIBC_` with numbers up to its own.
fn provided(version: &str) -> bool {
    let Some(numbers) = version.strip_prefix("GLIBC_") else { return true };
    let numbers: Option<Vec<u32>> = numbers.split('.').map(|number| number.parse().ok()).collect();
    numbers.is_some_and(|numbers| numbers.as_slice() <= &GLIBC[..])
}

fn symbol_of(file: &File, version: &[u8]) -> Result<String> {
    for import in file.imports().context("reading its imported symbols")? {
        let import = import.context("reading its imported symbols")?;
        if let object::ImportFlags::Elf { version: Some(found), .. } = import.flags()
            && found == version
            && let object::NameOrOrdinal::Name(name) = import.name()
        {
            return Ok(text(name));
        }
    }
    Ok("an unnamed feature".to_owned())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
