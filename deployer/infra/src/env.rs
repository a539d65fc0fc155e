//! App, stage, region and account, and everything that follows from them: names, paths, ARNs, tags.
//!
//! Plain data, no IO. Because every name follows from these four, there is no state file: any
//! machine with the checkout finds what any other has made.

use anyhow::{Result, bail};
use std::collections::BTreeMap;

pub type Tags = BTreeMap<String, String>;

/// The alias that the API calls and that a deploy moves.
pub const ALIAS: &str = "live";

/// The stage's variable that names it.
pub const ALIAS_VARIABLE: &str = "alias";

/// Says in a tag that a resource is made and kept by this program.
const MANAGED_BY: (&str, &str) = ("managed-by", "deployer");

/// Where a stage of the app lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    pub app: String,
    pub stage: String,
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// `aws`, `aws-cn`, `aws-us-gov`: the second part of every ARN.
    pub partition: String,
}

impl Env {
    /// `ops-api-dev`: the API, its key and its usage plan; every other name begins with it.
    pub fn name(&self) -> String {
        format!("{}-{}", self.app, self.stage)
    }

    pub fn function(&self, function: &str) -> String {
        format!("{}-{function}", self.name())
    }

    /// With the region: IAM is global, and two regions of one stage must not share a role.
    pub fn role(&self, function: &str) -> String {
        format!("{}-{function}-{}", self.name(), self.region)
    }

    /// What takes the place of a function's role for a moment. As long as that one's name, which AWS limits, and
    /// beginning as it does: a role that doesn't exist is known to policies by its name alone.
    pub fn stand_in_role(&self, function: &str) -> String {
        format!("{}-{function}.{}", self.name(), self.region)
    }

    /// As which API Gateway writes logs, for every stage and app of the account here.
    pub fn gateway_log_role(&self) -> String {
        format!("api-gateway-logs-{}", self.region)
    }

    /// What AWS itself provides for this role, and checks it for (AWS: "Set up CloudWatch logging").
    pub fn gateway_log_policy(&self) -> String {
        let policy = "iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs";
        format!("arn:{}:{policy}", self.partition)
    }

    /// Under which the stage's roles are found again; `ListRoles` can filter by nothing else.
    pub fn role_path(&self) -> String {
        format!("/{}/{}/", self.app, self.stage)
    }

    /// The name Lambda would choose, so that nothing must be configured for it.
    pub fn log_group(&self, function: &str) -> String {
        format!("/aws/lambda/{}", self.function(function))
    }

    /// Where API Gateway writes a line a request.
    pub fn access_log_group(&self) -> String {
        format!("/aws/apigateway/{}", self.name())
    }

    /// With the region: dashboards are the account's, like roles.
    pub fn dashboard(&self) -> String {
        format!("{}-{}", self.name(), self.region)
    }

    /// Without a region, for it has none.
    pub fn dashboard_arn(&self, dashboard: &str) -> String {
        let Self { partition, account, .. } = self;
        format!("arn:{partition}:cloudwatch::{account}:dashboard/{dashboard}")
    }

