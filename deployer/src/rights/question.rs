//! What IAM is asked about somebody's rights before the first write, and what its answers mean.
//!
//! IAM judges examples: an action on a resource under conditions. So each right of the policy becomes some
//! examples, of the kind that a run is about to send. What IAM can't judge counts as there: a run that is
//! refused for a right that it has would be worse than one that finds out on its way.

use super::{Mode, Needs, On, needed};
use crate::env::Env;
use crate::stack::PERMISSIONS_BOUNDARY;
use std::collections::{BTreeMap, BTreeSet};

/// One request's worth: actions that are about the same things, under the same conditions.
#[derive(Clone, Debug)]
pub struct Question {
    pub on: On,
    pub actions: BTreeSet<&'static str>,
    pub resources: Vec<String>,
    /// Condition keys and their values.
    pub context: BTreeMap<String, Vec<String>>,
    things: Vec<Thing>,
}

/// One thing, by each ARN that AWS may ask its right for: one of them is enough, for which it is depends
/// on the action, and on whether the thing is there.
#[derive(Clone, Debug)]
struct Thing {
    arns: Vec<String>,
    /// For these actions only; none: for all.
    only: &'static [&'static str],
}

/// IAM's answer for one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    /// Nothing allows it.
    Lacking,
    /// Something denies it.
    Denied,
    /// Beyond the permissions boundary, whatever is allowed.
    Bounded,
    /// The organisation forbids it.
    Forbidden,
    /// A policy asks for a condition of which IAM was told nothing.
    Unclear,
}

/// A right that isn't there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub action: &'static str,
    pub on: On,
    pub resources: Vec<String>,
    pub why: &'static str,
}

impl Missing {
    /// Whether a run that needs these needs this one.
    pub fn is_needed(&self, needs: &Needs) -> bool {
        needs.contains(&(self.action, self.on))
    }
}

/// Everything to ask before a run of this mode, whatever it will have to do.
pub fn questions<'a>(
    env: &Env,
    functions: impl IntoIterator<Item = &'a str>,
    mode: Mode,
) -> Vec<Question> {
    let functions: Vec<&str> = functions.into_iter().collect();
    // Who may not ask is told so; that right needs no question.
    let asked = needed(mode).into_iter().filter(|(on, _)| *on != On::OwnRights);
    asked
        .map(|(on, actions)| {
            let things = things(on, env, &functions);
            let resources: BTreeSet<_> = things.iter().flat_map(|thing| &thing.arns).collect();
            let resources = resources.into_iter().cloned().collect();
            Question { on, actions, resources, context: context(on, env), things }
        })
        .collect()
}

impl Question {
    /// What is missing by these answers, by action and resource.
    pub fn missing(&self, answers: &BTreeMap<(String, String), Answer>) -> Vec<Missing> {
        self.actions.iter().filter_map(|action| self.missing_of(action, answers)).collect()
    }

    fn missing_of(
        &self,
        action: &'static str,
        answers: &BTreeMap<(String, String), Answer>,
    ) -> Option<Missing> {
        let answer = |arn: &String| {
            let key = (action.to_owned(), arn.clone());
            answers.get(&key).copied().unwrap_or(Answer::Unclear)
        };
        let mut missing: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for Thing { arns, only } in &self.things {
            let whys: Option<Vec<_>> = arns.iter().map(|arn| why(answer(arn))).collect();
            let concerned = only.is_empty() || only.contains(&action);
            if let (Some(arn), Some(whys), true) = (arns.first(), whys, concerned) {
                let worst = whys.into_iter().max().unwrap_or_default();
                missing.entry(worst).or_default().push(arn.clone());
            }
        }
        let (why, resources) = missing.into_iter().next_back()?;
        Some(Missing { action, on: self.on, resources, why })
    }
}

/// Nothing where the right is there, or may be.
fn why(answer: Answer) -> Option<&'static str> {
    match answer {
        Answer::Allowed | Answer::Unclear => None,
        Answer::Lacking => Some(""),
        Answer::Denied => Some("a policy denies it"),
        Answer::Bounded => Some("the permissions boundary doesn't allow it"),
        Answer::Forbidden => Some("the organisation forbids it"),
    }
}

