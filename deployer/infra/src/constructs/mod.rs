//! The architecture on one screen: what exists for an [`App`], and what uses what.

mod alarms;
pub mod dashboard;

use crate::app::App;
use crate::contract::Endpoint;
use crate::engine::{Graph, Handle};
use crate::env::{ALIAS, Env};
use crate::ids::{AliasArn, ApiId, BucketName, Throttle, Version};
use crate::release::Release;
use crate::resources::history::Record;
use crate::resources::*;
use crate::run::Run;
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// Routes that may be `limited` (Amazon API Gateway quotas, "Method-level throttling settings for a stage in a
/// usage plan"; AWS Support raises it).
const MOST_LIMITED_ROUTES: usize = 20;

/// The graph, and what a deploy's end has to tell.
pub struct Stack {
    pub graph: Graph<Run>,
    pub api: Handle<ApiId>,
}

/// What stage `env` needs to run `release`. No IO: names follow from `env`, the rest from use.
pub fn stack(env: &Env, release: &Release, app: &App) -> Stack {
    let mut graph = Graph::new();
    let (app, endpoints) = (*app, app.endpoints);

    let e = env.clone();
    let bucket = graph.add(move |_| Bucket::private(e.bucket(), &e.partition));

    let name = env.parameter("api-key");
    let key_value = graph.add(move |_| SecretParameter::new(name.clone()));

    let name = env.name();
    let key = graph.add(move |link| ApiKey {
        name: name.clone(),
        enabled: true,
        value: link.to(&key_value),
    });

    let mut functions: BTreeMap<&str, Handle<Version>> = BTreeMap::new();
    for endpoint in endpoints {
        // Several routes may share a function.
        let declare = || function(&mut graph, env, release, &app, &bucket, endpoint);
        functions.entry(endpoint.function).or_insert_with(declare);
    }

    // Routes need only the functions' names, so the API is made while Lambda prepares them.
    let e = env.clone();
    let definition = move || RestApi {
        name: e.name(),
        endpoint: "REGIONAL".to_owned(),
        api_key_source: "HEADER".to_owned(),
        security_policy: "SecurityPolicy_TLS13_1_2_2021_06".to_owned(), // TLS 1.2 and 1.3
        endpoint_access_mode: "BASIC".to_owned(),
        routes: endpoints.iter().map(|endpoint| route(&e, endpoint)).collect(),
        foreign: ForeignAccess::default(),
    };
    let fingerprint = definition().fingerprint(env);
    let api = graph.add(move |_| definition());

    let permissions: Vec<Handle<()>> = functions
        .iter()
        .map(|(name, function)| {
            let (e, name, function, api) =
                (env.clone(), env.function(name), function.clone(), api.clone());
            graph.add(move |link| {
                link.to(&function); // not after it: its alias is enough
                let source_arn = link.to(&api).map(|api| e.invoke_arn(api.as_str()));
                Permission::for_api(name.clone(), source_arn)
            })
        })
        .collect();

    let group = env.access_log_group();
    let access_log = graph.add(move |_| LogGroup::new(group.clone(), app.log_retention.as_days()));
    let may_log = graph.add(|_| GatewayAccount { may_write_logs: true });

    // Routes and versions serve once all of them are proven, and then together.
    let (name, in_api) = (env.stage.clone(), api.clone());
    let proof = Proof { endpoints: endpoints.to_vec(), release: release.clone() };
    let entry = Entry::Release { proof, again: None };
    let served = standing(&release.version, &release.git_sha, "live");
    let stage = graph.add(move |link| {
        permissions.iter().for_each(|permission| link.after(permission));
        link.after(&may_log);
        let version = |(name, function): (&&str, _)| ((*name).to_owned(), link.to(function));
        Stage {
            api: link.to(&in_api),
            name: name.clone(),
            entry: entry.clone(),
            deployment: fingerprint.clone(),
            functions: functions.iter().map(version).collect(),
            throttling: Stage::limit(app.stage_limit),
            variables: Stage::calls_live(),
            observation: Some(Observation::in_group(link.to(&access_log))),
            release: served.clone(),
        }
    });

    // Alarms wait for nothing: of what isn't there yet they know nothing.
    for alarm in alarms::of_api(env, app.alarm_topic) {
        graph.add(move |_| alarm.clone());
    }

    if app.dashboard {
        let page = dashboard::of(env, endpoints.iter().map(|endpoint| endpoint.function));
        graph.add(move |_| page.clone());
    }

    let (name, of_api, of_stage) = (env.name(), api.clone(), stage.clone());
    graph.add(move |link| UsagePlan {
        name: name.clone(),
        limits: Limits {
            rate: app.key_limit.rate,
            burst: app.key_limit.burst,
            quota: app.key_quota,
            period: "MONTH".to_owned(),
        },
        stages: vec![stage_of(link.to(&of_api), link.to(&of_stage))],
        routes: endpoints.iter().filter_map(limit).collect(),
        keys: vec![link.to(&key)],
    });

    // What is deployed is written down when it is.
    for fact in facts(env, &release.version, &release.git_sha) {
        let stage = stage.clone();
        graph.add(move |link| {
            link.after(&stage);
            fact.clone()
        });
    }
    Stack { graph, api }
}

