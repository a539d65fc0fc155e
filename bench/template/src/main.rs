//! As a new project of `cargo lambda new --http` is set up, answering what our root does.

use lambda_http::{Body, Error, Request, Response, run, service_fn, tracing};

async fn greet(_: Request) -> Result<Response<Body>, Error> {
    let response = Response::builder().status(200).header("content-type", "application/json");
    Ok(response.body(r#"{"message":"Hello, World!"}"#.into())?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    run(service_fn(greet)).await
}
