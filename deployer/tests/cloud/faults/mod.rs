//! Nothing breaks it: `cargo xtask faults` runs these and shows the table.

mod broken;
mod moods;
mod outage;
pub mod report;
mod together;
