//! `deployer verify`: from the URL back to the commit.

use super::progress::Spinner;
use super::releases::{shown, standing};
use super::run::{Deployed, connect, deployed};
use super::screen::{BAD, DIM, GOOD, paint, result, say};
use super::{Common, Exit};
use crate::http::get;
use crate::rebuild::{self, CannotTell, rebuild};
use crate::release::{Release, base64_to_hex};
use crate::resources::history::{self, Record};
use crate::resources::{SecretParameter, attached_by_hand, of_api, of_function, served_code};
use crate::run::Run;
use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub const EXAMPLES: &str = "\
The commit is checked out below target/verify and packaged there. Of each function, the zip that
comes of it, the one that serves and the one on record must be the same, bit for bit; and SSM, the
record and the API itself must name that commit. Nothing may be attached to a function that the
stack doesn't declare (layers, a VPC, ...), and nothing else may lead to it: no function URL, event
source mapping or policy statement made by hand, and no further stage of the API. Routes and other
settings are the business of `status`.

The first time takes minutes, later ones half a minute. The version of Rust must be the one that
made the packages: `cargo +VERSION xtask verify` takes another.

Exit code 0 when all of it is the same, 5 when anything differs, 1 when it can't be told.

Examples:
  deployer verify
  deployer verify --rebuilt artifact      with packages that somebody else has made of the commit
  deployer --stage prod verify --json | jq .verified";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Packages to compare with, instead of rebuilding them
    #[arg(long, value_name = "DIR")]
    rebuilt: Option<PathBuf>,
}

/// Names of the witnesses, as they are shown.
const REBUILT: &str = "rebuilt";
const SERVES: &str = "serves";
const RECORD: &str = "record";
const PARAMETER: &str = "parameter";

/// One thing, as each of its witnesses has it: empty where a witness knows nothing of it.
struct Row {
    name: String,
    said: Vec<(String, String)>,
}

impl Row {
    fn new(name: &str, said: &[(&str, &str)]) -> Self {
        let own = |(witness, said): &(&str, &str)| ((*witness).to_owned(), shown(said));
        Self { name: name.to_owned(), said: said.iter().map(own).collect() }
    }

    fn by(&self, witness: &str) -> &str {
        let said = self.said.iter().find(|(name, _)| name == witness);
        said.map_or("", |(_, said)| said)
    }

    fn is_same(&self) -> bool {
        let first = self.said.first().map(|(_, said)| said);
        first.is_some_and(|first| {
            !first.is_empty() && self.said.iter().all(|(_, said)| said == first)
        })
    }

    fn json(&self) -> Value {
        let said = self.said.iter().map(|(witness, said)| (witness.clone(), said.clone().into()));
        let mut json: Map<String, Value> = said.collect();
        json.insert("same".to_owned(), self.is_same().into());
        Value::Object(json)
    }

    fn show(&self, width: usize) {
        let (mark, style) = if self.is_same() { ("✓ same", GOOD) } else { ("✗ DIFFERS", BAD) };
        let short = |said: &str| match said.is_empty() {
            true => "nothing".to_owned(),
            // A whole hash is of no use to people; what an endpoint complains of is.
            false if said.len() == 64 => said.chars().take(12).collect(),
            false => said.to_owned(),
        };
        let each = |(witness, said): &(String, String)| format!("{witness} {}", short(said));
        let said = match self.is_same() {
            true => short(&self.said[0].1),
            false => self.said.iter().map(each).collect::<Vec<_>>().join(" · "),
        };
        result(format!("{}  {:<width$}  {said}", paint(style, format!("{mark:<9}")), self.name));
    }
}

pub async fn run(common: &Common, args: &Args) -> Result<Exit> {
    let aws = connect(common).await?;
    let (mut live, mut record) = look(common, &aws).await?;
    rebuild::commit(&record.git_sha).context("reading the record of what serves")?;
    let rebuilt = match &args.rebuilt {
        Some(directory) => Release::load_whole(directory)?,
        None => {
            let rebuilt = build(common, &record).await?;
            let before = record.number;
            (live, record) = look(common, &aws).await?;
            if record.number != before {
                let why = format!("release {} began to serve meanwhile", record.number);
                bail!(CannotTell { why, next: common.command("verify") });
            }
            rebuilt
        }
    };
    if rebuilt.arch != record.arch {
        let why = format!("the packages are for {}, what serves for {}", rebuilt.arch, record.arch);
        let next = format!("cargo xtask package --arch {} --out DIR", shown(&record.arch));
        bail!(CannotTell { why, next });
    }
    let code = compare_code(common, &aws, &record, &rebuilt).await?;
    let commit = compare_commit(&aws, &live, &record, &rebuilt).await?;
    let by_hand = made_by_hand(common, &aws, &live).await?;
    Ok(tell(common, &aws.url(&live.api), &record, (&code[..], &commit, &by_hand)))
}

