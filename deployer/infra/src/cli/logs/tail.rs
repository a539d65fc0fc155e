//! What of a log was seen already: lines are read twice, so that none is missed, and told once.

use crate::resources::LogLine;
use std::collections::HashMap;

/// How late a line may become readable, in milliseconds: so far back each reading begins.
const LATE: i64 = 120_000;

/// Where a reading begins, and what was told.
pub struct Tail {
    from: i64,
    /// The time of each line that may be read again.
    told: HashMap<String, i64>,
}

impl Tail {
    pub fn since(from: i64) -> Self {
        Self { from, told: HashMap::new() }
    }

    /// From when on to read next, in milliseconds since 1970.
    pub fn from(&self) -> i64 {
        self.from
    }

    /// What wasn't told yet, oldest first, of all lines that were read at `now` from
    /// [`from`](Self::from) on.
    pub fn fresh<S>(
        &mut self,
        lines: impl IntoIterator<Item = (S, LogLine)>,
        now: i64,
    ) -> Vec<(S, LogLine)> {
        let new = |(_, line): &(S, LogLine)| {
            // Without an id it can't be known again.
            line.id.is_empty() || self.told.insert(line.id.clone(), line.time).is_none()
        };
        let mut fresh: Vec<_> = lines.into_iter().filter(new).collect();
        // Stable: lines of one millisecond stay in AWS's order.
        fresh.sort_by_key(|(_, line)| line.time);
        self.from = self.from.max(now - LATE);
        self.told.retain(|_, time| *time >= self.from);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, time: i64) -> ((), LogLine) {
        ((), LogLine { id: id.to_owned(), time, message: String::new() })
    }

    fn ids(lines: &[((), LogLine)]) -> Vec<&str> {
        lines.iter().map(|(_, line)| line.id.as_str()).collect()
    }

    #[test]
    fn lines_of_several_groups_are_told_in_the_order_of_time_and_once() {
        let mut tail = Tail::since(0);
        let first = tail.fresh([line("b", 2), line("d", 4), line("a", 1)], 10);
        assert_eq!(ids(&first), ["a", "b", "d"]);
        let again = tail.fresh([line("a", 1), line("b", 2), line("d", 4), line("e", 5)], 12);
        assert_eq!(ids(&again), ["e"]);
    }

    #[test]
    fn a_line_that_becomes_readable_late_is_told_all_the_same() {
        let mut tail = Tail::since(0);
        tail.fresh([line("new", 1_000_000)], 1_000_000);
        assert_eq!(tail.from(), 1_000_000 - LATE);
        let late = tail.fresh([line("late", 1_000_000 - LATE), line("new", 1_000_000)], 1_002_000);
        assert_eq!(ids(&late), ["late"]);
    }

    /// Somebody may follow for weeks.
    #[test]
    fn what_will_not_be_read_again_is_forgotten() {
        let mut tail = Tail::since(0);
        tail.fresh([line("old", 5), line("new", LATE * 2)], LATE * 2);
        assert_eq!(tail.told.keys().collect::<Vec<_>>(), ["new"]);
    }

    #[test]
    fn what_was_asked_for_is_never_widened() {
        let mut tail = Tail::since(50);
        tail.fresh::<()>([], 60);
        assert_eq!(tail.from(), 50);
    }
}
