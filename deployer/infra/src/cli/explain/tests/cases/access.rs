//! Who asks, and what isn't allowed.

use super::{Case, case};

pub const ACCESS: &[Case] = &[
    case(
        "AccessDenied: iam:PassRole",
        "creating function ops-api-prod-root",
        "lambda:CreateFunction",
        403,
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/deploy/ci is not authorized to perform: \
         iam:PassRole on resource: \
         arn:aws:iam::123456789012:role/ops-api/prod/ops-api-prod-root-ap-southeast-2 because no \
         identity-based policy allows the iam:PassRole action",
    ),
    case(
        "AccessDenied: S3 says no more than that",
        "reading bucket ops-api-prod-123456789012-ap-southeast-2",
        "s3:GetBucketTagging",
        403,
        "AccessDenied",
        "Access Denied",
    )
    .typed("plan --stage prod --profile ops"),
    case(
        "AccessDenied: S3 quotes the resource",
        "creating artifact root.zip",
        "s3:PutObject",
        403,
        "AccessDenied",
        "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: s3:PutObject on \
         resource: \"arn:aws:s3:::ops-api-prod-123456789012-ap-southeast-2/root.zip\" because no \
         identity-based policy allows the s3:PutObject action",
    ),
    case(
        "AccessDenied: a HEAD has no body",
        "listing every bucket",
        "s3:ListBucket",
        403,
        "",
        "HTTP 403",
    )
    .typed("destroy --stage prod"),
    case(
        "AccessDeniedException: Lambda",
        "updating function ops-api-prod-health",
        "lambda:UpdateFunctionCode",
        403,
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: \
         lambda:UpdateFunctionCode on resource: \
         arn:aws:lambda:ap-southeast-2:123456789012:function:ops-api-prod-health because no \
         identity-based policy allows the lambda:UpdateFunctionCode action",
    ),
    case(
        "AccessDenied: API Gateway names no right",
        "creating rest api ops-api-prod",
        "apigateway:CreateRestApi",
        403,
        "AccessDeniedException",
        "Forbidden",
    ),
    case(
        "AccessDenied: a service control policy",
        "creating role ops-api-prod-root-ap-southeast-2",
        "iam:CreateRole",
        403,
        "AccessDenied",
        "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:CreateRole on \
         resource: arn:aws:iam::123456789012:role/ops-api/prod/ops-api-prod-root-ap-southeast-2 \
         with an explicit deny in a service control policy",
    ),
    case(
        "AccessDenied: a permissions boundary",
        "creating log group /aws/lambda/ops-api-prod-root",
        "logs:CreateLogGroup",
        400,
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: \
         logs:CreateLogGroup on resource: \
         arn:aws:logs:ap-southeast-2:123456789012:log-group:/aws/lambda/ops-api-prod-root because \
         no permissions boundary allows the logs:CreateLogGroup action",
    ),
    case(
        "AccessDenied: a Deny in a policy",
        "deleting parameter /ops-api/prod/version",
        "ssm:DeleteParameter",
        400,
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: \
         ssm:DeleteParameter on resource: \
         arn:aws:ssm:ap-southeast-2:123456789012:parameter/ops-api/prod/version with an explicit \
         deny in an identity-based policy",
    )
    .typed("destroy --stage prod"),
    case(
        "AccessDenied: KMS, for a SecureString",
        "reading parameter /ops-api/prod/api-key",
        "ssm:GetParameter",
        400,
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: kms:Decrypt on \
         resource: arn:aws:kms:ap-southeast-2:123456789012:key/1234abcd because no \
         identity-based policy allows the kms:Decrypt action (Service: AWSKMS; Status Code: 400; \
         Error Code: AccessDeniedException)",
    ),
    case(
        "InvalidKeyId: KMS, for a SecureString",
        "creating parameter /ops-api/prod/api-key",
        "ssm:PutParameter",
        400,
        "InvalidKeyId",
        "The ciphertext refers to a customer master key that does not exist, does not exist in \
         this region, or you are not allowed to access. (Service: AWSKMS; Status Code: 400; Error \
         Code: AccessDeniedException)",
    ),
    case(
        "AccessDenied: Lambda may not fetch the package",
        "updating function ops-api-prod-root",
        "lambda:UpdateFunctionCode",
        403,
        "AccessDeniedException",
        "Your access has been denied by S3, please make sure your request credentials have \
         permission to GetObject for ops-api-prod-123456789012-ap-southeast-2/root.zip. S3 Error \
         Code: AccessDenied. S3 Error Message: Access Denied",
    ),
    case(
        "ExpiredToken",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
    )
    .typed("plan --stage prod --profile ops"),
    case(
        "ExpiredTokenException: in the middle of a run",
        "creating stage prod",
        "apigateway:CreateStage",
        403,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    case(
        "InvalidClientTokenId",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    ),
    case(
        "SignatureDoesNotMatch: the secret",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.",
    ),
    case(
        "SignatureDoesNotMatch: the clock",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        403,
        "SignatureDoesNotMatch",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z \
         (20260101T001500Z - 5 min.)",
    ),
    case(
        "RequestTimeTooSkewed",
        "reading bucket ops-api-prod-123456789012-ap-southeast-2",
        "s3:GetBucketTagging",
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    ),
    case(
        "UnrecognizedClientException: a region that isn't enabled",
        "listing every function",
        "lambda:ListFunctions",
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
    .typed("deploy --stage prod --region af-south-1"),
    case(
        "OptInRequired",
        "listing every rest api",
        "apigateway:GetRestApis",
        403,
        "OptInRequired",
        "The AWS Access Key Id needs a subscription for the service",
    ),
];
