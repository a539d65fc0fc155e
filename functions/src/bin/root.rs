//! `GET /`: greets the world.

use handler::{Body, Error, Request, Response, json, serve};
use serde_json::json;

async fn root(_: Request) -> Result<Response<Body>, Error> {
    json(200, &json!({ "message": "Hello, World!" }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve(root).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn greets_the_world() {
        let answer =
            handler::answer(root, include_bytes!("../../handler/tests/event.json"), "id").await;
        assert_eq!(answer.response.status_code, 200);
        assert_eq!(answer.response.multi_value_headers["content-type"], "application/json");
        assert_eq!(answer.response.body, Some(Body::from(r#"{"message":"Hello, World!"}"#)));
    }
}
