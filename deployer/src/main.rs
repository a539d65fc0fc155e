use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(deployer::cli::main(std::env::args_os()).await as u8)
}
