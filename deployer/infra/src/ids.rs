//! What resources are called in AWS: ids, names and ARNs, each its own type, because passing the wrong one must not
//! compile. And [`Throttle`], a limit.

use serde::{Deserialize, Serialize};

macro_rules! outputs {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}

outputs! {
    ApiId
    ApiKeyId
    BucketName
    LogGroupName
    PolicyArn
    StageName
    UsagePlanId
    /// `artifacts/<function>/<sha256>.zip`
    ArtifactKey
    /// The function's alias `live`.
    AliasArn
    /// A published version, by its number: what is configured, for good.
    Version
}

/// A role's ARN. Equal are those of one ARN, though the role may have been deleted and created again meanwhile.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct RoleArn {
    arn: String,
    /// Its unique id, which a role that is created again doesn't have. None until IAM has returned it.
    #[serde(skip)]
    pub id: Option<String>,
}

impl RoleArn {
    pub fn new(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), id: None }
    }

    /// As IAM returned it, with the role's unique id.
    pub fn with_id(arn: String, id: String) -> Self {
        Self { arn, id: Some(id) }
    }

    pub fn as_str(&self) -> &str {
        &self.arn
    }
}

impl PartialEq for RoleArn {
    fn eq(&self, other: &Self) -> bool {
        self.arn == other.arn
    }
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throttle {
    /// Requests a second.
    pub rate: f64,
    /// Requests at once.
    pub burst: i32,
}

impl Throttle {
    pub fn of(a_second: u32, at_once: u32) -> Self {
        let burst = i32::try_from(at_once).unwrap_or(i32::MAX);
        Self { rate: f64::from(a_second), burst }
    }
}
