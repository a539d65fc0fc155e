//! AWS's errors in one shape, whatever the service and its protocol.

use crate::engine::{Secret, Stopped};
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One failed request, in the same shape for every service.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// `lambda:CreateFunction`.
    pub op: &'static str,
    /// AWS's name for it: `AccessDenied`. None when no answer came.
    pub code: Option<String>,
    pub message: String,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    /// How long AWS asks to wait. The SDK doesn't look at this header.
    pub retry_after: Option<Duration>,
    /// True when AWS may have done what was asked: no answer, or a 5xx other than 501 (not implemented).
    pub ambiguous: bool,
    /// True when the run was asked to stop, and so nothing was sent.
    pub stopped: bool,
    /// True when there were no credentials to sign with, and so nothing was sent.
    pub unsigned: bool,
    /// True when no request of the run has been answered for too long ([`Outage`](crate::retry::Outage)).
    pub outage: bool,
}

impl Failure {
    /// What a request that was not sent ends with.
    pub fn stopped(op: &'static str) -> Self {
        Self { op, message: Stopped.to_string(), stopped: true, ..Self::default() }
    }

    /// From what the SDK says. AWS may repeat what it was sent; `secrets` are not repeated here.
    pub fn new<E>(op: &'static str, error: &SdkError<E, HttpResponse>, secrets: &Secrets) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let raw = error.raw_response();
        let status = raw.map(|raw| raw.status().as_u16());
        let header = |name| raw.and_then(|raw| raw.headers().get(name));
        let code = error.code().filter(|code| !code.is_empty());
        let message = match error.message() {
            Some(message) if !message.is_empty() => message.to_owned(),
            _ if status.is_some() => format!("HTTP {}", status.unwrap_or_default()),
            _ => chain(error),
        };
        let sent = match error {
            SdkError::ConstructionFailure(_) => false,
            SdkError::DispatchFailure(failure) => !failure.is_user(),
            _ => true,
        };
        Self {
            op,
            code: code.map(ToOwned::to_owned),
            message: secrets.redact(without_echo(&message)).chars().take(600).collect(),
            status,
            request_id: error.request_id().map(ToOwned::to_owned),
            retry_after: header("retry-after")
                .and_then(|seconds| seconds.parse().ok())
                .map(|seconds: u64| Duration::from_secs(seconds.min(3_600))),
            ambiguous: sent
                && !lacks_credentials(error)
                && (status.is_none_or(|status| status >= 500 && status != 501)
                    // It broke off after its head.
                    || matches!(error, SdkError::ResponseError(_))),
            stopped: false,
            unsigned: lacks_credentials(error),
            outage: false,
        }
    }

    /// An error that AWS reports within an answer of status 200, for the operation that it stands for.
    pub fn within(op: &'static str, code: &str, message: &str, request_id: Option<&str>) -> Self {
        Self {
            op,
            code: Some(code.to_owned()),
            message: message.to_owned(),
            status: Some(200),
            request_id: request_id.map(ToOwned::to_owned),
            ..Self::default()
        }
    }

    /// Whether the credentials lack a permission. SSM and CloudWatch Logs answer a denial with status 400, so the
    /// code decides (Logs: "Common Errors"; github-aws-runners/terraform-aws-github-runner#1279). S3's HEAD has no
    /// body and so no code, but AWS's request id.
    pub fn is_denied(&self) -> bool {
        const CODES: [&str; 6] = [
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "UnauthorizedException",
            "NotAuthorized",
            "Forbidden",
        ];
        match &self.code {
            Some(code) => CODES.contains(&code.as_str()),
            None => self.status == Some(403) && self.request_id.is_some(),
        }
    }

    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    pub fn says(&self, text: &str) -> bool {
        self.message.contains(text)
    }

    /// The credentials were good once, or can't be had: nothing else can be done with them. An SSO
    /// session, or a role that was assumed, ends on this side of the wire.
    pub fn is_expired(&self) -> bool {
        let codes = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];
        self.unsigned || self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    /// What was asked for isn't there. Services name it differently; S3's HEAD has no body at all, but AWS's
    /// request id in a header. A 404 without either is a proxy's, or a captive portal's.
    pub fn is_missing(&self) -> bool {
        const NAMES: [&str; 10] = [
            "NotFoundException",
            "NoSuchEntity",
            "NoSuchBucket",
            "NoSuchKey",
            "NoSuchBucketPolicy",
            "NoSuchPublicAccessBlockConfiguration",
            "ParameterNotFound",
            "ResourceNotFound",
            "ResourceNotFoundException",
            "ServerSideEncryptionConfigurationNotFoundError",
        ];
        match self.code.as_deref() {
            // `NotFound` is what the SDK makes of any 404 without a body (aws-sdk-s3, `parse_http_error_metadata`).
            None | Some("NotFound") => self.status == Some(404) && self.request_id.is_some(),
            Some(code) => NAMES.contains(&code),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: ", self.op)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.stopped.then_some(&Stopped)
    }
}

/// Values that no error may repeat, whatever AWS says.
#[derive(Default)]
pub struct Secrets(Mutex<Vec<Secret>>);

impl Secrets {
    /// From now on this value is shown as a hash. Very short ones are words like any other.
    pub fn keep(&self, secret: &Secret) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.reveal().len() >= 8 && !kept.contains(secret) {
            kept.push(secret.clone());
        }
    }

    fn redact(&self, text: &str) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.reveal(), &secret.to_string())
        })
    }
}

/// For calls where "it isn't there" is an answer and not a failure.
pub trait Missing<T> {
    /// `None` when AWS says that it isn't there.
    fn or_missing(self) -> Result<Option<T>, Failure>;
}

impl<T> Missing<T> for Result<T, Failure> {
    fn or_missing(self) -> Result<Option<T>, Failure> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Nothing was sent then, and asking again finds no credentials either.
fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|cause| cause.is::<CredentialsError>())
}

/// Without what Lambda repeats of a function's environment, and the SDK of a request's body.
fn without_echo(message: &str) -> &str {
    let echoes = ["String measured", " to request `Request"];
    echoes.iter().fold(message, |kept, echo| kept.split(echo).next().unwrap_or(kept)).trim()
}

/// An error and its causes; the SDK's own Display tells only the outermost, "dispatch failure".
fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests;
