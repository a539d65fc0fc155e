//! What cases of faults have in common: they run side by side, and leave a row in a table.

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

/// Runs a test for each point, as many at a time as there are processors; says how many passed.
/// What went wrong has been printed by then.
pub fn each<P: Debug + Sync>(points: &[P], test: impl Fn(&P) + Sync) -> usize {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if catch_unwind(AssertUnwindSafe(|| test(point))).is_err() {
                        eprintln!("failed at {point:?}");
                        failed.lock().unwrap().push(format!("{point:?}"));
                    }
                }
            });
        }
    });
    points.len() - failed.lock().unwrap().len()
}

/// Leaves a row for `cargo xtask faults`, and fails when not all have converged.
#[track_caller]
pub fn report(case: &str, broken: usize, converged: usize) {
    let row = serde_json::json!({ "case": case, "broken": broken, "converged": converged });
    println!("{row}");
    if let Some(table) = std::env::var_os("FAULTS_TABLE") {
        let mut file = OpenOptions::new().create(true).append(true).open(table).unwrap();
        writeln!(file, "{row}").unwrap();
    }
    assert!(broken > 0, "{case}: nothing was broken");
    assert_eq!(converged, broken, "{case}: not all have converged");
}