/// The examples.
fn things(on: On, env: &Env, functions: &[&str]) -> Vec<Thing> {
    let thing = |arns: &[String]| Thing { arns: arns.to_vec(), only: &[] };
    let each = |arns: &dyn Fn(&str) -> Vec<String>| -> Vec<Thing> {
        functions.iter().map(|function| thing(&arns(function))).collect()
    };
    let gateway = |path: &str, only| Thing { arns: vec![env.gateway_arn(path)], only };
    match on {
        On::Objects => vec![thing(&[format!("{}/object", env.bucket_arn())])],
        On::Parameters => {
            let arn = |path: &str| {
                let Env { partition, region, account, .. } = env;
                format!("arn:{partition}:ssm:{region}:{account}:parameter{path}")
            };
            let leaf = |leaf| thing(&[arn(&env.parameter(leaf)), arn(&env.parameter_path())]);
            ["api-key", "git-sha", "version"].map(leaf).into()
        }
        On::LogGroups => {
            let group = |name: &str| {
                let arn = env.log_group_arn(name);
                vec![arn.clone(), format!("{arn}:*")]
            };
            let mut groups = each(&|function| group(&env.log_group(function)));
            groups.push(thing(&group(&env.access_log_group())));
            groups
        }
        On::Roles | On::BoundedRoles => each(&|function| {
            let role = env.role(function);
            vec![env.role_arn(&role), env.iam_arn(&format!("role/{role}"))]
        }),
        On::LambdaRoles => each(&|function| vec![env.role_arn(&env.role(function))]),
        On::Functions => each(&|function| {
            let arn = env.function_arn(&env.function(function));
            vec![arn.clone(), format!("{arn}:{}", crate::env::ALIAS)]
        }),
        On::AnyApi | On::NewApi => {
            ["/apikeys", "/restapis", "/usageplans"].map(|path| gateway(path, &[])).into()
        }
        // Ids are ten letters and digits; none is this one.
        On::OurApi => {
            let made = &["apigateway:POST", "apigateway:PATCH", "apigateway:DELETE"];
            vec![
                gateway("/restapis/example000", &[]),
                gateway("/usageplans/example000", made),
                gateway("/apikeys/example000", &["apigateway:PATCH", "apigateway:DELETE"]),
            ]
        }
        On::ApiTags => vec![gateway("/tags/example000", &[])],
        On::Alarms => {
            let alarm = |arn: String| thing(&[arn.replace('*', "example")]);
            on.resources(env).into_iter().map(alarm).collect()
        }
        On::Bucket
        | On::Dashboard
        | On::ApiAccount
        | On::LogRole
        | On::LogRolePolicy
        | On::LogRolePassed
        | On::OwnRights
        | On::CiRole
        | On::OidcProvider
        | On::All => on.resources(env).into_iter().map(|arn| thing(&[arn])).collect(),
    }
}

/// Every condition key that our policies ask for, also where a request doesn't carry it: IAM takes an
/// answer for unclear when any is missing.
fn context(on: On, env: &Env) -> BTreeMap<String, Vec<String>> {
    let service = if on == On::LogRolePassed { "apigateway" } else { "lambda" };
    let mut context = vec![
        ("iam:PassedToService".to_owned(), format!("{service}.amazonaws.com")),
        ("iam:PolicyARN".to_owned(), env.gateway_log_policy()),
        ("aws:SecureTransport".to_owned(), "true".to_owned()),
    ];
    if let Some(policy) = PERMISSIONS_BOUNDARY {
        let arn = env.iam_arn(&format!("policy/{policy}"));
        context.push(("iam:PermissionsBoundary".to_owned(), arn));
    }
    // IAM's own region is another, and not everywhere the same.
    if !format!("{on:?}").contains("Role") {
        context.push(("aws:RequestedRegion".to_owned(), env.region.clone()));
    }
    for (key, value) in env.tags() {
        context.push((format!("aws:RequestTag/{key}"), value.clone()));
        context.push((format!("aws:ResourceTag/{key}"), value));
    }
    let mut context: BTreeMap<_, _> =
        context.into_iter().map(|(key, value)| (key, vec![value])).collect();
    context.insert("aws:TagKeys".to_owned(), env.tags().into_keys().collect());
    context
}