    pub fn alarm_arn(&self, alarm: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarm}")
    }

    /// With account and region: bucket names are shared by the whole world.
    pub fn bucket(&self) -> String {
        format!("{}-{}-{}", self.name(), self.account, self.region)
    }

    pub fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition, self.bucket())
    }

    pub fn parameter_path(&self) -> String {
        format!("/{}/{}", self.app, self.stage)
    }

    pub fn parameter(&self, leaf: &str) -> String {
        format!("{}/{leaf}", self.parameter_path())
    }

    pub fn role_arn(&self, role: &str) -> String {
        self.iam_arn(&format!("role{}{role}", self.role_path()))
    }

    /// As which CI deploys the stage here. Not named as the stage's own roles are: who deploys may write
    /// those, and must not write this one.
    pub fn ci_role(&self) -> String {
        format!("deploy-{}-{}", self.name(), self.region)
    }

    /// Apart from the stage's roles, which go with the stage.
    pub fn ci_role_path(&self) -> String {
        format!("/{}-ci/{}/", self.app, self.stage)
    }

    /// A managed policy of the role as which CI deploys.
    pub fn ci_policy(&self, document: &str) -> String {
        format!("{}-{document}", self.ci_role())
    }

    /// Under the CI role's path, where the role itself may change nothing.
    pub fn ci_policy_arn(&self, policy: &str) -> String {
        self.iam_arn(&format!("policy{}{policy}", self.ci_role_path()))
    }

    /// The region that IAM's requests count for, which `aws:RequestedRegion` says of them (IAM: "AWS global
    /// condition context keys"). None where it isn't known.
    pub fn iam_region(&self) -> Option<&'static str> {
        match self.partition.as_str() {
            "aws" => Some("us-east-1"),
            "aws-cn" => Some("cn-north-1"),
            "aws-us-gov" => Some("us-gov-west-1"),
            _ => None,
        }
    }

    /// ARN of something in this account's IAM, which has no regions: `role/path/name`.
    pub fn iam_arn(&self, what: &str) -> String {
        let Self { partition, account, .. } = self;
        format!("arn:{partition}:iam::{account}:{what}")
    }

    /// As the log stream ARNs begin that a function's role may write to.
    pub fn log_group_arn(&self, log_group: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:logs:{region}:{account}:log-group:{log_group}")
    }

    pub fn topic_arn(&self, topic: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:sns:{region}:{account}:{topic}")
    }

    /// ARN of a function by its full name, without a qualifier.
    pub fn function_arn(&self, function: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:lambda:{region}:{account}:function:{function}")
    }

    /// What the API calls of a function, by its short name: the alias that the stage's variable names.
    /// So a version can be called through the API before it serves (AWS: "Using API Gateway stage
    /// variables").
    pub fn alias_arn(&self, function: &str) -> String {
        let function = self.function_arn(&self.function(function));
        format!("{function}:${{stageVariables.{ALIAS_VARIABLE}}}")
    }

    /// What an API Gateway integration calls (AWS: "Set up Lambda proxy integrations").
    pub fn integration_uri(&self, alias_arn: &str) -> String {
        let Self { partition, region, .. } = self;
        format!(
            "arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{alias_arn}/invocations"
        )
    }

    /// The alias that an integration calls, if it calls one as [`integration_uri`] says.
    ///
    /// [`integration_uri`]: Self::integration_uri
    pub fn integrated<'a>(&self, uri: &'a str) -> Option<&'a str> {
        let around = self.integration_uri("|");
        let (before, after) = around.split_once('|')?;
        uri.strip_prefix(before)?.strip_suffix(after)
    }

    /// Every stage, method and path of an API, as a Lambda permission names its caller. This is
    /// the `execute-api` ARN, not the `apigateway` one.
    pub fn invoke_arn(&self, api_id: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:execute-api:{region}:{account}:{api_id}/*/*")
    }

    /// ARN of an API Gateway object for tagging: `/restapis/abc`. It has no account.
    pub fn gateway_arn(&self, path: &str) -> String {
        let Self { partition, region, .. } = self;
        format!("arn:{partition}:apigateway:{region}::{path}")
    }

    /// On everything we make, from the moment it exists. What bears them all is ours.
    pub fn tags(&self) -> Tags {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Tags::from([
            tag("app", &self.app),
            tag("stage", &self.stage),
            tag(MANAGED_BY.0, MANAGED_BY.1),
        ])
    }

    /// Checks every name that AWS limits, for these functions, before anything is asked of AWS.
    ///
    /// # Errors
    /// Names the part that is too long or has a character that some service refuses.
    pub fn check<'a>(&self, functions: impl IntoIterator<Item = &'a str>) -> Result<()> {
        check_part("the app's name", &self.app)?;
        check_part("stage", &self.stage)?;
        if self.app.starts_with("aws") || self.app.starts_with("ssm") {
            bail!("SSM refuses names that begin with aws or ssm; change APP in stack.rs");
        }
        let mut names = vec![("bucket", self.bucket(), 63)];
        for function in functions {
            names.push(("function", self.function(function), 64));
            names.push(("role", self.role(function), 64));
        }
        for (kind, name, limit) in names {
            if name.len() > limit {
                bail!(
                    "stage {:?} is too long: the {kind} would be named {name:?}, {} characters, \
                     and AWS allows {limit}; choose a stage name at least {} shorter",
                    self.stage,
                    name.len(),
                    name.len() - limit
                );
            }
        }
        Ok(())
    }
}

/// What every service accepts in a name: buckets know no capitals, stages no dots.
fn check_part(what: &str, part: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = part.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || part.ends_with('-') || !part.chars().all(allowed) {
        bail!(
            "{what} {part:?} cannot be used in AWS names: use lower-case letters, digits and \
             hyphens, begin with a letter and end with a letter or digit"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::fixture::env;

    #[test]
    fn names_follow_from_app_and_stage() {
        let env = env("dev");
        assert_eq!(env.bucket(), "ops-api-dev-123456789012-ap-southeast-2");
        assert_eq!(env.log_group("health"), "/aws/lambda/ops-api-dev-health");
        assert_eq!(env.parameter("api-key"), "/ops-api/dev/api-key");
        assert_eq!(
            env.role_arn(&env.role("root")),
            "arn:aws:iam::123456789012:role/ops-api/dev/ops-api-dev-root-ap-southeast-2"
        );
        assert_eq!(env.integrated(&env.integration_uri("arn:x")), Some("arn:x"));
        assert_eq!(env.integrated("arn:aws:elsewhere"), None);
        assert_eq!(env.gateway_arn("/apikeys/k"), "arn:aws:apigateway:ap-southeast-2::/apikeys/k");
    }

    #[test]
    fn stage_names_that_some_service_refuses_are_refused() {
        for stage in ["", "Dev", "-dev", "dev-", "1st", "a.b", "a_b", "a b", "dév"] {
            let error = env(stage).check(["root"]).unwrap_err().to_string();
            assert!(error.contains(&format!("{stage:?}")), "{stage}: {error}");
        }
        env("dev").check(["root", "health"]).unwrap();
    }

    #[test]
    fn the_longest_derived_name_decides() {
        env("abcdefghijklmnopqrstuvwxyz").check(["root"]).unwrap();
        let bucket = env("abcdefghijklmnopqrstuvwxyzab").check(["root"]).unwrap_err().to_string();
        assert!(bucket.contains("the bucket") && bucket.contains("1 shorter"), "{bucket}");
        let long = "f".repeat(40);
        let role = env("dev").check([long.as_str()]).unwrap_err().to_string();
        assert!(role.contains("the role"), "{role}");
    }
}
