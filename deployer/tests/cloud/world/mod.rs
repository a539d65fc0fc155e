//! A world that behaves as AWS does: the local cloud, and in front of it, inside the SDK's HTTP
//! client, whatever can go wrong. Signing, parsing and retrying run for real.
//!
//! Time is the runtime's and stands still while a request is under way; when everybody waits, it
//! jumps. So a quota of one in thirty seconds costs milliseconds. It goes on from run to run, and
//! the answers' dates tell it.

pub mod fault;
mod request;

pub use request::{Request, Response, is_write, refuse};

use crate::account::{Account, REGION, Ran};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use deployer::APP;
use fault::{At, Break, Fault, Verdict};
use infra::app::App;
use infra::aws::{Access, Local};
use infra::cli::{Said, overheard};
use infra::contract::Endpoint;
use infra::engine::Stop;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How a run ends that was killed.
pub const KILLED: i32 = 137;

/// Whose key of the local cloud this is; nobody may ever see it.
const SECRET_KEY: &str = "a-secret-access-key-of-somebody";

/// An account, and what stands before it.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    access_key: String,
    real: SharedHttpConnector,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    endpoint: String,
    /// When the present run began, since the world did.
    began: Duration,
    faults: Vec<Box<dyn Fault>>,
    /// What was asked for in the present run.
    requests: Vec<String>,
    /// Set to kill before anything else is served.
    doomed: bool,
    /// Ends the present run.
    kill: Arc<Notify>,
    /// When an object was last written, by path.
    written: BTreeMap<String, Duration>,
    /// Values that must never be printed.
    secrets: BTreeSet<String>,
    /// Another table of endpoints than the program's.
    endpoints: Option<&'static [Endpoint]>,
    /// By how many seconds the machine's clock is wrong.
    clock_off: i64,
    /// How long each request takes; and then nothing else does, quotas included unless they are kept.
    latency: Option<Duration>,
    quotas_kept: bool,
}

/// Requests really go out from here, whatever time it is elsewhere.
static OUTSIDE: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