/// What the stack didn't create and is beside what it did: by function, or by API.
type ByHand = BTreeMap<String, Vec<String>>;

async fn made_by_hand(common: &Common, aws: &Run, live: &Deployed) -> Result<ByHand> {
    let of_one = async |short: &str| {
        let name = aws.env.function(short);
        let (attached, foreign) =
            tokio::try_join!(attached_by_hand(aws, &name), of_function(aws, &name))?;
        Ok::<_, anyhow::Error>((
            short.to_owned(),
            attached.into_iter().chain(foreign.lines()).collect(),
        ))
    };
    let functions = try_join_all(common.app.functions().into_iter().map(of_one));
    let (functions, stages) = tokio::try_join!(functions, of_api(aws, &live.api))?;
    let mut all: ByHand = functions.into_iter().collect();
    all.insert("API".to_owned(), stages.lines().collect());
    all.retain(|_, lines| !lines.is_empty());
    Ok(all)
}

/// What is deployed, and the record of it.
async fn look(common: &Common, aws: &Run) -> Result<(Deployed, Record)> {
    let live = deployed(common, aws).await?;
    let records = history::read(aws).await?;
    let Some(record) = history::current(&records) else {
        let why = format!("what serves stage {} is on no record", common.stage);
        bail!(CannotTell { why, next: format!("{}, which makes one", common.command("deploy")) });
    };
    Ok((live, record.clone()))
}

async fn build(common: &Common, record: &Record) -> Result<Release> {
    let Record { git_sha, arch, .. } = record.clone();
    if !common.quiet {
        let text = format!("rebuilding commit {git_sha} for {arch}; the first time takes minutes");
        say(paint(DIM, text));
    }
    let spinner = Spinner::new("compiling and packaging", common.quiet);
    let packages = tokio::task::spawn_blocking(move || rebuild(&git_sha, &arch)).await?;
    drop(spinner);
    Release::load_whole(&packages?)
}

/// A row for each function that is in any of the three.
async fn compare_code(
    common: &Common,
    aws: &Run,
    record: &Record,
    rebuilt: &Release,
) -> Result<Vec<Row>> {
    let names: BTreeSet<&str> = (record.functions.keys().map(String::as_str))
        .chain(rebuilt.functions())
        .chain(common.app.functions())
        .collect();
    let recorded = record.release();
    let row = |name: &str| {
        let name = name.to_owned();
        let hashes = [&rebuilt, &&recorded].map(|release| release.package(&name).sha256);
        async move {
            let served = served_code(aws, &aws.env.function(&name)).await?;
            let served = served.and_then(|(code, _)| base64_to_hex(&code)).unwrap_or_default();
            let [rebuilt, recorded] = &hashes;
            let said = [(REBUILT, &**rebuilt), (SERVES, &*served), (RECORD, &**recorded)];
            Ok::<_, anyhow::Error>(Row::new(&name, &said))
        }
    };
    let rows = try_join_all(names.into_iter().map(row)).await?.into_iter();
    Ok(rows.filter(|row| row.said.iter().any(|(_, said)| !said.is_empty())).collect())
}

