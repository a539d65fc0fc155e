//! Names of buckets are the world's: every request says whose the bucket must be.

use crate::account::Account;
use crate::world::fault::{Fault, Verdict};
use crate::world::{Request, World};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An operation, and whose account the request names.
type Asked = (String, Option<String>);

/// Hears what S3 is asked.
#[derive(Default)]
struct Ear(Arc<Mutex<Vec<Asked>>>);

impl Fault for Ear {
    fn before(&mut self, request: &Request, _: Duration) -> Verdict {
        if request.service == "s3" {
            let owner = request.header("x-amz-expected-bucket-owner").map(ToOwned::to_owned);
            self.0.lock().unwrap().push((request.name.clone(), owner));
        }
        Verdict::Pass
    }
}

#[test]
fn every_request_to_s3_names_the_account_that_must_own_the_bucket() {
    let (account, ear) = (Account::new(), Ear::default());
    let heard = ear.0.clone();
    let world = World::of(&account).with(ear);
    world.run(&account, "deploy --yes").ends(0);
    account.packages.change_code("root");
    for line in ["deploy --yes", "releases", "rollback --yes", "status", "destroy --yes"] {
        world.run(&account, line).ends(0);
    }
    let heard = heard.lock().unwrap();
    for of in ["PutObject", "GetObject", "DeleteObject", "PutBucketPolicy", "DeleteBucket"] {
        assert!(heard.iter().any(|(name, _)| name == &format!("s3:{of}")), "no {of}");
    }
    // Nobody owns it before it is made, and S3 knows no such header there.
    for (name, owner) in heard.iter().filter(|(name, _)| name != "s3:CreateBucket") {
        assert_eq!(owner.as_ref(), Some(&account.id), "{name}");
    }
}
