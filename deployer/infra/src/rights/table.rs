//! Every operation that the deployer calls. A test holds it against the sources, both ways.

use super::Mode::{CiRole, Deploy, Destroy, Read};
use super::{Mode, On, Operation};

const ALL: &[Mode] = &[Read, Deploy, Destroy];
const LOOK: &[Mode] = &[Read, Deploy];
const CHANGE: &[Mode] = &[Deploy, Destroy];
const MAKE: &[Mode] = &[Deploy];
const END: &[Mode] = &[Destroy];
const CI: &[Mode] = &[CiRole];

const fn op(
    name: &'static str,
    modes: &'static [Mode],
    needs: &'static [(&'static str, On)],
) -> Operation {
    Operation { name, modes, needs }
}

const GET: &[(&str, On)] = &[("apigateway:GET", On::AnyApi)];
const PATCH: &[(&str, On)] = &[("apigateway:PATCH", On::OurApi)];
const DELETE: &[(&str, On)] = &[("apigateway:DELETE", On::OurApi)];
/// Below something that is there.
const POST: &[(&str, On)] = &[("apigateway:POST", On::OurApi)];
/// With tags, for which API Gateway asks separately.
const POST_TAGGED: &[(&str, On)] =
    &[("apigateway:POST", On::NewApi), ("apigateway:PUT", On::ApiTags)];

