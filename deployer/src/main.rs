use deployer::aws::Access;
use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::FAILURE,
    };
    let exit = runtime.block_on(deployer::cli::main(std::env::args_os(), Access::default()));
    // Nobody waits for an answer to a question that is no longer asked.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}
