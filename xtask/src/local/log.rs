//! The log of the local cloud: its end, and what is added to it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const POLL: Duration = Duration::from_millis(100);

/// Prints the last `lines` lines to standard output and, to `follow`, whatever comes after them.
///
/// # Errors
///
/// If there is no log to read.
pub fn print(path: &Path, lines: usize, follow: bool) -> Result<()> {
    if !path.exists() {
        bail!(
            "reading {}: the local cloud hasn't been started yet\n  next: cargo xtask local up",
            path.display()
        );
    }
    let what = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(what)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).with_context(what)?;
    let mut open = show(last_lines(&text, lines));
    while follow && open {
        sleep(POLL);
        // A new start begins a new log in the same file.
        if file.metadata().with_context(what)?.len() < file.stream_position().with_context(what)? {
            file.seek(SeekFrom::Start(0)).with_context(what)?;
        }
        text.clear();
        file.read_to_end(&mut text).with_context(what)?;
        open = show(&text);
    }
    Ok(())
}

/// The end of a log, for an error message.
pub fn end(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(last_lines(&text, 15)).trim_end().to_owned();
    if text.is_empty() {
        "  its log is empty".to_owned()
    } else {
        format!("  its log ends with:\n{text}")
    }
}

/// False once nobody reads standard output any more.
fn show(text: &[u8]) -> bool {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).is_ok()
}

fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let ends = text.iter().enumerate().rev().skip(1).filter(|(_, byte)| **byte == b'\n');
    match count.checked_sub(1) {
        None => &[],
        Some(before) => ends.map(|(at, _)| at + 1).nth(before).map_or(text, |start| &text[start..]),
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn last_lines_are_whole_lines() {
        let log = b"one\ntwo\nthree\n";
        assert_eq!(last_lines(log, 0), b"");
        assert_eq!(last_lines(log, 1), b"three\n");
        assert_eq!(last_lines(log, 2), b"two\nthree\n");
        assert_eq!(last_lines(log, 3), log);
        assert_eq!(last_lines(log, 9), log);
        assert_eq!(last_lines(b"unfinished", 1), b"unfinished");
        assert_eq!(last_lines(b"", 1), b"");
    }
}