#[cfg(test)]
mod tests {
    use super::super::TABLE;
    use super::*;

    fn env() -> Env {
        Env {
            app: "ops-api".into(),
            stage: "dev".into(),
            region: "ap-southeast-2".into(),
            account: "123456789012".into(),
            partition: "aws".into(),
        }
    }

    fn answered(question: &Question, answer: Answer) -> BTreeMap<(String, String), Answer> {
        let pairs = question.actions.iter().flat_map(|action| {
            question.resources.iter().map(move |arn| ((*action).to_owned(), arn.clone()))
        });
        pairs.map(|pair| (pair, answer)).collect()
    }

    fn about(on: On) -> Question {
        let all = questions(&env(), ["root", "health"], Mode::Deploy);
        all.into_iter().find(|question| question.on == on).unwrap()
    }

    #[test]
    fn everything_is_asked_that_a_run_may_need() {
        for mode in [Mode::Deploy, Mode::Destroy] {
            let questions = questions(&env(), ["root"], mode);
            for row in TABLE.iter().filter(|row| row.modes.contains(&mode)) {
                for (action, _) in row.needs.iter().filter(|(_, on)| *on != On::OwnRights) {
                    let asked = questions.iter().any(|question| question.actions.contains(action));
                    // Which is set where stack.rs names one.
                    let bounds = action.ends_with("Boundary");
                    assert!(asked || bounds, "{action}");
                }
            }
            for question in questions {
                assert!(
                    question
                        .resources
                        .iter()
                        .all(|arn| arn == "*" || !arn.contains('*') || arn.ends_with(":*")),
                    "{question:?}"
                );
            }
        }
    }

    #[test]
    fn one_of_a_things_names_is_enough() {
        let question = about(On::Roles);
        let mut answers = answered(&question, Answer::Lacking);
        let missing = question.missing(&answers);
        assert_eq!(missing.len(), question.actions.len());
        assert_eq!(missing[0].resources.len(), 2, "both functions' roles");
        for ((_, arn), answer) in &mut answers {
            if arn.contains("/ops-api-dev-root-") && !arn.contains("/ops-api/dev/") {
                *answer = Answer::Allowed;
            }
        }
        let missing = question.missing(&answers);
        assert!(missing.iter().all(|missing| missing.resources.len() == 1), "{missing:?}");
        assert!(missing[0].resources[0].contains("health"), "{missing:?}");
    }

    #[test]
    fn what_iam_cannot_judge_counts_as_there() {
        let question = about(On::Bucket);
        assert_eq!(question.missing(&BTreeMap::new()), []);
        assert_eq!(question.missing(&answered(&question, Answer::Unclear)), []);
        assert_eq!(question.missing(&answered(&question, Answer::Allowed)), []);
        for (answer, why) in [
            (Answer::Lacking, ""),
            (Answer::Denied, "a policy denies it"),
            (Answer::Bounded, "the permissions boundary doesn't allow it"),
            (Answer::Forbidden, "the organisation forbids it"),
        ] {
            let missing = question.missing(&answered(&question, answer));
            assert_eq!(missing.len(), question.actions.len());
            assert!(missing.iter().all(|missing| missing.why == why));
        }
    }

    #[test]
    fn an_api_key_has_nothing_below_it_to_be_made() {
        let question = about(On::OurApi);
        let missing = question.missing(&answered(&question, Answer::Lacking));
        let of = |action| missing.iter().find(|missing| missing.action == action).unwrap();
        assert_eq!(of("apigateway:PUT").resources.len(), 1);
        assert_eq!(of("apigateway:POST").resources.len(), 2);
        assert_eq!(of("apigateway:PATCH").resources.len(), 3);
    }
}
