//! What IAM denies that an emulator without policies answers.

use super::{Fault, Verdict};
use crate::world::{Request, Response, refuse};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Under a policy that allows a DELETE by the tags of what is deleted, the DELETE of what isn't there is denied and not
/// answered with NotFound: without the thing there are no tags (IAM: "Controlling access to AWS resources using tags").
#[derive(Default)]
pub struct TagConditionedDelete {
    pub denied: Arc<AtomicUsize>,
}

impl Fault for TagConditionedDelete {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        let tagged =
            ["apigateway:DeleteRestApi", "apigateway:DeleteApiKey", "apigateway:DeleteUsagePlan"];
        if answer.status != 404 || !tagged.contains(&request.name.as_str()) {
            return Verdict::Pass;
        }
        self.denied.fetch_add(1, Ordering::SeqCst);
        let text = "User: me is not authorized to perform: apigateway:DELETE";
        Verdict::Answer(refuse("apigateway", 403, "AccessDeniedException", text))
    }
}

/// Until the dashboard exists, every request for its tags is denied: what CloudWatch says of the tags of one that isn't
/// there is documented nowhere.
#[derive(Default)]
pub struct TagsOfNoDashboard {
    made: bool,
}

impl Fault for TagsOfNoDashboard {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        self.made |= request.name == "monitoring:PutDashboard";
        let asks = request.name == "monitoring:ListTagsForResource";
        if self.made || !asks || !request.body.contains(":dashboard/") {
            return Verdict::Pass;
        }
        let text = "User: me is not authorized to perform: cloudwatch:ListTagsForResource";
        Verdict::Answer(refuse("monitoring", 403, "AccessDenied", text))
    }
}

/// CloudWatch's ConflictException, the first times that something is written or deleted (CloudWatch's service model).
pub struct Conflict(pub usize);

impl Fault for Conflict {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        let operations = ["monitoring:PutDashboard", "monitoring:DeleteDashboards"];
        if self.0 == 0 || !operations.contains(&request.name.as_str()) {
            return Verdict::Pass;
        }
        self.0 -= 1;
        let text = "This operation attempted to create a resource that already exists.";
        Verdict::Answer(refuse("monitoring", 409, "ConflictException", text))
    }
}
