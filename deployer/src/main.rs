use deployer::aws::Access;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(deployer::cli::main(std::env::args_os(), Access::default()).await as u8)
}
