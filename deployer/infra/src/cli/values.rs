//! Parsers of values that several verbs take: numbers in a range, and durations.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Seconds for which a run waits for AWS: up to a day.
pub const TIMEOUT: RangeInclusive<u64> = 1..=86_400;

/// Parses a whole number of `unit` that is in `range`.
pub fn number(
    unit: &'static str,
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.ok_or_else(|| format!("write a number of {unit} from {least} to {most}"))
    }
}

/// Parses `90s`, `5m`, `2h` or `1d`, of at most `days`. A unit is required.
pub fn duration(days: u64) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    const DAY: u64 = 24 * 3600;
    move |text| {
        let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
        let seconds = match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(DAY),
            _ => None,
        };
        let parsed = seconds.and_then(|seconds| digits.parse::<u64>().ok()?.checked_mul(seconds));
        let parsed = parsed.filter(|seconds| *seconds <= days * DAY).map(Duration::from_secs);
        parsed.ok_or_else(|| {
            format!("write a number with its unit, such as 90s, 5m, 2h or 1d; at most {days}d")
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn duration_requires_a_unit_and_has_a_limit() {
        let seconds = |text| super::duration(90)(text).map(|duration| duration.as_secs());
        for (text, parsed) in
            [("0s", 0), ("90s", 90), ("5m", 300), ("25h", 90_000), ("90d", 7_776_000)]
        {
            assert_eq!(seconds(text), Ok(parsed), "{text}");
        }
        let overflow = format!("{}d", u64::MAX);
        for bad in ["", "d", "30", "91d", "2161h", "-1d", "1.5d", "5x", "soon", &overflow] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
