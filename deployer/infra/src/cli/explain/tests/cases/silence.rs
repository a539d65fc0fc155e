//! No answer came.

use super::{Case, case};

pub const SILENCE: &[Case] = &[
    case(
        "no credentials",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: the credential provider was not enabled: no credentials found \
         in chain. Attempted:\nenvironment\nprofile",
    ),
    case(
        "no login",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: an error occurred while loading credentials: the SSO token has \
         expired and cannot be refreshed",
    )
    .typed("plan --stage prod --profile ops"),
    case(
        "a role that can't be assumed",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: an error occurred while loading credentials: service error: \
         AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
    ),
    case(
        "no credentials from the profile's process",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: an error occurred while loading credentials: Error retrieving \
         credentials: external process exited with code exit status: 1. Stderr: ",
    ),
    case(
        "no credentials from the instance metadata service",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: an error occurred while loading credentials: failed to load IMDS \
         session token: service error: request forbidden: IMDS is disabled or the caller has \
         insufficient permissions.",
    ),
    case(
        "no request: FIPS with an endpoint",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: Invalid Configuration: FIPS and custom endpoint are not supported",
    ),
    case(
        "no name in the network",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: io error: client error (Connect): dns error: failed to lookup address \
         information: Name or service not known",
    )
    .typed("plan --stage prod --region ap-southeast-22"),
    case(
        "no answer: refused",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: io error: client error (Connect): tcp connect error: Connection refused",
    ),
    case(
        "no answer: too late",
        "creating function ops-api-prod-root",
        "lambda:CreateFunction",
        0,
        "",
        "request has timed out: operation attempt timeout (single attempt) occurred after 60s",
    ),
    case(
        "no answer: no local cloud",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: io error: client error (Connect): tcp connect error: Connection refused",
    )
    .typed("deploy --local --stage prod"),
    case(
        "no request: an endpoint without scheme",
        "asking AWS whose credentials these are",
        "sts:GetCallerIdentity",
        0,
        "",
        "dispatch failure: other: failed to apply endpoint `localhost:4566`",
    ),
];
