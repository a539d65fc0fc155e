//! Whatever comes from outside, AWS's answers included, ends in a plan or in an error with words.

use super::*;
use crate::world::{ACCOUNT, REGION};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use proptest::sample::{Index, select};
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
        let missing = || HttpResponse::new(StatusCode::try_from(404).unwrap(), SdkBody::from("{}"));
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
            Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body)))
        })
    }
}

async fn plan_of_garbled(
    world: &Value,
    nth: usize,
    edit: Edit,
    status: Option<u16>,
) -> anyhow::Result<()> {
    let local = Local {
        endpoint: "http://aws.invalid".to_owned(),
        access_key: "test".to_owned(),
        secret_key: "test".to_owned(),
    };
    let (aws, left) = (wire::client(world.clone()), AtomicUsize::new(nth));
    let access = Access {
        region: Some(REGION.to_owned()),
        local: Some(local),
        http: Some(SharedHttpConnector::new(Garbled { aws, left, edit, status })),
        ..Access::default()
    };
    let (aws, kinds) = (Aws::connect(&access, APP, "dev").await?, kinds());
    let graph = stack(&aws.env, &world::release(), ENDPOINTS).graph;
    let survey = graph.survey(&aws, &kinds, &Stop::default(), Arc::new(Silent)).await?;
    text(&survey.plan(BTreeMap::new()));
    Ok(())
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

static DEPLOYED: LazyLock<Value> = LazyLock::new(|| paused(deployed()));

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
    fn a_garbled_manifest_is_an_error_or_a_release(edit in edit()) {
        let zip = |name: &str| serde_json::json!({
            "name": name, "file": format!("{name}.zip"), "zip_bytes": 0, "binary_bytes": 0,
            "sha256": "0", "code_sha256": ACCOUNT, "binary_sha256": "0",
        });
        let manifest = serde_json::json!({
            "format_version": 1, "version": "1.0.0", "git_sha": "0123456789a", "arch": "x86_64",
            "packages": [zip("root")],
        });
        let directory = tempfile::tempdir().unwrap();
        let garbled = edit.apply(manifest.to_string().as_bytes());
        std::fs::write(directory.path().join("manifest.json"), garbled).unwrap();
        let error = Release::load(directory.path(), ["root"]).unwrap_err();
        assert!(!format!("{error:#}").is_empty());
    }
}
