//! A function for the tests: it greets, and tells its release where one is set.

use handler::{Body, Error, Release, Request, Response, json, serve};

async fn greet(_: Request) -> Result<Response<Body>, Error> {
    let release = Release::read(|name| std::env::var(name).ok()).ok();
    let release = release.map(|release| [release.version, release.git_sha]);
    json(200, &("Hello, World!", release))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve(greet).await
}
