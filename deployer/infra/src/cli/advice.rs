//! What to make of AWS's errors: for each the likely cause and the next command, in one table.

mod fill;

use super::Common;
use crate::aws::Failure;
use fill::fill;

/// A kind of failure, and what helps. [`fill`] knows the words in braces.
struct Row {
    applies: fn(&Failure) -> bool,
    cause: &'static str,
    next: &'static str,
}

const fn row(applies: fn(&Failure) -> bool, cause: &'static str, next: &'static str) -> Row {
    Row { applies, cause, next }
}

/// How a machine gets the CA certificates that it lacks.
pub const HAVE_CERTIFICATES: &str = "install CA certificates (Debian, Ubuntu: sudo apt install ca-certificates), or \
                                     set AWS_CA_BUNDLE to a PEM file with them";

/// Looked through in order; the first that applies decides, and the last always does.
const ROWS: &[Row] = &[
    // Who asks, and when.
    row(
        |f| coded(f, &["ExpiredToken", "ExpiredTokenException", "RequestExpired"]),
        "the credentials have expired",
        "aws sso login{profile}, or renew them as you got them; then {again}",
    ),
    row(
        |f| says(f, &["SSO token", "/sso/cache/", "Session token not found"]),
        "the SSO session has expired, or nobody has logged in yet",
        "aws sso login{profile}, then {again}",
    ),
    // Before what follows: it comes as SignatureDoesNotMatch.
    row(
        |f| f.is("RequestTimeTooSkewed") || says(f, &["Signature expired", "not yet current"]),
        "this machine's clock is minutes off",
        "sudo timedatectl set-ntp true (macOS: sudo sntp -sS time.apple.com), then {again}",
    ),
    row(
        |f| coded(f, &["SignatureDoesNotMatch", "InvalidSignatureException"]),
        "the secret access key isn't that of the access key",
        "aws sts get-caller-identity{flags} must work: correct AWS_SECRET_ACCESS_KEY or ~/.aws, \
         then {again}",
    ),
    row(
        |f| coded(f, &["InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken"]),
        "the access key is mistyped or deleted, or the region isn't enabled in its account",
        "aws sts get-caller-identity{flags} must work: see AWS_ACCESS_KEY_ID, AWS_PROFILE and \
         ~/.aws; then {again}",
    ),
    row(
        |f| {
            coded(f, &["UnrecognizedClientException", "OptInRequired", "RegionDisabledException"])
                || f.is("SubscriptionRequiredException")
        },
        "the region or the service isn't enabled in this account; a new account waits up to a day",
        "{regions} lists what is enabled; then {again}, with one of those as --region",
    ),
    row(
        |f| silent(f) && says(f, &["Login token", "/login/cache/"]),
        "the console session of the profile's login_session has expired, or there is none yet",
        "aws login{profile}, then {again}",
    ),
    // No answer came.
    row(
        |f| silent(f) && says(f, &["is not the URL of an HTTP proxy"]),
        "a proxy is given as http://HOST:PORT or https://HOST:PORT; SOCKS proxies aren't supported",
        "correct or unset that variable, or name the host in NO_PROXY; then {again}",
    ),
    row(
        |f| silent(f) && says(f, &["invalid peer certificate"]),
        "{certificates}",
        "{have_certificates}; then {again}",
    ),
    row(
        |f| f.outage,
        "this machine lost its network, or AWS can't be reached from it: {absent}",
        "{reach}, then {again}, which finishes what was begun",
    ),
    row(
        |f| silent(f) && says(f, &["provider was not", "no providers in chain"]),
        "no credentials were found",
        "aws sso login{profile} or aws configure{profile}, then {again}; for no AWS at all, add \
         --local",
    ),
    row(
        |f| silent(f) && says(f, &["through the proxy"]),
        "the proxy doesn't answer, wants a user and a password, or doesn't let this host through",
        "see that curl -I https://aws.amazon.com answers, which takes the same proxy; correct HTTPS_PROXY or \
         HTTP_PROXY, or name the host in NO_PROXY; then {again}",
    ),
    row(
        |f| silent(f) && says(f, &["sts:AssumeRole"]),
        "the role of the profile or of the CI job doesn't let these credentials in",
        "correct the role's trust policy until aws sts get-caller-identity{flags} works; then \
         {again}",
    ),
    row(
        |f| silent(f) && says(f, &["FIPS and custom endpoint", "Dualstack and custom endpoint"]),
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT or the profile's setting of that name is on, and AWS's \
         SDKs refuse it together with an endpoint of your own",
        "unset one of the two: that setting, or AWS_ENDPOINT_URL (--local sets an endpoint too); then {again}",
    ),
    row(
        |f| silent(f) && says(f, &["IMDS"]),
        "no credentials are set, and the metadata service (IMDS), from which an EC2 machine gets its own, refuses to \
         give any: it is turned off, the machine has no role, or its hop limit of 1 keeps containers out",
        "aws sso login{profile} or aws configure{profile}, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY; on EC2, give the machine a role (instance profile), and in a container raise the \
         limit (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 --instance-id ID); then \
         {again}",
    ),
    row(
        |f| silent(f) && says(f, &["failed to apply endpoint"]),
        "AWS_ENDPOINT_URL isn't a URL",
        "unset AWS_ENDPOINT_URL, or begin it with http:// or https://; then {again}",
    ),
    row(
        |f| silent(f) && says(f, &["dns error", "valid host label"]),
        "no network, or a region that doesn't exist",
        "curl https://aws.amazon.com must answer: if it does, correct --region or AWS_REGION; \
         then {again}",
    ),
    row(
        |f| silent(f) && says(f, &["timed out", "timeout"]),
        "the line is slow, or a firewall swallows what is sent",
        "{again}, which first looks whether AWS did it",
    ),
    row(
        |f| silent(f) && says(f, &["credential"]),
        "the profile's way to its credentials fails",
        "correct ~/.aws/config until aws sts get-caller-identity{flags} works; then {again}",
    ),
    row(silent, "nothing answers at the endpoint: {absent}", "{reach}, then {again}"),
    // What isn't allowed.
    row(
        |f| says(f, &["S3 Error Code: AccessDenied"]),
        "these credentials lack the right s3:GetObject on the package in the staging bucket",
        "have s3:GetObject allowed for them, then {again}",
    ),
    row(
        |f| says(f, &["unable to decrypt the environment variables"]),
        "the function's role was deleted and created again, and Lambda's grant on its key is the \
         former's; or a policy denies the role kms:Decrypt",
        "{again}, which publishes the function anew",
    ),
    row(
        |f| f.is("InvalidKeyId") || says(f, &["customer master key"]),
        "the API key is a SecureString, and its KMS key is gone, disabled, or closed to these \
         credentials",
        "aws kms describe-key --key-id alias/aws/ssm{flags} shows its state; have kms:Decrypt \
         allowed on it, then {again}",
    ),
    row(
        |f| f.is_denied() && says(f, &["service control policy", "resource control policy"]),
        "the organisation forbids {right}, whatever the account allows",
        "have it allowed by whoever runs the AWS organisation; then {again}",
    ),
    row(
        |f| f.is_denied() && says(f, &["permissions boundary"]),
        "the permissions boundary of the role or user doesn't allow {right}",
        "have {action} added to the boundary, not only to a policy; then {again}",
    ),
    row(
        |f| f.is_denied() && says(f, &["explicit deny"]),
        "a policy denies {right}, and no other can allow it again",
        "have that Deny removed or made narrower, then {again}",
    ),
    row(
        |f| f.is_denied() && says(f, &["perform: kms:"]),
        "the API key is a SecureString, and for its KMS key these credentials lack the right \
         {right}",
        "have {action} allowed for them, or for them in the key's policy; then {again}",
    ),
    row(
        |f| f.is_denied() && f.op.starts_with("s3:") && !says(f, &["authorized to perform"]),
        "these credentials lack the right {right}, or the bucket is another account's",
        "aws sts get-caller-identity{flags} tells whose they are; have {action} allowed there, \
         then {again}",
    ),
    row(
        Failure::is_denied,
        "these credentials lack the right {right}",
        "aws sts get-caller-identity{flags} tells whose they are; have {action} allowed there, \
         then {again}",
    ),
    // What is full, too large or too fast.
    row(
        |f| says(f, &["UnreservedConcurrentExecution"]),
        "Lambda keeps 100 of the account's concurrent executions for functions without a \
         reservation, and this one leaves fewer; a new account may have 10 in all",
        "aws lambda get-account-settings{flags} shows how many there are; reserve fewer in \
         deployer/src/stack.rs, or none, or have the limit raised ({quotas}); then {again}",
    ),
    row(
        |f| f.is("CodeStorageExceededException"),
        "the functions of this region hold as much code as they may, all versions together",
        "aws lambda get-account-settings{flags} shows how much; delete functions or versions that \
         nobody needs, then {again}",
    ),
    row(
        |f| f.is("PolicyLengthExceededException"),
        "the function's policy is full: it has 20 KB of statements",
        "aws lambda get-policy --function-name NAME --qualifier {alias}{flags} lists them, aws \
         lambda remove-permission removes one; then {again}",
    ),
    row(
        |f| f.is("ParameterMaxVersionLimitExceeded"),
        "SSM keeps a hundred versions, and a label holds on to the oldest",
        "aws ssm get-parameter-history --name NAME{flags} shows the label, aws ssm \
         unlabel-parameter-version removes it; then {again}",
    ),
    row(
        |f| {
            coded(f, &["LimitExceededException", "LimitExceeded", "TooManyBuckets"])
                || f.is("ParameterLimitExceeded")
                || says(f, &["Maximum number of"])
        },
        "a limit of AWS is reached: no more {limit}",
        "delete some that nobody needs, or have the limit raised ({quotas} tells which can be); \
         then {again}",
    ),
    row(
        |f| {
            says(f, &["size must be smaller"])
                || (f.op.starts_with("lambda:") && f.status == Some(413))
        },
        "the package is larger than Lambda takes",
        "cargo bloat -p functions --profile lambda shows what is big; then {again}",
    ),
    row(
        |f| says(f, &["exceeded the 4KB limit"]),
        "the function's environment variables are larger than 4 KB together",
        "shorten them in deployer/src/stack.rs, then {again}",
    ),
    row(
        |f| {
            f.status == Some(429)
                || f.code.as_deref().is_some_and(|code| code.contains("Throttl"))
                || coded(f, &["TooManyRequestsException", "RequestLimitExceeded", "SlowDown"])
        },
        "something else uses up what {service} allows the whole account in this region",
        "let other deploys, CI jobs and tools finish; then {again}",
    ),
    // What is in the way.
    row(
        |f| f.is("BucketAlreadyExists"),
        "bucket names are the whole world's, and another account has taken this one",
        "choose another --stage; or change APP in deployer/src/stack.rs, then {again}",
    ),
    row(
        |f| f.is("OperationAborted") && f.op == "s3:CreateBucket",
        "the bucket was deleted not long ago, and S3 keeps its name back for up to an hour",
        "{again}, in an hour; or choose another --stage",
    ),
    row(
        |f| {
            says(f, &["cannot be assumed by Lambda", "Invalid principal in policy"])
                || says(f, &["execution role does not have permissions", "invalid for CreateGrant"])
        },
        "IAM takes unusually long to tell Lambda of the role, or the role's trust policy was \
         changed, or the organisation forbids it",
        "{plan} shows whether the role is as declared; then {again}",
    ),
    // github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2312
    row(
        |f| {
            f.op == "apigateway:UpdateAccount"
                && says(f, &["required permissions", "successfully write", "not authorized"])
        },
        "IAM takes unusually long to tell API Gateway of the role, or a service control policy \
         (SCP) of the organisation denies log groups without tags: with this request API Gateway \
         creates one, /aws/apigateway/welcome",
        "if there is such an SCP, have that log group exempted from it; then {again}",
    ),
    row(
        |f| says(f, &["S3 Error Code"]),
        "Lambda didn't get the package from the staging bucket: it was removed meanwhile, or is in \
         another region",
        "{again}, which looks for it anew",
    ),
    row(
        |f| {
            says(f, &["in progress", "following state", "concurrent", "try again later"])
                || coded(f, &["OperationAborted", "OperationAbortedException", "TooManyUpdates"])
                || coded(f, &["ConcurrentModification", "EntityTemporarilyUnmodifiable"])
                || f.status == Some(412)
                || f.is("ConditionalRequestConflict")
        },
        "something else is changing the same thing: another deploy, a CI job, the console",
        "{again}, when that is done",
    ),
    row(
        |f| {
            says(f, &["already exist"])
                || coded(f, &["EntityAlreadyExists", "ParameterAlreadyExists"])
        },
        "it was made after this run had looked, by another run or by hand",
        "{again}, which looks anew",
    ),
    row(
        Failure::is_missing,
        "it was deleted after this run had looked, by another run or by hand",
        "{again}, which looks anew",
    ),
    // What came after it was looked at.
    row(
        |f| f.op == "apigateway:DeleteRestApi" && says(f, &["base path mapping"]),
        "the custom domain that AWS names uses this API",
        "aws apigateway delete-base-path-mapping --domain-name DOMAIN --base-path PATH{flags} \
         removes a mapping, get-base-path-mappings lists them; then {again}",
    ),
    row(
        |f| says(f, &["deletion protection is enabled"]),
        "deletion protection is on for the log group",
        "aws logs put-log-group-deletion-protection --log-group-identifier NAME \
         --no-deletion-protection-enabled{flags}; then {again}",
    ),
    row(
        |f| coded(f, &["DeleteConflict", "BucketNotEmpty"]) || says(f, &["API Stages associated"]),
        "something not made here still uses it or fills it",
        "detach or delete what AWS names, then {again}",
    ),
    // What is wrong.
    row(
        |f| f.op == "apigateway:PutRestApi" && f.status == Some(400),
        "API Gateway doesn't take the routes that deployer/src/stack.rs declares",
        "correct ENDPOINTS there as AWS says, then {again}",
    ),
    row(
        |f| f.status == Some(501),
        "AWS, or what answers in its place, doesn't implement this request",
        "unset AWS_ENDPOINT_URL, or choose another --region; then {again}",
    ),
    row(
        |f| f.status.is_some_and(|status| status >= 500),
        "AWS has trouble of its own",
        "{again}, in a few minutes; https://health.aws.amazon.com/health/status tells what AWS \
         knows of it",
    ),
    row(
        |f| f.code.is_none() && f.request_id.is_none(),
        "it isn't AWS that answered: a proxy in between, or a wrong AWS_ENDPOINT_URL",
        "curl -I https://aws.amazon.com shows who answers; then {again}",
    ),
    row(
        |f| f.status == Some(400),
        "AWS doesn't take a value that deployer/src/stack.rs or deployer/infra/src/resources asks for",
        "correct it as AWS says, then {again}",
    ),
    row(
        |_| true,
        "unknown here; AWS's own words are all there is",
        "{again} -vv --record aws.jsonl, which shows every call and writes a file for a bug report; AWS's support \
         finds it by the request's id",
    ),
];

/// The likely cause and the next command. Neither is ever empty.
pub fn advise(failure: &Failure, common: &Common) -> (String, String) {
    let row = ROWS.iter().find(|row| (row.applies)(failure));
    let fill = |text| fill(text, failure, common);
    row.map(|row| (fill(row.cause), fill(row.next))).unwrap_or_default()
}

fn coded(failure: &Failure, codes: &[&str]) -> bool {
    codes.iter().any(|code| failure.is(code))
}

fn says(failure: &Failure, texts: &[&str]) -> bool {
    texts.iter().any(|text| failure.says(text))
}

fn silent(failure: &Failure) -> bool {
    failure.status.is_none()
}