/// In alphabetical order.
pub const TABLE: &[Operation] = &[
    op("apigateway:CreateApiKey", MAKE, POST_TAGGED),
    op("apigateway:CreateDeployment", MAKE, POST),
    // With the first API of an account API Gateway makes its service-linked role as the caller.
    op(
        "apigateway:CreateRestApi",
        MAKE,
        &[
            ("apigateway:POST", On::NewApi),
            ("apigateway:PUT", On::ApiTags),
            ("iam:CreateServiceLinkedRole", On::ServiceLinkedRole),
        ],
    ),
    op(
        "apigateway:CreateStage",
        MAKE,
        &[("apigateway:POST", On::OurApi), ("apigateway:PUT", On::ApiTags)],
    ),
    op("apigateway:CreateUsagePlan", MAKE, POST_TAGGED),
    op("apigateway:CreateUsagePlanKey", MAKE, POST),
    op("apigateway:DeleteApiKey", CHANGE, DELETE),
    op("apigateway:DeleteDeployment", MAKE, DELETE),
    op("apigateway:DeleteRestApi", CHANGE, DELETE),
    op("apigateway:DeleteStage", MAKE, DELETE),
    op("apigateway:DeleteUsagePlan", CHANGE, DELETE),
    op("apigateway:DeleteUsagePlanKey", MAKE, DELETE),
    op("apigateway:GetAccount", LOOK, &[("apigateway:GET", On::ApiAccount)]),
    op("apigateway:GetApiKeys", ALL, GET),
    op("apigateway:GetBasePathMappings", END, &[("apigateway:GET", On::DomainNames)]),
    op("apigateway:GetDeployment", LOOK, GET),
    op("apigateway:GetDeployments", LOOK, GET),
    op("apigateway:GetDomainNames", END, &[("apigateway:GET", On::DomainNames)]),
    op("apigateway:GetResources", LOOK, GET),
    op("apigateway:GetRestApi", ALL, GET),
    op("apigateway:GetRestApis", ALL, GET),
    op("apigateway:GetStage", LOOK, GET),
    op("apigateway:GetStages", LOOK, GET),
    op("apigateway:GetTags", ALL, GET),
    op("apigateway:GetUsagePlan", CHANGE, GET),
    op("apigateway:GetUsagePlanKeys", ALL, GET),
    op("apigateway:GetUsagePlans", ALL, GET),
    op("apigateway:PutRestApi", MAKE, &[("apigateway:PUT", On::OurApi)]),
    op("apigateway:TagResource", MAKE, &[("apigateway:PUT", On::ApiTags)]),
    op("apigateway:TestInvokeMethod", MAKE, POST),
    op(
        "apigateway:UpdateAccount",
        MAKE,
        &[("apigateway:PATCH", On::ApiAccount), ("iam:PassRole", On::LogRolePassed)],
    ),
    op("apigateway:UpdateApiKey", MAKE, PATCH),
    op("apigateway:UpdateStage", CHANGE, PATCH),
    op("apigateway:UpdateUsagePlan", CHANGE, PATCH),
    op("cloudwatch:DeleteAlarms", CHANGE, &[("cloudwatch:DeleteAlarms", On::Alarms)]),
    op("cloudwatch:DeleteDashboards", CHANGE, &[("cloudwatch:DeleteDashboards", On::Dashboard)]),
    op("cloudwatch:DescribeAlarms", ALL, &[("cloudwatch:DescribeAlarms", On::All)]),
    op("cloudwatch:GetDashboard", ALL, &[("cloudwatch:GetDashboard", On::Dashboard)]),
    op("cloudwatch:GetMetricData", LOOK, &[("cloudwatch:GetMetricData", On::All)]),
    op(
        "cloudwatch:ListTagsForResource",
        ALL,
        &[
            ("cloudwatch:ListTagsForResource", On::Alarms),
            ("cloudwatch:ListTagsForResource", On::Dashboard),
        ],
    ),
    op(
        "cloudwatch:PutDashboard",
        MAKE,
        &[("cloudwatch:PutDashboard", On::Dashboard), ("cloudwatch:TagResource", On::Dashboard)],
    ),
    op(
        "cloudwatch:PutMetricAlarm",
        MAKE,
        &[("cloudwatch:PutMetricAlarm", On::Alarms), ("cloudwatch:TagResource", On::Alarms)],
    ),
    op("iam:AttachRolePolicy", MAKE, &[("iam:AttachRolePolicy", On::LogRolePolicy)]),
    // Tagging is a right of its own.
    op(
        "iam:CreateOpenIDConnectProvider",
        CI,
        &[
            ("iam:CreateOpenIDConnectProvider", On::OidcProvider),
            ("iam:TagOpenIDConnectProvider", On::OidcProvider),
        ],
    ),
    op(
        "iam:CreatePolicy",
        CI,
        &[("iam:CreatePolicy", On::CiPolicies), ("iam:TagPolicy", On::CiPolicies)],
    ),
    op("iam:CreatePolicyVersion", CI, &[("iam:CreatePolicyVersion", On::CiPolicies)]),
    op(
        "iam:CreateRole",
        MAKE,
        &[
            ("iam:CreateRole", On::BoundedRoles),
            ("iam:TagRole", On::Roles),
            ("iam:CreateRole", On::LogRole),
            ("iam:GetRole", On::LogRole),
            ("iam:TagRole", On::LogRole),
        ],
    ),
    op(
        "iam:DeleteOpenIDConnectProvider",
        CI,
        &[("iam:DeleteOpenIDConnectProvider", On::OidcProvider)],
    ),
    op("iam:DeletePolicy", CI, &[("iam:DeletePolicy", On::CiPolicies)]),
    op("iam:DeletePolicyVersion", CI, &[("iam:DeletePolicyVersion", On::CiPolicies)]),
    op("iam:DeleteRole", CHANGE, &[("iam:DeleteRole", On::Roles)]),
    op("iam:DeleteRolePolicy", CHANGE, &[("iam:DeleteRolePolicy", On::Roles)]),
    op("iam:DetachRolePolicy", CHANGE, &[("iam:DetachRolePolicy", On::Roles)]),
    op("iam:GetAccountSummary", LOOK, &[("iam:GetAccountSummary", On::All)]),
    op("iam:GetOpenIDConnectProvider", CI, &[("iam:GetOpenIDConnectProvider", On::OidcProvider)]),
    op("iam:GetPolicy", CI, &[("iam:GetPolicy", On::CiPolicies)]),
    op("iam:GetPolicyVersion", CI, &[("iam:GetPolicyVersion", On::CiPolicies)]),
    op("iam:GetRole", ALL, &[("iam:GetRole", On::Roles)]),
    op("iam:GetRolePolicy", LOOK, &[("iam:GetRolePolicy", On::Roles)]),
    op("iam:ListAttachedRolePolicies", ALL, &[("iam:ListAttachedRolePolicies", On::Roles)]),
    op("iam:ListPolicies", CI, &[("iam:ListPolicies", On::All)]),
    op("iam:ListPolicyVersions", CI, &[("iam:ListPolicyVersions", On::CiPolicies)]),
    op("iam:ListRolePolicies", ALL, &[("iam:ListRolePolicies", On::Roles)]),
    op("iam:ListRoles", ALL, &[("iam:ListRoles", On::All)]),
    op(
        "iam:PutRolePermissionsBoundary",
        MAKE,
        &[("iam:PutRolePermissionsBoundary", On::BoundedRoles)],
    ),
    op("iam:PutRolePolicy", MAKE, &[("iam:PutRolePolicy", On::BoundedRoles)]),
    // Of a role by its ARN, which only IAM knows.
    op(
        "iam:SimulatePrincipalPolicy",
        CHANGE,
        &[("iam:GetRole", On::OwnRights), ("iam:SimulatePrincipalPolicy", On::OwnRights)],
    ),
    op("iam:UpdateAssumeRolePolicy", MAKE, &[("iam:UpdateAssumeRolePolicy", On::Roles)]),
    op("lambda:AddPermission", MAKE, &[("lambda:AddPermission", On::Functions)]),
    op("lambda:CreateAlias", MAKE, &[("lambda:CreateAlias", On::Functions)]),
    // Lambda fetches the package with the caller's rights, and hands the function its role.
    op(
        "lambda:CreateFunction",
        MAKE,
        &[
            ("iam:PassRole", On::LambdaRoles),
            ("lambda:CreateFunction", On::Functions),
            ("lambda:TagResource", On::Functions),
            ("s3:GetObject", On::Objects),
        ],
    ),
    op(
        "lambda:DeleteEventSourceMapping",
        MAKE,
        &[("lambda:DeleteEventSourceMapping", On::Mappings)],
    ),
    op("lambda:DeleteFunction", CHANGE, &[("lambda:DeleteFunction", On::Functions)]),
    op(
        "lambda:DeleteFunctionConcurrency",
        MAKE,
        &[("lambda:DeleteFunctionConcurrency", On::Functions)],
    ),
    op(
        "lambda:DeleteFunctionUrlConfig",
        MAKE,
        &[("lambda:DeleteFunctionUrlConfig", On::Functions)],
    ),
    op("lambda:GetAccountSettings", LOOK, &[("lambda:GetAccountSettings", On::All)]),
    op("lambda:GetAlias", LOOK, &[("lambda:GetAlias", On::Functions)]),
    // Its tags are returned only to those who may list them.
    op(
        "lambda:GetFunction",
        ALL,
        &[("lambda:GetFunction", On::Functions), ("lambda:ListTags", On::Functions)],
    ),
    op("lambda:GetPolicy", LOOK, &[("lambda:GetPolicy", On::Functions)]),
    op("lambda:InvokeFunction", MAKE, &[("lambda:InvokeFunction", On::Functions)]),
    op("lambda:ListEventSourceMappings", LOOK, &[("lambda:ListEventSourceMappings", On::All)]),
    op("lambda:ListFunctionUrlConfigs", LOOK, &[("lambda:ListFunctionUrlConfigs", On::Functions)]),
    op("lambda:ListFunctions", ALL, &[("lambda:ListFunctions", On::All)]),
    op("lambda:ListVersionsByFunction", LOOK, &[("lambda:ListVersionsByFunction", On::Functions)]),
    op("lambda:PublishVersion", MAKE, &[("lambda:PublishVersion", On::Functions)]),
    op("lambda:PutFunctionConcurrency", MAKE, &[("lambda:PutFunctionConcurrency", On::Functions)]),
    op("lambda:RemovePermission", MAKE, &[("lambda:RemovePermission", On::Functions)]),
    op("lambda:UpdateAlias", MAKE, &[("lambda:UpdateAlias", On::Functions)]),
    op(
        "lambda:UpdateFunctionCode",
        MAKE,
        &[("lambda:UpdateFunctionCode", On::Functions), ("s3:GetObject", On::Objects)],
    ),
    op(
        "lambda:UpdateFunctionConfiguration",
        MAKE,
        &[("iam:PassRole", On::LambdaRoles), ("lambda:UpdateFunctionConfiguration", On::Functions)],
    ),
    op(
        "logs:CreateLogGroup",
        MAKE,
        &[("logs:CreateLogGroup", On::LogGroups), ("logs:TagResource", On::LogGroups)],
    ),
    op("logs:DeleteLogGroup", CHANGE, &[("logs:DeleteLogGroup", On::LogGroups)]),
    op("logs:DescribeLogGroups", ALL, &[("logs:DescribeLogGroups", On::All)]),
    op("logs:FilterLogEvents", &[Read], &[("logs:FilterLogEvents", On::LogGroups)]),
    op("logs:ListTagsForResource", ALL, &[("logs:ListTagsForResource", On::LogGroups)]),
    op("logs:PutRetentionPolicy", MAKE, &[("logs:PutRetentionPolicy", On::LogGroups)]),
    op("logs:TagResource", MAKE, &[("logs:TagResource", On::LogGroups)]),
    op("s3:CreateBucket", MAKE, &[("s3:CreateBucket", On::Bucket), ("s3:TagResource", On::Bucket)]),
    op("s3:DeleteBucket", END, &[("s3:DeleteBucket", On::Bucket)]),
    // By version where the bucket is emptied.
    op(
        "s3:DeleteObject",
        CHANGE,
        &[("s3:DeleteObject", On::Objects), ("s3:DeleteObjectVersion", On::Objects)],
    ),
    op("s3:GetBucketPolicy", LOOK, &[("s3:GetBucketPolicy", On::Bucket)]),
    op("s3:GetBucketPublicAccessBlock", LOOK, &[("s3:GetBucketPublicAccessBlock", On::Bucket)]),
    op("s3:GetBucketTagging", ALL, &[("s3:GetBucketTagging", On::Bucket)]),
    op("s3:GetEncryptionConfiguration", LOOK, &[("s3:GetEncryptionConfiguration", On::Bucket)]),
    op("s3:GetObject", ALL, &[("s3:GetObject", On::Objects)]),
    op("s3:ListBucket", ALL, &[("s3:ListBucket", On::Bucket)]),
    op("s3:ListBucketVersions", END, &[("s3:ListBucketVersions", On::Bucket)]),
    op("s3:PutBucketPolicy", MAKE, &[("s3:PutBucketPolicy", On::Bucket)]),
    op("s3:PutBucketPublicAccessBlock", MAKE, &[("s3:PutBucketPublicAccessBlock", On::Bucket)]),
    op("s3:PutEncryptionConfiguration", MAKE, &[("s3:PutEncryptionConfiguration", On::Bucket)]),
    op("s3:PutObject", CHANGE, &[("s3:PutObject", On::Objects)]),
    op("ssm:DeleteParameter", CHANGE, &[("ssm:DeleteParameter", On::Parameters)]),
    // The key is a SecureString under AWS's own key for SSM, which needs no right in KMS.
    op("ssm:GetParameter", LOOK, &[("ssm:GetParameter", On::Parameters)]),
    op("ssm:GetParametersByPath", ALL, &[("ssm:GetParametersByPath", On::Parameters)]),
    op("ssm:ListTagsForResource", ALL, &[("ssm:ListTagsForResource", On::Parameters)]),
    op(
        "ssm:PutParameter",
        MAKE,
        &[("ssm:AddTagsToResource", On::ParameterTags), ("ssm:PutParameter", On::Parameters)],
    ),
    // Which nobody can be denied.
    op("sts:GetCallerIdentity", ALL, &[]),
];

/// What is called for CI's role, which is a role like others and lies elsewhere.
pub const CI_ROLE: &[(&str, On)] = &[
    ("iam:AttachRolePolicy", On::CiRole),
    ("iam:CreateRole", On::CiRole),
    ("iam:DeleteRole", On::CiRole),
    ("iam:DeleteRolePolicy", On::CiRole),
    ("iam:DetachRolePolicy", On::CiRole),
    ("iam:GetRole", On::CiRole),
    ("iam:GetRolePolicy", On::CiRole),
    ("iam:ListAttachedRolePolicies", On::CiRole),
    ("iam:ListRolePolicies", On::CiRole),
    ("iam:ListRoles", On::All),
    ("iam:PutRolePermissionsBoundary", On::CiRole),
    ("iam:TagRole", On::CiRole),
    ("iam:UpdateAssumeRolePolicy", On::CiRole),
];
