//! The bench's figures, as the docs show them: times as multiples of the template's.

use anyhow::{Context, Result};
use serde::Deserialize;

/// Of one bootstrap: what `bench/meter` measured (times in nanoseconds), and what was weighed (in bytes).
#[derive(Clone, Default, Deserialize)]
pub struct Row {
    pub name: String,
    pub next_cached: u64,
    pub answer_cached: u64,
    pub next_evicted: u64,
    pub answer_evicted: u64,
    pub warm_p50: u64,
    pub warm_p99: u64,
    /// In KiB.
    pub peak: u64,
    /// None where they could not be counted.
    pub instructions: Option<Instructions>,
    #[serde(skip)]
    pub program: usize,
    #[serde(skip)]
    pub zip: usize,
}

/// As callgrind counts them.
#[derive(Clone, Copy, Deserialize)]
pub struct Instructions {
    pub first: u64,
    pub later: u64,
}

const HEAD: &str = "\
| bootstrap | start to `next` | to first answer | `next`, evicted | answer, evicted | warm p50 | warm p99 | instructions, thousands, to first answer | per later one | peak KiB | program kB | zip kB |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// In Markdown.
///
/// # Errors
///
/// If the template is not among the rows, or took no time.
pub fn table(rows: &[Row]) -> Result<String> {
    let template = rows.iter().find(|row| row.name == "template");
    let template = template.context("the template was not measured")?;
    let mut text = HEAD.to_owned();
    for row in rows {
        let times = |row: &Row| {
            [
                row.next_cached,
                row.answer_cached,
                row.next_evicted,
                row.answer_evicted,
                row.warm_p50,
                row.warm_p99,
            ]
        };
        let ratios = times(row).into_iter().zip(times(template));
        let ratios: String = ratios
            .map(|(own, template)| format!(" {:.2} |", own as f64 / template as f64))
            .collect();
        let (name, peak) = (&row.name, row.peak);
        let [program, zip] = [row.program, row.zip].map(|bytes| bytes.div_ceil(1000));
        let thousands = |count: fn(Instructions) -> u64| {
            row.instructions.map_or("–".to_owned(), |all| count(all).div_ceil(1000).to_string())
        };
        let (first, later) = (thousands(|all| all.first), thousands(|all| all.later));
        text += &format!("| {name} |{ratios} {first} | {later} | {peak} | {program} | {zip} |\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_multiples_of_the_templates() {
        let row = |name: &str, time| Row {
            name: name.to_owned(),
            next_cached: time,
            answer_cached: time * 2,
            next_evicted: time * 3,
            answer_evicted: time * 4,
            warm_p50: time * 5,
            warm_p99: time * 6,
            peak: 7,
            instructions: (time == 50).then_some(Instructions { first: 1001, later: 999 }),
            program: 8001,
            zip: 9000,
        };
        let rows = [row("root", 50), row("template", 100)];
        let text = table(&rows).unwrap();
        let ours = "| root | 0.50 | 0.50 | 0.50 | 0.50 | 0.50 | 0.50 | 2 | 1 | 7 | 9 | 9 |\n";
        assert!(text.contains("1.00 | – | – | 7 |"), "{text}");
        assert!(text.contains(ours), "{text}");
        assert!(table(&rows[..1]).is_err());
    }
}
