//! Whatever comes from outside, AWS's answers included, ends in a plan or in an error with words.

use super::*;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use base64::{Engine, engine::general_purpose::STANDARD};
use infra::lease;
use infra::release::is_plain;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What becomes of a text on its way.
#[derive(Clone, Debug)]
enum Edit {
    CutAt(Index),
    Byte(Index, u8),
    /// One occurrence of a word becomes another text.
    Word(&'static str, Index, String),
    All(String),
}

fn edit() -> impl Strategy<Value = Edit> {
    let words =
        vec!["\"", ":", "{", "}", "[", "<", ">", "/", "1", "true", "Arn", "Version", "name", "id"];
    let others = prop_oneof![
        Just("null".to_owned()),
        Just("-1".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("{}".to_owned()),
        any::<String>(),
    ];
    prop_oneof![
        any::<Index>().prop_map(Edit::CutAt),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (select(words), any::<Index>(), others.clone()).prop_map(|(w, at, o)| Edit::Word(w, at, o)),
        others.prop_map(Edit::All),
    ]
}

/// What somebody may have written where a short word is expected. Proptest's own texts have no control
/// characters, which terminals obey.
fn word() -> impl Strategy<Value = String> {
    let any = prop::collection::vec(any::<char>(), 0..200);
    prop_oneof![
        2 => Just("0123456789a".to_owned()),
        1 => any.prop_map(|chars| chars.into_iter().collect()),
        1 => Just("\u{1b}[2J\u{7}".to_owned()),
    ]
}

/// A file as it was written, or garbled, or something else altogether.
fn garbled(json: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (json, prop::collection::vec(edit(), 0..2)).prop_map(|(json, edits)| {
        edits.iter().fold(json.to_string().into_bytes(), |text, edit| edit.apply(&text))
    });
    prop_oneof![4 => edited, 1 => any::<Vec<u8>>()]
}

/// The package that the manifests below tell of.
const ZIP: &str = "PK, a zip";

fn manifest() -> impl Strategy<Value = Value> {
    (word(), word()).prop_map(|(version, git_sha)| {
        let hash = Sha256::digest(ZIP);
        let package = serde_json::json!({
            "name": "root", "file": "root.zip", "zip_bytes": 9, "binary_bytes": 0,
            "sha256": format!("{hash:x}"), "code_sha256": STANDARD.encode(hash), "binary_sha256": "0",
        });
        serde_json::json!({
            "format_version": 1, "version": version, "git_sha": git_sha, "arch": "x86_64",
            "packages": [package],
        })
    })
}

fn record() -> impl Strategy<Value = Value> {
    let texts = (word(), word(), word());
    (texts, any::<(bool, bool, i64, u64)>()).prop_map(|(texts, (held, unlisted, since, beats))| {
        let (holder, doing, git_sha) = texts;
        serde_json::json!({
            "format_version": 1, "nonce": "a-nonce", "held": held, "holder": holder, "doing": doing,
            "git_sha": git_sha, "since": since, "beats": beats, "unlisted": unlisted,
        })
    })
}

impl Edit {
    fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        match self {
            Self::CutAt(at) => bytes.truncate(at.index(text.len() + 1)),
            Self::Byte(at, byte) if !text.is_empty() => bytes[at.index(text.len())] = *byte,
            Self::Byte(..) => {}
            Self::Word(word, at, other) => {
                let text = String::from_utf8_lossy(text).into_owned();
                let places: Vec<_> = text.match_indices(word).map(|(place, _)| place).collect();
                if !places.is_empty() {
                    let (before, after) = text.split_at(places[at.index(places.len())]);
                    return format!("{before}{other}{}", &after[word.len()..]).into_bytes();
                }
            }
            Self::All(other) => return other.clone().into_bytes(),
        }
        bytes
    }
}

/// Garbles one answer, and its status if there is another.
#[derive(Debug)]
struct Garbled {
    aws: SharedHttpConnector,
    left: AtomicUsize,
    edit: Edit,
    status: Option<u16>,
}

impl HttpConnector for Garbled {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let nth = self.left.fetch_sub(1, Ordering::SeqCst);
        let read = ["GET", "HEAD"].contains(&request.method());
        // Afterwards it may ask for what the world in memory has never heard of. It may not write.
        let missing = || wire::response(404, "{}");
        let answer = match nth <= 1_000_000 || !read {
            true => self.aws.call(request),
            false => catch_unwind(AssertUnwindSafe(|| self.aws.call(request)))
                .unwrap_or_else(|_| HttpConnectorFuture::ready(Ok(missing()))),
        };
        if nth != 0 {
            return answer;
        }
        let (edit, status) = (self.edit.clone(), self.status);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let status = status.unwrap_or(answer.status().as_u16());
            let body = edit.apply(answer.body().bytes().unwrap_or_default());
            Ok(wire::response(status, body))
        })
    }
}