/// The commit by all that name one: the packages, SSM, the record, and each endpoint that tells.
async fn compare_commit(
    aws: &Run,
    live: &Deployed,
    record: &Record,
    rebuilt: &Release,
) -> Result<Row> {
    // The same commit may be told in more digits or in fewer.
    let (long, short) = (&rebuilt.git_sha, &record.git_sha);
    let same = long.starts_with(short.as_str()) || short.starts_with(long.as_str());
    let packaged = if same { short } else { long };
    let parameter = &*live.release.git_sha;
    let mut row =
        Row::new("commit", &[(REBUILT, packaged), (PARAMETER, parameter), (RECORD, short)]);
    let key = SecretParameter::value(aws, &aws.env.parameter("api-key")).await?;
    let release = record.release();
    for endpoint in record.endpoints.iter().filter(|endpoint| endpoint.knows_release) {
        let name = format!("{} {}", endpoint.method, endpoint.path);
        let url = format!("{}{}", aws.url(&live.api), endpoint.path);
        let answer = get(&aws.http, &url, &[("x-api-key", key.reveal())]).await;
        let answer = answer.map_err(|error| anyhow!("{error}")).with_context(|| shown(&name))?;
        let judged =
            endpoint.judge(answer.status, &answer.content_type, &answer.body, &release).err();
        row.said.push((shown(&name), shown(&judged.unwrap_or_else(|| short.clone()))));
    }
    Ok(row)
}

fn tell(
    common: &Common,
    url: &str,
    record: &Record,
    (code, commit, by_hand): (&[Row], &Row, &ByHand),
) -> Exit {
    let rows = || code.iter().chain([commit]);
    let same = rows().all(Row::is_same);
    let verified = same && by_hand.is_empty();
    let Record { number, git_sha, .. } = record;
    if common.json {
        let functions: Map<String, Value> =
            code.iter().map(|row| (row.name.clone(), row.json())).collect();
        let json = json!({
            "verified": verified,
            "release": number,
            "git_sha": git_sha,
            "url": url,
            "functions": functions,
            "commit": commit.json(),
            "by_hand": by_hand,
        });
        result(format!("{json:#}"));
    } else {
        let width = rows().map(|row| row.name.chars().count()).max().unwrap_or(0);
        rows().for_each(|row| row.show(width));
        for (of, what) in
            by_hand.iter().flat_map(|(of, all)| all.iter().map(move |what| (of, what)))
        {
            result(format!("{}  {of:<width$}  {}", paint(BAD, "✗ BY HAND"), shown(what)));
        }
        result(match verified {
            false if same => {
                let all = by_hand.keys().map(|of| &**of).collect::<Vec<_>>().join(", ");
                paint(
                    BAD,
                    format!(
                        "commit {git_sha} is what serves {url}, but not all that is there: see {all}"
                    ),
                )
            }
            true => paint(GOOD, format!("verified: commit {git_sha} is what serves {url}")),
            false => {
                let different = rows().filter(|row| !row.is_same()).map(|row| &*row.name);
                let different = different.collect::<Vec<_>>().join(", ");
                let packaged = commit.by(REBUILT);
                paint(BAD, format!("commit {packaged} is not what serves {url}: see {different}"))
            }
        });
    }
    if !by_hand.is_empty() {
        say("  likely cause: it was added by hand, or by another tool");
        let deploy = common.command("deploy");
        say(format!(
            "  next: {deploy} resets a function's settings; with --remove-foreign it also removes other access"
        ));
    }
    if !same {
        advise(common, record, code, commit);
    }
    if verified { Exit::Done } else { Exit::SmokeTestFailed }
}

/// Why that may be.
fn advise(common: &Common, record: &Record, code: &[Row], commit: &Row) {
    let [packaged, recorded] = [REBUILT, RECORD].map(|witness| commit.by(witness));
    let changed = code.iter().any(|row| row.by(SERVES) != row.by(RECORD));
    let (cause, next) = match record.state.is_good() {
        false => {
            let (_, what) = standing(record.state, true);
            (format!("release {} is {what}", record.number), common.command("releases"))
        }
        true if packaged != recorded && commit.by(PARAMETER) == recorded => (
            format!("{recorded} was deployed, and the packages are of {packaged}"),
            format!("git log {packaged}...{recorded}, for what that makes of a difference"),
        ),
        true if code.iter().all(Row::is_same) => (
            "a parameter, a record or a setting was changed by hand".to_owned(),
            common.command("plan"),
        ),
        true if changed => {
            ("a function or a record was changed by hand".to_owned(), common.command("plan"))
        }
        true => (
            "it was made of other sources, or with another version of Rust than is at work here"
                .to_owned(),
            "look at the run that deployed it; compare its packages, with --rebuilt DIR".to_owned(),
        ),
    };
    say(format!("  likely cause: {cause}"));
    say(format!("  next: {next}"));
}
