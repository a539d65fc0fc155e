//! What cases of faults have in common: they run side by side, and leave a row in a table.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "libtest shows it when a test fails")]

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// What came of a case.
#[derive(Default)]
pub struct Came {
    pub converged: usize,
    /// Things that were there after the last destroy.
    pub left_over: usize,
}

/// Runs a test for each point, as many at a time as there are processors. It gives what is left at
/// its end. What went wrong has been printed by then.
pub fn each<P: Debug + Sync>(points: &[P], test: impl Fn(&P) -> Vec<String> + Sync) -> Came {
    let (next, came) = (AtomicUsize::new(0), Mutex::new(Came::default()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let left = catch_unwind(AssertUnwindSafe(|| test(point)));
                    let mut came = came.lock().unwrap();
                    match left {
                        Ok(left) if left.is_empty() => came.converged += 1,
                        Ok(left) => {
                            eprintln!("left over by {point:?}: {left:#?}");
                            came.left_over += left.len();
                        }
                        Err(_) => eprintln!("failed at {point:?}"),
                    }
                }
            });
        }
    });
    came.into_inner().unwrap()
}

/// On a push one of `step` points, at night all. If they are some ways to break each of many things, a step
/// that has no factor in common with the number of ways takes all of the ways.
pub fn some<P>(points: Vec<P>, step: usize) -> Vec<P> {
    let step = if std::env::var_os("FAULTS").is_some() { 1 } else { step };
    points.into_iter().step_by(step).collect()
}

/// A case of which every part went well, or its test would have ended.
pub fn report_all(case: &str, broken: usize) {
    report(case, broken, Came { converged: broken, left_over: 0 });
}

/// Leaves a row for `cargo xtask faults`, and fails when not all have converged.
#[track_caller]
pub fn report(case: &str, broken: usize, came: Came) {
    let Came { converged, left_over } = came;
    let row = serde_json::json!({
        "case": case, "broken": broken, "converged": converged, "left_over": left_over,
    });
    println!("{row}");
    if let Some(table) = std::env::var_os("FAULTS_TABLE") {
        let mut file = OpenOptions::new().create(true).append(true).open(table).unwrap();
        writeln!(file, "{row}").unwrap();
    }
    assert!(broken > 0, "{case}: nothing was broken");
    assert_eq!((converged, left_over), (broken, 0), "{case}: not all have converged");
}
