//! Nothing breaks it: `cargo xtask faults` runs these and shows the table.

mod broken;
mod moods;
pub mod report;
mod together;
