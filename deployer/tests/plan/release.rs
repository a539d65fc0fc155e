//! What a new release touches, and what it doesn't.

use super::*;
use insta::assert_snapshot;

const CODE: &str = "6dSBfrCcZ1/JkdPGeMUAXwCs0gNl5TP3SWOLQSAXJzA=";

/// A commit that changes no code is told to those that tell it, and to nobody else.
#[tokio::test(start_paused = true)]
async fn a_commit_touches_only_what_knows_of_commits() {
    let mut release = world::release();
    release.git_sha = "0123456789a".to_owned();
    let plan = try_plan(&deployed().await, &release).await.unwrap();
    assert_snapshot!(text(&plan));
}

#[tokio::test(start_paused = true)]
async fn a_changed_function_is_uploaded_and_updated_alone() {
    let release = world::release().with_code("root", CODE);
    let plan = try_plan(&deployed().await, &release).await.unwrap();
    assert_snapshot!(text(&plan));
}