/// What must be so for an earlier release to serve again: nothing is made or built for it, for its
/// versions and the deployment of its routes have been kept.
pub fn earlier(env: &Env, api: &ApiId, record: &Record, entry: Entry) -> Graph<Run> {
    let mut graph = Graph::new();
    let (name, api, of) = (env.stage.clone(), api.clone(), record.clone());
    let stage = graph.add(move |_| Stage {
        api: api.clone().into(),
        name: name.clone(),
        entry: entry.clone(),
        deployment: of.deployment.clone(),
        functions: of.versions(),
        throttling: of.throttling.clone(),
        variables: Stage::calls_live(),
        observation: None,
        release: standing(&of.version, &of.git_sha, "live"),
    });
    for fact in facts(env, &record.version, &record.git_sha) {
        let stage = stage.clone();
        graph.add(move |link| {
            link.after(&stage);
            fact.clone()
        });
    }
    graph
}

fn facts(env: &Env, version: &str, git_sha: &str) -> [Parameter; 2] {
    [("version", version), ("git-sha", git_sha)]
        .map(|(leaf, value)| Parameter { name: env.parameter(leaf), value: value.to_owned() })
}

/// A function with what is its own: a log group, a role that may write there, a package.
fn function(
    graph: &mut Graph<Run>,
    env: &Env,
    release: &Release,
    app: &App,
    bucket: &Handle<BucketName>,
    endpoint: &'static Endpoint,
) -> Handle<Version> {
    let short = endpoint.function;
    let app = *app;
    let name = env.log_group(short);
    let log_group = graph.add(move |_| LogGroup::new(name.clone(), app.log_retention.as_days()));

    let e = env.clone();
    let boundary = app.permissions_boundary.map(|policy| e.iam_arn(&format!("policy/{policy}")));
    let stand_in = Role::stand_in(env, short, boundary.clone());
    let role = graph.add(move |_| Role::for_function(&e, short, boundary.clone()));

    let (package, in_bucket) = (release.package(short), bucket.clone());
    let artifact = graph.add(move |link| Artifact {
        bucket: link.to(&in_bucket),
        function: short.to_owned(),
        package: package.clone(),
    });

    // The commit is only known to functions that tell it: it must not touch the others.
    let environment: BTreeMap<String, String> = match endpoint.knows_release {
        true => release.environment(),
        false => BTreeMap::new(),
    };
    let (name, code, arch) =
        (env.function(short), release.package(short).code_sha256, release.arch.clone());
    let bucket = bucket.clone();
    let function = graph.add(move |link| Function {
        name: name.clone(),
        config: Config {
            description: endpoint.route(),
            role: link.to(&role),
            log_group: link.to(&log_group),
            runtime: "provided.al2023".to_owned(),
            handler: "bootstrap".to_owned(),
            architecture: arch.clone(),
            memory_mb: app.memory_mb,
            timeout_seconds: app.timeout_seconds,
            environment: environment.clone(),
            traced: true,
            attached: Attached::new(), // no layers, no VPC, …
        },
        code: code.clone(),
        published: true,
        settled: true,
        alias: Some(ALIAS.to_owned()),
        reserved_concurrency: endpoint.reserved.map(i32::from), // none, unless ENDPOINTS says so
        foreign: ForeignAccess::default(),
        bucket: link.to(&bucket),
        artifact: link.to(&artifact),
        stand_in: stand_in.clone(),
    });
    for alarm in alarms::of_function(env, short, app.alarm_topic) {
        graph.add(move |_| alarm.clone());
    }
    function
}

fn route(env: &Env, endpoint: &Endpoint) -> (String, Route) {
    let alias = AliasArn(env.alias_arn(endpoint.function));
    (endpoint.route(), Route::to_function(alias.into()))
}

/// What one key may call of it, if that is less than of all together.
fn limit(endpoint: &Endpoint) -> Option<(String, Throttle)> {
    let (rate, burst) = endpoint.limit?;
    Some((endpoint.route(), Throttle::of(rate, burst)))
}

/// Finds what AWS would refuse of a table of endpoints only after it has made half of the stack.
///
/// # Errors
/// More routes have a limit of their own than API Gateway takes.
pub fn check_limits(endpoints: &[Endpoint]) -> Result<()> {
    let limited: Vec<String> = endpoints.iter().filter_map(limit).map(|(route, _)| route).collect();
    let excess = limited.len().saturating_sub(MOST_LIMITED_ROUTES);
    if excess == 0 {
        return Ok(());
    }
    bail!(
        "{} routes in ENDPOINTS have a limit of their own, and API Gateway allows {MOST_LIMITED_ROUTES} in a stage \
         (quota \"Method-level throttling settings for a stage in a usage plan\"); in deployer/src/stack.rs, remove \
         .limited(…) from at least {excess} of these, to which key_limit and stage_limit then apply: {}; or have AWS \
         Support raise the quota, and change MOST_LIMITED_ROUTES",
        limited.len(),
        limited.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kind_uses;

    #[test]
    fn the_table_of_kinds_knows_every_edge_of_the_stack() {
        let app = crate::fixture::APP;
        let (name, stage, region) = (app.name.into(), "dev".into(), "r".into());
        let env = Env { app: name, stage, region, account: "1".into(), partition: "aws".into() };
        let graph = stack(&env, &Release::stated("1", "abc"), &app).graph;
        let uses = kind_uses(&kinds());
        let nodes: Vec<_> = graph.nodes().collect();
        for node in &nodes {
            for used in node.uses.iter().map(|&used| nodes[used].kind) {
                // Reading a parameter needs no output of another resource.
                let free = ["parameter"].contains(&used) || node.kind == "parameter";
                assert!(free || uses[node.kind].contains(used), "{} uses {used}", node.kind);
            }
        }
    }
}
