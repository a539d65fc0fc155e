//! The settings in the workspace's `.env`, for xtask and every program that it runs.
//!
//! A line is `NAME=value`, also with `export` before it, with spaces around name and value, and with the value in quotes.
//! `$` and `\` are literal. `#` begins a comment, at the beginning of a line or after a space.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::workspace::root;

/// Adds the settings of `.env` to the environment, in which those that are there already count more. An empty variable
/// counts as unset, for the programs that xtask runs too.
///
/// A program can't safely change its own environment, so xtask replaces itself by another run of itself.
///
/// # Errors
///
/// If `.env` can't be read, or holds a line that is no setting.
pub fn adopt() -> Result<()> {
    let mut missing = read(&root().join(".env"))?;
    missing.retain(|name, value| {
        !value.is_empty() && env::var_os(name).is_none_or(|outside| outside.is_empty())
    });
    let empty = env::vars_os().filter(|(_, value)| value.is_empty()).map(|(name, _)| name);
    let empty: Vec<OsString> = empty.collect();
    if missing.is_empty() && empty.is_empty() {
        return Ok(());
    }
    run_again(missing, &empty).map(|never| match never {})
}

fn run_again(settings: BTreeMap<String, String>, empty: &[OsString]) -> Result<Infallible> {
    let what = "running xtask again with the settings of .env";
    let mut command = Command::new(env::current_exe().context(what)?);
    for name in empty {
        command.env_remove(name);
    }
    let error = command.args(env::args_os().skip(1)).envs(settings).exec();
    Err(error).context(what)
}

fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            let next = "make it a readable file in UTF-8, as .env.template is, or remove it";
            return Err(anyhow!("reading {}: {error}\n  next: {next}", path.display()));
        }
    };
    // The line itself may be a secret.
    parse(&text).map_err(|(number, cause)| {
        anyhow!(
            "reading {}: line {number} is no setting\n  likely cause: {cause}\n  \
             next: write it as NAME=value; see .env.template",
            path.display()
        )
    })
}

/// By name; of two settings of one name the later counts, as in a shell. The error is a line's number and what is wrong
/// with it.
fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let settings = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| setting(line).map_err(|cause| (index + 1, cause)).transpose());
    settings.map(|found| found.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

/// The name and the value; `None` for a comment or an empty line.
fn setting(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let (name, value) = exported.unwrap_or(line).split_once('=').ok_or("it has no `=`")?;
    let name = name.trim();
    if !is_name(name) {
        return Err("before `=` stands no name of letters, digits and underscores");
    }
    let value = match value.trim_start().chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value.trim_start(), quote)?,
        _ => without_comment(value).trim(),
    };
    if value.contains('\0') {
        return Err("its value has a NUL byte");
    }
    Ok(Some((name, value)))
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(allowed)
}

fn quoted(value: &str, quote: char) -> Result<&str, &'static str> {
    let (value, rest) = value[1..].split_once(quote).ok_or("a quote is not closed")?;
    match without_comment(rest).trim() {
        "" => Ok(value),
        _ => Err("something other than a comment follows the closing quote"),
    }
}

fn without_comment(text: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| text[..*at].ends_with(char::is_whitespace);
    text.match_indices('#').find(begins).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_meant() {
        for (line, value) in [
            ("X=y", "y"),
            ("export X=y", "y"),
            ("\texport\tX = y ", "y"),
            ("  X=y\r", "y"),
            ("X=", ""),
            ("X= # none", ""),
            ("X=a b", "a b"),
            ("X=y # why", "y"),
            ("X=y\t# why", "y"),
            ("X=y#1", "y#1"),
            ("X=#1", "#1"),
            ("X=a=b", "a=b"),
            ("X=$HOME$(id)", "$HOME$(id)"),
            (r"X=a\nb", r"a\nb"),
            (r#"X="a # b" # why"#, "a # b"),
            ("X='it is \"so\"'", "it is \"so\""),
            ("X=it's", "it's"),
            ("X=\"\"", ""),
        ] {
            assert_eq!(setting(line), Ok(Some(("X", value))), "{line}");
        }
        for nothing in ["", "  ", "# X=y", "  # X=y"] {
            assert_eq!(setting(nothing), Ok(None), "{nothing}");
        }
    }

    #[test]
    fn any_other_line_is_an_error() {
        for line in [
            "X",
            "export X",
            "X: y",
            "=y",
            "1X=y",
            "X-Y=y",
            "set X=y",
            "X=\"y",
            "X='y\"",
            "X=\"a\"b",
            "X=\"a\"#b",
            "X=a\0b",
        ] {
            assert!(setting(line).is_err(), "{line}");
        }
        assert_eq!(parse("A=1\n\nB\nC\n").unwrap_err().0, 3);
    }

    #[test]
    fn the_later_of_two_settings_counts() {
        assert_eq!(parse("\u{feff}X=1\nX=2\n").unwrap()["X"], "2");
    }
}