async fn plan_of_garbled(
    world: &Value,
    nth: usize,
    edit: Edit,
    status: Option<u16>,
) -> anyhow::Result<()> {
    let (aws, left) = (wire::client(world.clone()), AtomicUsize::new(nth));
    let garbled = SharedHttpConnector::new(Garbled { aws, left, edit, status });
    let (aws, kinds) = (connect_by(garbled).await?, kinds());
    let graph = stack(&aws.env, &world::release(), &app()).graph;
    let survey = graph.survey(&aws, &kinds, &Stop::default(), Arc::new(Silent)).await?;
    text(&survey.plan(BTreeMap::new()));
    Ok(())
}

/// A staging bucket in which somebody has written a lease.
#[derive(Debug)]
struct Leased {
    aws: SharedHttpConnector,
    lease: Vec<u8>,
    modified: String,
}

impl HttpConnector for Leased {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !request.uri().contains(lease::KEY) {
            return self.aws.call(request);
        }
        let body = SdkBody::from(self.lease.clone());
        let mut answer = HttpResponse::new(StatusCode::try_from(200).unwrap(), body);
        answer.headers_mut().insert("etag", "\"an-etag\"");
        answer.headers_mut().insert("last-modified", self.modified.clone());
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// Who has the stage, in the words of a run that finds this lease.
async fn holder(lease: Vec<u8>, modified: String) -> anyhow::Result<Option<String>> {
    let aws = wire::client(DEPLOYED.clone());
    let aws = connect_by(SharedHttpConnector::new(Leased { aws, lease, modified })).await?;
    let seen = lease::look(&aws).await?;
    let _ = seen.lag(&aws);
    assert_eq!(seen.is_held(), seen.holder(&aws).is_some());
    Ok(seen.holder(&aws))
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// Made in a thread of its own, for who needs it first may be in a runtime.
static DEPLOYED: LazyLock<Value> =
    LazyLock::new(|| std::thread::spawn(|| paused(deployed())).join().unwrap());

static SAVED: LazyLock<String> =
    LazyLock::new(|| serde_json::to_string_pretty(&paused(plan(&Value::Null))).unwrap());

fn few(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(few(96))]

    #[test]
    fn a_garbled_answer_of_aws_is_an_error_or_a_plan(
        nth in 0..90usize,
        edit in edit(),
        status in prop_oneof![4 => Just(None), 1 => select(vec![200, 400, 403, 404, 409, 429, 500]).prop_map(Some)],
    ) {
        if let Err(error) = paused(plan_of_garbled(&DEPLOYED, nth, edit, status)) {
            let words = format!("{error:#}");
            assert!(!words.is_empty() && !words.contains(world::KEY), "{words}");
        }
    }
}

proptest! {
    #![proptest_config(few(512))]

    #[test]
    fn a_garbled_plan_is_an_error_or_a_plan(edit in edit()) {
        let garbled = edit.apply(SAVED.as_bytes());
        match Plan::parse(&String::from_utf8_lossy(&garbled)) {
            Ok(plan) => drop(text(&plan)),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_garbled_lease_is_free_or_held_in_words(
        lease in garbled(record()),
        modified in prop_oneof![
            4 => Just("Thu, 26 Nov 2026 10:00:00 GMT".to_owned()),
            1 => any::<String>(),
        ],
    ) {
        match paused(holder(lease, modified)) {
            Ok(None) => {}
            Ok(Some(words)) => {
                assert!(words.starts_with("stage dev is held by "), "{words}");
                assert!(words.len() < 1200 && !words.contains(char::is_control), "{words:?}");
            }
            Err(error) => assert!(format!("{error:#}").starts_with("looking who has the stage: ")),
        }
    }

    #[test]
    fn a_garbled_manifest_is_an_error_or_a_release(manifest in garbled(manifest())) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("root.zip"), ZIP).unwrap();
        std::fs::write(directory.path().join("manifest.json"), manifest).unwrap();
        match Release::load(directory.path(), ["root"]) {
            Ok(release) => {
                assert!([&release.version, &release.git_sha].iter().all(|text| is_plain(text)));
                assert_eq!(release.package("root").sha256, format!("{:x}", Sha256::digest(ZIP)));
            }
            Err(error) => assert!(format!("{error:#}").starts_with("reading the packages: ")),
        }
    }
}
