//! The process: its variables, its panics, its exit code.

use crate::app::App;
use crate::aws::Access;
use crate::cli;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The whole program: what `main` of a deployer calls with its application.
pub fn main(app: &App) -> ExitCode {
    without_empty_variables();
    std::panic::set_hook(Box::new(cli::keep_panic));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::FAILURE,
    };
    let exit = runtime.block_on(cli::main(std::env::args_os(), Access::default(), app));
    // A blocked read of standard input must not delay the exit.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}

/// An empty variable is an unset one, for every library too: the SDK would take `AWS_REGION=` for a region and
/// panic at `AWS_ENDPOINT_URL=`. A process can't safely unset its variables, so it becomes one without them.
fn without_empty_variables() {
    let empty: Vec<_> = std::env::vars_os().filter(|(_, value)| value.is_empty()).collect();
    if empty.is_empty() {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap_or_default());
    for (name, _) in empty {
        again.env_remove(name);
    }
    // It returns only if that fails; then they are what they are.
    let _ = again.args(std::env::args_os().skip(1)).exec();
}
