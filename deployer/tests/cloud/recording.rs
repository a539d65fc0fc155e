//! `--record`: what is in the file, what isn't, and that it can be replayed.

use crate::account::Account;
use crate::faults::report::block_on;
use crate::replay;
use crate::world::fault::{Fault, Verdict};
use crate::world::{Request, Response, World};
use aws_sdk_lambda::types::Environment;
use base64::{Engine, engine::general_purpose::STANDARD};
use infra::cli::{Said, overheard};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const MAIL: &str = "jane.doe@example.com";
const TOKEN: &str = "a-token-that-was-set-by-hand";
const TABLE: &str = "orders-of-customers";
const ADDRESS: &str = "203.0.113.77";

/// Users are often named by their e-mail address; STS tells it.
struct NamedByMail;

impl Fault for NamedByMail {
    fn after(&mut self, request: &Request, answer: &mut Response, _: Duration) -> Verdict {
        if request.name == "sts:GetCallerIdentity" {
            let text = String::from_utf8(answer.body.clone()).unwrap();
            assert!(text.contains(":root</Arn>"), "{text}");
            let text = text.replace(":root</Arn>", &format!(":user/{MAIL}</Arn>"));
            answer.body = text.into_bytes();
        }
        answer.headers.insert("x-forwarded-for".to_owned(), ADDRESS.to_owned());
        Verdict::Pass
    }
}

async fn plant(account: &Account) {
    let aws = account.aws().await;
    let function = aws.env.function("root");
    let get = aws.lambda.get_function_configuration().function_name(&function).send().await;
    let mut all = get.unwrap().environment.and_then(|e| e.variables).unwrap_or_default();
    all.insert("TOKEN".to_owned(), TOKEN.to_owned());
    all.insert("TABLE".to_owned(), TABLE.to_owned());
    let update = aws.lambda.update_function_configuration().function_name(&function);
    let environment = Environment::builder().set_variables(Some(all)).build();
    let arn = update.environment(environment).send().await.unwrap().function_arn.unwrap();
    aws.lambda.tag_resource().resource(arn).tags("called-from", ADDRESS).send().await.unwrap();
}

#[test]
fn recording_has_no_secrets_and_replays_the_plan() {
    let account = Account::new();
    let world = World::of(&account).with(NamedByMail);
    world.run(&account, "deploy --yes --record deploy.json").ends(0).says("are recorded in");
    let key = world.run(&account, "key show").ends(0).out.trim().to_owned();
    assert_eq!(key.len(), 40);
    block_on(plant(&account));
    let plan = world.run(&account, "plan --json --detailed-exitcode --record plan.json").ends(2);
    world.run(&account, "logs --since 1h --record logs.json").ends(0);
    world.run(&account, "deploy --yes --record again.json").ends(0);
    world.run(&account, "smoke-test --record smoke.json").ends(0);
    world.run(&account, "destroy --yes --record destroy.json").ends(0);

    let read = |name: &str| fs::read_to_string(account.packages.path().join(name)).unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let holder = format!("{MAIL} on {}", host.trim());
    let secrets = [&*key, MAIL, "jane.doe", TOKEN, TABLE, ADDRESS, &account.id, &holder];
    for name in ["deploy", "plan", "logs", "again", "smoke", "destroy"].map(|n| format!("{n}.json"))
    {
        let text = read(&name);
        assert!(text.lines().count() > 5, "{name}: {text}");
        for secret in secrets {
            let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            for way in [secret.to_owned(), encoded, STANDARD.encode(secret)] {
                let line = text.lines().find(|line| line.contains(&way));
                assert!(line.is_none(), "{name}: {way} is in {}", line.unwrap());
            }
        }
        let mode = fs::metadata(account.packages.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(read("deploy.json").contains(r#""path":"/2015-03-31/functions""#));

    let again = replayed(&account, &read("plan.json"), "plan --json --detailed-exitcode");
    let known = plan.out.replace(&account.id, "111111111111");
    assert_eq!(comparable(&again), comparable(&known));
}

/// Values that the plan only tells by their hash were replaced, so their hashes differ.
fn comparable(plan: &str) -> Value {
    let mut parts = plan.split("(secret ");
    let first = parts.next().unwrap().to_owned();
    let rest = parts.map(|part| part.split_once(')').unwrap().1);
    serde_json::from_str(&rest.fold(first, |text, part| text + "(secret)" + part)).unwrap()
}

fn replayed(account: &Account, recording: &str, line: &str) -> String {
    let (ear, packages) = (Said::default(), account.packages.path().to_str().unwrap().to_owned());
    let words = ["deployer"].into_iter().chain(line.split_whitespace());
    let args = words.chain(["--packages", &packages]).map(Into::into).collect::<Vec<_>>();
    let run = infra::cli::main(args, replay::access(recording), &deployer::APP);
    let exit = block_on(overheard(ear.clone(), run));
    let (out, err) = ear.so_far();
    assert_eq!(exit as i32, 2, "{out}\n{err}");
    out
}
