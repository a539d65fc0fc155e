//! A function's zip, whose bytes depend on the binary alone.

use std::io::{Cursor, Read, Write};

use anyhow::{Context, Result, bail};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What Lambda runs in a `provided.*` runtime.
const ENTRY: &str = "bootstrap";

/// Lambda's quotas, in bytes: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const ZIPPED: usize = 50 << 20;
const UNZIPPED: usize = 250 << 20;

/// Zips `binary` as an executable `bootstrap`, dated 1980 (the zip format's zero).
///
/// # Errors
///
/// If it exceeds what Lambda accepts.
pub fn zip(binary: &[u8]) -> Result<Vec<u8>> {
    within("its binary", binary.len(), UNZIPPED)?;

    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(ENTRY, options).context("compressing it")?;
    zip.write_all(binary).context("compressing it")?;
    let zip = zip.finish().context("compressing it")?.into_inner();

    within("its zip", zip.len(), ZIPPED)?;
    Ok(zip)
}

/// The binary in a zip of ours.
///
/// # Errors
///
/// If it is none.
pub fn unzip(zip: &[u8]) -> Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).context("opening a zip")?;
    let mut binary = vec![];
    archive.by_name(ENTRY)?.read_to_end(&mut binary).context("unpacking a zip")?;
    Ok(binary)
}

fn within(what: &str, size: usize, quota: usize) -> Result<()> {
    if size <= quota {
        return Ok(());
    }
    bail!(
        "{what} has {size} bytes, and Lambda takes at most {quota}\n  \
         next: find what is big with `cargo bloat -p functions --profile lambda`, or move data that is not code to S3"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zip_holds_an_executable_bootstrap_and_nothing_else() {
        let bytes = zip(b"program").unwrap();
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 1);

        let mut entry = archive.by_index(0).unwrap();
        assert_eq!((&*entry.name().unwrap(), entry.unix_mode()), ("bootstrap", Some(0o100_755)));
        assert_eq!(entry.last_modified().unwrap().to_string(), "1980-01-01 00:00:00");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(content, b"program");
    }

    #[test]
    fn the_same_binary_gives_the_same_bytes() {
        assert_eq!(zip(b"program").unwrap(), zip(b"program").unwrap());
    }

    #[test]
    fn too_much_is_refused() {
        assert!(within("its zip", ZIPPED, ZIPPED).is_ok());
        let error = within("its zip", ZIPPED + 1, ZIPPED).unwrap_err().to_string();
        assert!(
            error.starts_with("its zip has 52428801 bytes, and Lambda takes at most 52428800\n"),
            "{error}"
        );
        assert!(zip(&vec![0; UNZIPPED + 1]).is_err());
    }
}
