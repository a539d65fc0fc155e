//! What is full, in the way, or wrong.

use super::{Case, case};

pub const REFUSALS: &[Case] = &[
    case(
        "LimitExceededException: REST APIs",
        "creating rest api ops-api-prod",
        "apigateway:CreateRestApi",
        429,
        "LimitExceededException",
        "Maximum number of Rest APIs for this account has been reached. Please contact AWS if you \
         need additional Rest APIs.",
    )
    .typed("deploy --stage prod --region eu-west-1"),
    case(
        "LimitExceeded: roles",
        "creating role ops-api-prod-root-ap-southeast-2",
        "iam:CreateRole",
        409,
        "LimitExceeded",
        "Cannot exceed quota for RolesPerAccount: 1000",
    ),
    case(
        "TooManyRequestsException: after minutes of waiting",
        "updating rest api ops-api-prod",
        "apigateway:PutRestApi",
        429,
        "TooManyRequestsException",
        "Too Many Requests",
    ),
    case(
        "CodeStorageExceededException",
        "creating function ops-api-prod-root",
        "lambda:CreateFunction",
        400,
        "CodeStorageExceededException",
        "Code storage limit exceeded.",
    ),
    case(
        "BadRequestException: an SCP denies log groups without tags",
        "creating api gateway account logging role",
        "apigateway:UpdateAccount",
        400,
        "BadRequestException",
        "The role ARN does not have required permissions set to API Gateway",
    ),
    case(
        "PolicyLengthExceededException",
        "creating permission ops-api-prod-root",
        "lambda:AddPermission",
        400,
        "PolicyLengthExceededException",
        "The final policy size (20574) is bigger than the limit (20480).",
    ),
    case(
        "ParameterMaxVersionLimitExceeded",
        "updating parameter /ops-api/prod/version",
        "ssm:PutParameter",
        400,
        "ParameterMaxVersionLimitExceeded",
        "You attempted to create a new version of /ops-api/prod/version by calling the \
         PutParameter API with the overwrite flag. Version 1, the oldest version, can't be \
         deleted because it has a label associated with it.",
    ),
    case(
        "too much concurrency is reserved",
        "updating function ops-api-prod-root",
        "lambda:PutFunctionConcurrency",
        400,
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's \
         UnreservedConcurrentExecution below its minimum value of [100].",
    ),
    case(
        "the package is too large",
        "creating function ops-api-prod-root",
        "lambda:CreateFunction",
        400,
        "InvalidParameterValueException",
        "Unzipped size must be smaller than 262144000 bytes",
    ),
    case(
        "RequestEntityTooLargeException",
        "updating function ops-api-prod-root",
        "lambda:UpdateFunctionCode",
        413,
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
    ),
    case(
        "too many environment variables",
        "updating function ops-api-prod-root",
        "lambda:UpdateFunctionConfiguration",
        400,
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment \
         variables you have provided exceeded the 4KB limit.",
    ),
    case(
        "BucketAlreadyExists",
        "creating bucket ops-api-prod-123456789012-ap-southeast-2",
        "s3:CreateBucket",
        409,
        "BucketAlreadyExists",
        "The requested bucket name is not available. The bucket namespace is shared by all users \
         of the system. Please select a different name and try again.",
    ),
    case(
        "OperationAborted: the bucket's name isn't free yet",
        "creating bucket ops-api-prod-123456789012-ap-southeast-2",
        "s3:CreateBucket",
        409,
        "OperationAborted",
        "A conflicting conditional operation is currently in progress against this resource. \
         Please try again.",
    ),
    case(
        "the role can't be assumed by Lambda, after minutes of waiting",
        "creating function ops-api-prod-root",
        "lambda:CreateFunction",
        400,
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    case(
        "ResourceConflictException: in progress",
        "updating function ops-api-prod-root",
        "lambda:UpdateFunctionCode",
        409,
        "ResourceConflictException",
        "The operation cannot be performed at this time. An update is in progress for resource: \
         arn:aws:lambda:ap-southeast-2:123456789012:function:ops-api-prod-root",
    ),
    case(
        "ResourceConflictException: it is there",
        "creating function ops-api-prod-root",
        "lambda:CreateFunction",
        409,
        "ResourceConflictException",
        "Function already exist: ops-api-prod-root",
    ),
    case(
        "ConflictException: concurrent modification",
        "updating rest api ops-api-prod",
        "apigateway:PutRestApi",
        409,
        "ConflictException",
        "Unable to complete operation due to concurrent modification. Please try again later.",
    ),
    case(
        "NotFoundException: it is gone",
        "updating stage prod",
        "apigateway:UpdateStage",
        404,
        "NotFoundException",
        "Invalid stage identifier specified",
    ),
    case(
        "a custom domain uses the API",
        "deleting rest api ops-api-prod",
        "apigateway:DeleteRestApi",
        400,
        "BadRequestException",
        "Deleting RestApi e87d1869 failed. Please remove all base path mappings related to the \
         RestApi in your domains: api.example.com",
    )
    .typed("destroy --stage prod"),
    case(
        "a protected log group",
        "deleting log group /aws/lambda/ops-api-prod-root",
        "logs:DeleteLogGroup",
        400,
        "ValidationException",
        "The log group cannot be deleted because deletion protection is enabled. Disable deletion \
         protection and try again.",
    )
    .typed("destroy --stage prod"),
    case(
        "DeleteConflict",
        "deleting role ops-api-prod-root-ap-southeast-2",
        "iam:DeleteRole",
        409,
        "DeleteConflict",
        "Cannot delete entity, must remove roles from instance profile first.",
    )
    .typed("destroy --stage prod"),
    case(
        "BadRequestException: the routes",
        "creating rest api ops-api-prod",
        "apigateway:PutRestApi",
        400,
        "BadRequestException",
        "Invalid OpenAPI input.",
    ),
    case(
        "a value that isn't allowed",
        "creating log group /aws/lambda/ops-api-prod-root",
        "logs:PutRetentionPolicy",
        400,
        "InvalidParameterException",
        "1 validation error detected: Value '15' at 'retentionInDays' failed to satisfy constraint",
    ),
    case(
        "503",
        "reading parameter /ops-api/prod/version",
        "ssm:GetParameter",
        503,
        "ServiceUnavailable",
        "Service Unavailable",
    )
    .typed("status --stage prod"),
    case(
        "something nobody has heard of",
        "reading stage prod",
        "apigateway:GetStage",
        418,
        "TeapotException",
        "I'm a teapot",
    )
    .typed("smoke-test --stage prod"),
];