impl World {
    pub fn of(account: &Account) -> Self {
        let (endpoint, secrets) =
            (account.cloud().endpoint.clone(), [SECRET_KEY.to_owned()].into());
        let state = State { endpoint, secrets, ..State::default() };
        Self(Arc::new(Inner {
            access_key: account.id.clone(),
            real: infra::http::connector(),
            state: Mutex::new(state),
        }))
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.state.lock().unwrap())
    }

    /// Does something with the local cloud at another address: a witness before it.
    pub fn by_way_of<T>(&self, endpoint: &str, act: impl FnOnce() -> T) -> T {
        let endpoint = endpoint.to_owned();
        let direct = self.state(|state| std::mem::replace(&mut state.endpoint, endpoint));
        let done = act();
        self.state(|state| state.endpoint = direct);
        done
    }

    /// From now on this goes wrong too.
    pub fn with(self, fault: impl Fault + 'static) -> Self {
        self.add(fault);
        self
    }

    pub fn add(&self, fault: impl Fault + 'static) {
        self.state(|state| {
            state.faults.push(Box::new(fault));
            state.faults.sort_by_key(|fault| fault.is_last());
        });
    }

    /// A run of an account that was broken at the k-th request of an operation, and what it said; all goes
    /// well again by now.
    #[track_caller]
    pub fn broken(
        account: &Account,
        line: &str,
        (op, k): (&str, usize),
        how: Break,
    ) -> (Self, Ran) {
        let (fired, stop) = (Arc::default(), Stop::default());
        let world = Self::of(account).with(At::new(op, k, how, &stop, &fired));
        let ran = world.run_until(account, &[line], &stop).remove(0);
        assert_eq!(fired.load(Ordering::SeqCst), 1, "{op} {how:?}");
        world.mend();
        (world, ran)
    }

    /// Everything goes well again.
    pub fn mend(&self) {
        self.state(|state| (state.faults.clear(), state.doomed = false));
    }

    /// The machine's clock is wrong by so many seconds.
    pub fn set_clock_off(&self, seconds: i64) {
        self.state(|state| state.clock_off = seconds);
    }

    /// From now on the program has another table of endpoints.
    pub fn set_endpoints(&self, endpoints: &'static [Endpoint]) {
        self.state(|state| state.endpoints = Some(endpoints));
    }

    /// From now on each request takes so long, and nothing else any time: then a run takes as long as the
    /// longest chain of requests that had to follow one another.
    pub fn set_latency(&self, latency: Duration) {
        self.state(|state| state.latency = Some(latency));
    }

    /// Quotas take their time all the same.
    pub fn keep_quotas(&self) {
        self.state(|state| state.quotas_kept = true);
    }

    /// What the last run asked for, in order.
    pub fn requests(&self) -> Vec<String> {
        self.state(|state| state.requests.clone())
    }

    /// Nobody does anything for so long.
    pub fn pass(&self, time: Duration) {
        self.state(|state| state.began += time);
    }

    /// How long the world has lasted.
    pub fn age(&self) -> Duration {
        self.state(|state| state.began)
    }

    /// Runs the deployer with these arguments, and checks that no secret was printed.
    #[track_caller]
    pub fn run(&self, account: &Account, line: &str) -> Ran {
        self.run_together(account, &[line]).remove(0)
    }

    /// Runs several deployers at the same time.
    #[track_caller]
    pub fn run_together(&self, account: &Account, lines: &[&str]) -> Vec<Ran> {
        self.run_until(account, lines, &Stop::default())
    }

    /// The same, to be asked to stop as Ctrl-C does.
    #[track_caller]
    pub fn run_until(&self, account: &Account, lines: &[&str], stop: &Stop) -> Vec<Ran> {
        self.state(|state| {
            state.requests.clear();
            (state.doomed, state.kill) = (false, Arc::default());
        });
        // A runtime of its own, in a thread of its own: the caller may be in another.
        let runs = thread::scope(|scope| {
            let run = || {
                let runtime =
                    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
                runtime.block_on(self.drive(account, lines, stop))
            };
            scope.spawn(run).join().unwrap()
        });
        let asked_for = |line: &&str| line.starts_with("key show");
        for Ran { out, err, .. } in runs.iter().filter(|_| !lines.iter().any(asked_for)) {
            for secret in self.state(|state| state.secrets.clone()) {
                assert!(
                    !out.contains(&secret) && !err.contains(&secret),
                    "a secret:\n{out}\n{err}"
                );
            }
        }
        runs
    }

    async fn drive(&self, account: &Account, lines: &[&str], stop: &Stop) -> Vec<Ran> {
        let began = Instant::now();
        let ears: Vec<Said> = lines.iter().map(|_| Said::default()).collect();
        let runs = lines.iter().zip(&ears).map(|(line, ear)| {
            let mut args: Vec<OsString> = vec!["deployer".into()];
            args.extend(line.split_whitespace().map(|word| match word.ends_with(".json") {
                true => account.packages.path().join(word).into(),
                false => OsString::from(word),
            }));
            args.push("--packages".into());
            args.push(account.packages.path().into());
            let (access, app) = (self.access(stop), self.app());
            overheard(ear.clone(), async move { infra::cli::main(args, access, &app).await })
        });
        let kill = self.state(|state| state.kill.clone());
        let codes = tokio::select! {
            exits = futures_util::future::join_all(runs) => {
                exits.into_iter().map(|exit| exit as i32).collect()
            }
            () = kill.notified() => vec![KILLED; lines.len()],
        };
        self.state(|state| state.began += began.elapsed());
        // As if it had run in that directory.
        let here = format!("{}/", account.packages.path().display());
        let ran = |(code, ear): (i32, &Said)| {
            let (out, err) = ear.so_far();
            Ran { code, out: out.replace(&here, ""), err: err.replace(&here, "") }
        };
        codes.into_iter().zip(&ears).map(ran).collect()
    }

    fn app(&self) -> App {
        App { endpoints: self.state(|state| state.endpoints).unwrap_or(APP.endpoints), ..APP }
    }

    fn access(&self, stop: &Stop) -> Access {
        let now = Now { world: self.clone(), run: Instant::now() };
        Access {
            region: Some(REGION.to_owned()),
            local: Some(Local {
                endpoint: self.state(|state| state.endpoint.clone()),
                access_key: self.0.access_key.clone(),
                secret_key: SECRET_KEY.to_owned(),
            }),
            http: Some(SharedHttpConnector::new(Wire { world: self.clone(), run: Instant::now() })),
            clock: Some(SharedTimeSource::new(now)),
            stop: stop.clone(),
            quotas: Some(self.state(|state| state.latency.is_none() || state.quotas_kept)),
            ..Access::default()
        }
    }

    /// Since the world began.
    fn now(&self, run: Instant) -> Duration {
        self.state(|state| state.began) + run.elapsed()
    }

    /// Serves one request, or does whatever else becomes of it.
    async fn serve(&self, mut sent: HttpRequest, run: Instant) -> Result<Response, ConnectorError> {
        let request = Request::of(&sent);
        self.state(|state| {
            state.requests.push(request.name.clone());
            state.secrets.extend(request.secrets());
        });
        if let Some(latency) = self.state(|state| state.latency) {
            #[allow(clippy::disallowed_methods, reason = "time that passes for nobody")]
            tokio::time::sleep(latency).await;
        }
        if self.state(|state| state.doomed) {
            return self.die().await;
        }
        let now = self.now(run);
        let before = self.state(|state| {
            let mut verdicts = state.faults.iter_mut().map(|fault| fault.before(&request, now));
            verdicts.find(|verdict| !matches!(verdict, Verdict::Pass))
        });
        self.state(|state| state.faults.iter().for_each(|f| f.rewrite(&request, &mut sent)));
        match before.unwrap_or(Verdict::Pass) {
            Verdict::Pass => {}
            Verdict::Answer(response) => return Ok(response),
            Verdict::Cut => return Err(cut()),
            Verdict::Kill => return self.die().await,
            Verdict::Doom | Verdict::Then(_) => unreachable!("only after it was served"),
        }
        let mut response = self.forward(&request, sent).await?;
        let id = ["x-amzn-requestid", "x-amz-request-id"];
        let named = id.iter().any(|name| response.headers.contains_key(*name));
        // Not the API itself, nor the local cloud where it fails.
        let named = named || request.service == "execute-api" || response.status >= 500;
        assert!(named, "{}: AWS gives each request an id", request.name);
        let now = self.now(run);
        if request.name == "s3:PutObject" && response.status < 300 {
            self.state(|state| state.written.insert(request.path.clone(), now));
        }
        if let Some(written) = self.state(|state| state.written.get(&request.path).copied()) {
            response.headers.insert("last-modified".to_owned(), http_date(written));
        }
        response.headers.insert("date".to_owned(), http_date(now));
        // All of them, whatever the others say: what was served, was served.
        let after = self.state(|state| {
            let verdicts = state.faults.iter_mut().map(|f| f.after(&request, &mut response, now));
            verdicts.filter(|verdict| !matches!(verdict, Verdict::Pass)).collect::<Vec<_>>()
        });
        match after.into_iter().next().unwrap_or(Verdict::Pass) {
            Verdict::Pass => Ok(response),
            Verdict::Answer(response) => Ok(response),
            Verdict::Cut => Err(cut()),
            Verdict::Kill => self.die().await,
            Verdict::Doom => {
                self.state(|state| state.doomed = true);
                Ok(response)
            }
            Verdict::Then(also) => self.forward(&request, *also).await.map(|_| response),
        }
    }

    async fn die(&self) -> Result<Response, ConnectorError> {
        self.state(|state| state.kill.notify_one());
        std::future::pending().await
    }

    /// Meanwhile time stands still: the runtime doesn't jump while a blocking task is at work. What the
    /// local cloud does in its own time, this waits for: that it prepares a function (but see
    /// `fault::Busy`), and that a usage plan lets in more, of which it let in too many in no time.
    async fn forward(
        &self,
        request: &Request,
        sent: HttpRequest,
    ) -> Result<Response, ConnectorError> {
        let (real, function) = (self.0.real.clone(), request.name == "lambda:GetFunction");
        let outside = async move {
            loop {
                let Some(again) = sent.try_clone() else {
                    return Response::of(real.call(sent).await?).await;
                };
                let answer = Response::of(real.call(again).await?).await?;
                if !function && answer.status != 429 {
                    return Ok(answer);
                }
                let body = answer.json();
                let config = &body["Configuration"];
                let prepares =
                    config["State"] == "Pending" || config["LastUpdateStatus"] == "InProgress";
                if !prepares && body["message"] != "Too Many Requests" {
                    return Ok(answer);
                }
                #[allow(clippy::disallowed_methods, reason = "the local cloud's own time")]
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::task::spawn_blocking(|| OUTSIDE.block_on(outside)).await.unwrap()
    }
}

fn cut() -> ConnectorError {
    ConnectorError::io("connection reset by peer".into())
}

/// The world begins on the day this was written.
const BEGINNING: u64 = 1_795_500_000;

fn http_date(since: Duration) -> String {
    let seconds = i64::try_from(BEGINNING + since.as_secs()).unwrap();
    DateTime::from_secs(seconds).fmt(Format::HttpDate).unwrap()
}

#[derive(Clone)]
struct Now {
    world: World,
    run: Instant,
}

impl TimeSource for Now {
    fn now(&self) -> SystemTime {
        let now = UNIX_EPOCH + Duration::from_secs(BEGINNING) + self.world.now(self.run);
        match self.world.state(|state| state.clock_off) {
            off if off < 0 => now - Duration::from_secs(off.unsigned_abs()),
            off => now + Duration::from_secs(off.unsigned_abs()),
        }
    }
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Now")
    }
}

#[derive(Clone)]
struct Wire {
    world: World,
    run: Instant,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            Ok(wire.world.serve(request, wire.run).await?.into_http())
        })
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Wire")
    }
}
