//! The tables row by row, on a clock that jumps: a wait of minutes takes none.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn failure(op: &'static str, status: u16, code: &str, message: &str) -> Failure {
    let code = (!code.is_empty()).then(|| code.to_owned());
    let ambiguous = status == 0 || status >= 500;
    let status = (status > 0).then_some(status);
    Failure { op, code, message: message.to_owned(), status, ambiguous, ..Failure::default() }
}

/// Which rule bears it, if any.
fn waits(op: &'static str, status: u16, code: &str, message: &str) -> Option<&'static str> {
    rule_for(&failure(op, status, code, message), false).map(|rule| rule.waiting_for)
}

#[test]
fn each_passing_mood_of_aws_is_known_and_its_neighbour_is_final() {
    let rate = Some("AWS's rate limit");
    let iam = Some("IAM to tell Lambda of the role");
    let s3 = Some("S3 to hand out the package");
    let busy = Some("an earlier change to finish");
    let others = Some("other changes to finish");
    let api_busy = Some("API Gateway to finish another change");
    let api_changes = Some("API Gateway to finish a change of the API");
    let deleted = Some("AWS to notice what was deleted");
    let answer = Some("AWS to answer");
    let cloudwatch = Some("CloudWatch to finish another change");
    let courtesy = Some("IAM to answer");
    let (api, f) = ("apigateway:PutRestApi", "lambda:UpdateFunctionCode");
    for (op, status, code, message, expected) in [
        (api, 429, "TooManyRequestsException", "Too Many Requests", rate),
        ("ssm:PutParameter", 400, "ThrottlingException", "Rate exceeded", rate),
        ("iam:CreateRole", 400, "Throttling", "Rate exceeded", rate),
        ("s3:PutObject", 503, "SlowDown", "Please reduce your request rate.", rate),
        (api, 429, "LimitExceededException", "Maximum number of Resources", None),
        (api, 400, "BadRequestException", "There is already an update in progress.", api_changes),
        (api, 400, "BadRequestException", "Invalid security policy", None),
        ("iam:CreateRole", 409, "LimitExceeded", "Cannot exceed quota", None),
        (
            f,
            400,
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
            iam,
        ),
        (
            f,
            400,
            "InvalidParameterValueException",
            "The provided execution role does not have permissions to call X",
            iam,
        ),
        ("iam:CreateRole", 400, "MalformedPolicyDocument", "Invalid principal in policy: x", iam),
        (
            f,
            400,
            "InvalidParameterValueException",
            "Unzipped size must be smaller than 262144000 bytes",
            None,
        ),
        (
            f,
            400,
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchKey.",
            s3,
        ),
        (
            f,
            400,
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: PermanentRedirect.",
            None,
        ),
        (f, 409, "ResourceConflictException", "An update is in progress for resource: x", busy),
        (f, 409, "ResourceConflictException", "currently in the following state: Pending", busy),
        (f, 409, "ResourceConflictException", "Function already exist: x", None),
        (
            api,
            409,
            "ConflictException",
            "Unable to complete operation due to concurrent modification. Please try again later.",
            api_busy,
        ),
        // Seen once with that text too.
        (api, 400, "BadRequestException", "due to concurrent modification", api_busy),
        (api, 409, "ConflictException", "API Key already exists", None),
        (api, 503, "ServiceUnavailableException", "Please try again later.", others),
        (f, 429, "TooManyRequestsException", "Rate exceeded", rate),
        ("lambda:AddPermission", 409, "ResourceConflictException", "a concurrent update", busy),
        ("lambda:CreateAlias", 409, "ResourceConflictException", "Alias already exists: x", None),
        (f, 400, "InvalidParameterValueException", "S3 Error Code: NoSuchBucket.", s3),
        (f, 400, "X", "the KMS key is invalid for CreateGrant", iam),
        (
            "lambda:InvokeFunction",
            502,
            "KMSAccessDeniedException",
            "Lambda was unable to decrypt the environment variables because KMS access was denied",
            iam,
        ),
        ("iam:CreateRole", 409, "EntityTemporarilyUnmodifiable", "", others),
        ("iam:PutRolePolicy", 409, "ConcurrentModification", "", others),
        ("logs:CreateLogGroup", 400, "OperationAbortedException", "", others),
        ("logs:CreateLogGroup", 400, "LimitExceededException", "", None),
        ("s3:PutObject", 409, "ConditionalRequestConflict", "", others),
        ("s3:PutObject", 412, "PreconditionFailed", "", None),
        ("ssm:PutParameter", 400, "ParameterAlreadyExists", "", None),
        ("ssm:PutParameter", 400, "ParameterMaxVersionLimitExceeded", "", None),
        ("sts:GetCallerIdentity", 403, "ExpiredToken", "", None),
        ("lambda:CreateFunction", 403, "AccessDeniedException", "perform: iam:PassRole", None),
        ("lambda:CreateFunction", 413, "RequestEntityTooLargeException", "", None),
        ("s3:CreateBucket", 409, "OperationAborted", "A conflicting conditional operation", others),
        ("s3:CreateBucket", 409, "BucketAlreadyExists", "not available", None),
        ("ssm:PutParameter", 400, "TooManyUpdates", "", others),
        ("iam:DeleteRole", 409, "DeleteConflict", "must delete policies first", deleted),
        (
            "apigateway:DeleteUsagePlan",
            400,
            "BadRequestException",
            "because there are API Stages associated with it",
            deleted,
        ),
        ("s3:DeleteBucket", 409, "BucketNotEmpty", "", None), // it is emptied again
        ("cloudwatch:PutDashboard", 409, "ConflictException", "", cloudwatch),
        ("cloudwatch:DeleteDashboards", 429, "ConcurrentModificationException", "", rate),
        ("lambda:CreateFunction", 409, "ConflictException", "", None),
        ("iam:SimulatePrincipalPolicy", 503, "ServiceUnavailable", "try again later", courtesy),
        ("s3:PutObject", 400, "RequestTimeout", "", answer),
        ("lambda:GetFunction", 500, "ServiceException", "", answer),
        ("lambda:GetFunction", 0, "", "io error", answer),
        ("lambda:GetFunction", 404, "ResourceNotFoundException", "", None),
        (
            "iam:CreateRole",
            403,
            "AccessDenied",
            "is not authorized to perform: iam:CreateRole",
            None,
        ),
    ] {
        assert_eq!(waits(op, status, code, message), expected, "{op} {status} {code} {message}");
    }
}

#[test]
fn what_would_be_made_twice_is_never_repeated_blindly() {
    for op in NEVER_TWICE {
        assert_eq!(waits(op, 500, "InternalFailure", ""), None, "{op}");
        assert_eq!(waits(op, 0, "", "timeout"), None, "{op}");
        let later = "Service unavailable, please try again later";
        assert_eq!(waits(op, 503, "ServiceUnavailableException", later), None, "{op}");
        let refused = waits(op, 429, "TooManyRequestsException", "");
        assert_eq!(refused, Some("AWS's rate limit"), "{op} was refused, so it wasn't done");
    }
}

#[test]
fn what_is_missing_is_waited_for_only_when_it_is_new() {
    let missing = failure("iam:PutRolePolicy", 404, "NoSuchEntity", "");
    assert!(rule_for(&missing, false).is_none());
    assert!(rule_for(&missing, true).is_some());
    let denied = failure("iam:PutRolePolicy", 403, "AccessDenied", "");
    assert!(rule_for(&denied, true).is_none());
}

fn new_pacer() -> Pacer {
    Pacer::new(None, Stop::default(), Outage::default(), true)
}

/// Answers with `failure` so many times, then well. Gives the result, the number of requests and
/// the seconds that passed on the clock.
async fn run(times: usize, failure: Failure) -> (Result<(), Failure>, usize, u64) {
    let sent = AtomicUsize::new(0);
    let started = Instant::now();
    let answer = || async {
        match sent.fetch_add(1, Ordering::SeqCst) < times {
            true => Err(failure.clone()),
            false => Ok(()),
        }
    };
    let result = new_pacer().run(failure.op, false, answer).await;
    (result, sent.load(Ordering::SeqCst), started.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_borne_and_a_final_one_ends_at_once() {
    let busy = failure("lambda:PublishVersion", 409, "ResourceConflictException", "in progress");
    let (result, sent, _) = run(5, busy).await;
    assert!(result.is_ok());
    assert_eq!(sent, 6);

    let full =
        failure("apigateway:CreateApiKey", 429, "LimitExceededException", "Maximum number of");
    let (result, sent, seconds) = run(5, full).await;
    assert!(result.is_err());
    assert_eq!((sent, seconds), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_the_budget() {
    let role = failure("lambda:CreateFunction", 400, "X", "cannot be assumed by Lambda");
    let (result, sent, seconds) = run(usize::MAX, role).await;
    assert!(result.is_err());
    assert!(sent > 40 && (80..=90).contains(&seconds), "{sent} requests in {seconds} s");
}

/// Each failure by itself would be borne; together they must not be borne for ever.
#[tokio::test(start_paused = true)]
async fn failures_that_take_turns_end_with_the_first_budget() {
    let busy = failure("lambda:PublishVersion", 409, "ResourceConflictException", "in progress");
    let role = failure("lambda:PublishVersion", 400, "X", "cannot be assumed by Lambda");
    let (sent, started) = (AtomicUsize::new(0), Instant::now());
    let answer = || async {
        let number = sent.fetch_add(1, Ordering::SeqCst);
        assert!(number < 1_000, "it never ends");
        Err::<(), _>(if number % 2 == 0 { busy.clone() } else { role.clone() })
    };
    let result = new_pacer().run(busy.op, false, answer).await;
    assert!(result.is_err_and(|last| last.says("cannot be assumed")));
    assert!((80..=92).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

/// Some answers ask for another try after 0 s: no reason to hammer.
#[tokio::test(start_paused = true)]
async fn asked_to_come_back_at_once_there_is_a_pause_all_the_same() {
    let mut throttled = failure("ssm:PutParameter", 400, "ThrottlingException", "");
    throttled.retry_after = Some(Duration::ZERO);
    let (_, sent, seconds) = run(5, throttled).await;
    assert_eq!((sent, seconds), (6, 5));
}

#[tokio::test(start_paused = true)]
async fn aws_is_asked_again_when_it_said_so() {
    let mut throttled = failure("lambda:GetFunction", 429, "TooManyRequestsException", "");
    throttled.retry_after = Some(Duration::from_secs(42));
    let (result, sent, seconds) = run(1, throttled).await;
    assert!(result.is_ok());
    assert_eq!((sent, seconds), (2, 42));
}

#[tokio::test(start_paused = true)]
async fn requests_keep_to_the_quotas_of_api_gateway() {
    let pacer = new_pacer();
    let started = Instant::now();
    let mut at = vec![];
    for op in ["apigateway:DeleteRestApi", "apigateway:GetRestApi", "apigateway:DeleteRestApi"] {
        pacer.run(op, false, || async { Ok(()) }).await.unwrap();
        at.push(started.elapsed().as_secs());
    }
    assert_eq!(at, [0, 0, 30]);

    // Forty at once after a rest, then ten a second.
    let pacer = new_pacer();
    let started = Instant::now();
    for _ in 0..60 {
        pacer.run("apigateway:GetTags", false, || async { Ok(()) }).await.unwrap();
    }
    assert_eq!(started.elapsed().as_millis(), 2_000);
}

/// Asking IAM about permissions beforehand is a courtesy: a run doesn't depend on the answer.
#[tokio::test(start_paused = true)]
async fn simulation_is_given_up_after_two_tries_within_three_seconds() {
    for message in ["", "Service is unavailable. Please try again later."] {
        let failure = failure("iam:SimulatePrincipalPolicy", 503, "ServiceUnavailable", message);
        let (result, tries, seconds) = run(9, failure.clone()).await;
        assert!(result.is_err());
        assert_eq!(tries, 2, "{message}");
        assert!(seconds <= 3, "{seconds} s");
        assert_eq!(run(1, failure).await.1, 2, "the second answer counts");
    }
}

/// The answer to the first try is lost; the thing is there.
#[tokio::test(start_paused = true)]
async fn nothing_is_made_twice_when_an_answer_is_lost() {
    let made = AtomicUsize::new(0);
    let look = || async { Ok((made.load(Ordering::SeqCst) > 0).then_some("found")) };
    let make = || async {
        made.fetch_add(1, Ordering::SeqCst);
        Err::<&str, _>(failure("apigateway:CreateRestApi", 0, "", "timeout"))
    };
    assert_eq!(make_once(look, make).await.unwrap(), "found");
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_make_is_final_and_so_is_the_fifth_lost_one() {
    for (status, tries) in [(403, 1), (0, 5)] {
        let made = AtomicUsize::new(0);
        let make = || async {
            made.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(failure("apigateway:CreateRestApi", status, "", ""))
        };
        assert!(make_once(|| async { Ok(None) }, make).await.is_err());
        assert_eq!(made.load(Ordering::SeqCst), tries);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_answer_has_an_end() {
    let started = Instant::now();
    let ask = || async { Ok((started.elapsed().as_secs() >= 7).then_some(7)) };
    assert_eq!(until("the seventh second", Duration::from_secs(10), ask).await.unwrap(), 7);

    let started = Instant::now();
    let never = until("godot", Duration::from_secs(60), || async { Ok(None::<()>) }).await;
    assert_eq!(never.unwrap_err().to_string(), "waited 60 s for godot, in vain");
    assert!((58..=60).contains(&started.elapsed().as_secs()));
}

/// A request that hangs and one that is cut off again and again end at the same moment.
/// Else a server that takes an upload and never answers holds up the run for as long as an upload may take.
#[tokio::test(start_paused = true)]
async fn upload_without_an_answer_is_an_outage_too() {
    let pacer = new_pacer();
    let never = std::future::pending::<Result<(), Failure>>;
    let run =
        tokio::time::timeout(Duration::from_secs(61), pacer.run("s3:PutObject", false, never));
    assert!(run.await.unwrap().unwrap_err().outage);
}

#[tokio::test(start_paused = true)]
async fn outage_ends_all_waiting_requests_after_60_s() {
    let (pacer, started) = (new_pacer(), Instant::now());
    let hangs = pacer.run("lambda:GetFunction", false, std::future::pending::<Result<(), _>>);
    let cut = || async { Err::<(), _>(failure("iam:GetRole", 0, "", "connection reset")) };
    let (hangs, cut) = tokio::join!(hangs, pacer.run("iam:GetRole", false, cut));
    assert_eq!(started.elapsed().as_secs(), 60);
    for failed in [hangs.unwrap_err(), cut.unwrap_err()] {
        assert!(failed.outage && failed.ambiguous && failed.says("for 60 s: connection reset"));
    }
    // It is over for every other request too, which isn't sent.
    let late = pacer.run("iam:CreateRole", false, || async { Ok(()) }).await.unwrap_err();
    assert!(late.outage && !late.ambiguous);
    assert_eq!(started.elapsed().as_secs(), 60);
}

/// Any answer to any request is one, an error too; and time without requests isn't an outage.
#[tokio::test(start_paused = true)]
async fn answers_to_other_requests_keep_a_run_alive() {
    let pacer = new_pacer();
    let hangs = async {
        sleep(Duration::from_secs(200)).await;
        Ok(())
    };
    let hangs = std::sync::Mutex::new(Some(hangs));
    let hangs = pacer.run("lambda:GetFunction", false, || hangs.lock().unwrap().take().unwrap());
    let others = async {
        for _ in 0..4 {
            sleep(Duration::from_secs(50)).await;
            let denied = || async { Err::<(), _>(failure("iam:GetRole", 403, "AccessDenied", "")) };
            assert!(pacer.run("iam:GetRole", false, denied).await.is_err_and(|f| !f.outage));
        }
        sleep(Duration::from_secs(300)).await;
        pacer.run("iam:GetRole", false, || async { Ok(()) }).await.unwrap();
    };
    let (hangs, ()) = tokio::join!(hangs, others);
    hangs.unwrap();
}
