//! What IAM is asked about somebody's rights before the first write, and what its answers mean.
//!
//! IAM judges examples: an action on a resource under conditions. So each right of the policy becomes some
//! examples, of the kind that a run is about to send. What IAM can't judge counts as there: a run that is
//! refused for a right that it has would be worse than one that finds out on its way.

use super::{GATEWAY_SERVICE, Mode, Needs, On, needed, service};
use crate::env::Env;
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
    /// A policy of the organisation doesn't allow it, by what IAM knows of the request.
    Forbidden,
    /// A policy asks for a condition of which IAM was told nothing.
    Unclear,
}

/// Why a request would be refused, from the most certain reason to the most doubtful. If the ARNs of a thing differ, the
/// greatest counts, because it isn't known for which of them AWS checks the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// No policy allows it.
    Unallowed,
    /// A policy denies it.
    Denied,
    /// The permissions boundary doesn't allow it.
    Bounded,
    /// A policy of the organisation doesn't allow it, as far as IAM can judge the policy's conditions.
    Forbidden,
}

impl Denial {
    fn from_answer(answer: Answer) -> Option<Self> {
        match answer {
            Answer::Allowed | Answer::Unclear => None,
            Answer::Lacking => Some(Self::Unallowed),
            Answer::Denied => Some(Self::Denied),
            Answer::Bounded => Some(Self::Bounded),
            Answer::Forbidden => Some(Self::Forbidden),
        }
    }

    /// What a message adds to the missing right, if anything.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Unallowed => None,
            Self::Denied => Some("a policy denies it"),
            Self::Bounded => Some("the permissions boundary doesn't allow it"),
            Self::Forbidden => Some("the organisation's policies don't seem to allow it"),
        }
    }
}

/// A right that isn't there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub action: &'static str,
    pub on: On,
    pub resources: Vec<String>,
    pub why: Denial,
}

impl Missing {
    /// Whether a run may go well all the same. IAM judges the organisation's policies with their conditions, and
    /// doesn't say which keys of these it wasn't told (SimulatePrincipalPolicy); and the service-linked role is made
    /// once for an account.
    pub fn is_doubtful(&self) -> bool {
        self.why == Denial::Forbidden || self.on == On::ServiceLinkedRole
    }

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
    boundary: Option<&str>,
) -> Vec<Question> {
    let functions: Vec<&str> = functions.into_iter().collect();
    // By service, for IAM's requests count for another region.
    let mut asked: BTreeMap<(On, &str), BTreeSet<&'static str>> = BTreeMap::new();
    for (on, actions) in needed(mode, boundary) {
        for action in actions {
            asked.entry((on, service(action))).or_default().insert(action);
        }
    }
    // Who may not ask is told so; that right needs no question.
    let asked = asked.into_iter().filter(|((on, _), _)| *on != On::OwnRights);
    asked
        .map(|((on, service), actions)| {
            let things = things(on, env, &functions);
            let resources: BTreeSet<_> = things.iter().flat_map(|thing| &thing.arns).collect();
            let resources = resources.into_iter().cloned().collect();
            Question {
                on,
                actions,
                resources,
                context: context(on, service, env, boundary),
                things,
            }
        })
        .collect()
}

impl Question {
    /// What is missing by these answers, by action and resource.
    pub fn missing(&self, answers: &BTreeMap<(String, String), Answer>) -> Vec<Missing> {
        self.actions.iter().flat_map(|action| self.missing_of(action, answers)).collect()
    }

    fn missing_of(
        &self,
        action: &'static str,
        answers: &BTreeMap<(String, String), Answer>,
    ) -> Vec<Missing> {
        let answer = |arn: &String| {
            let key = (action.to_owned(), arn.clone());
            answers.get(&key).copied().unwrap_or(Answer::Unclear)
        };
        let mut missing: BTreeMap<Denial, Vec<String>> = BTreeMap::new();
        for Thing { arns, only } in &self.things {
            let concerned = only.is_empty() || only.contains(&action);
            // One ARN without a denial is enough.
            let denials: Option<Vec<Denial>> =
                arns.iter().map(|arn| Denial::from_answer(answer(arn))).collect();
            let denial = denials.and_then(|denials| denials.into_iter().max());
            if let (Some(arn), Some(denial), true) = (arns.first(), denial, concerned) {
                missing.entry(denial).or_default().push(arn.clone());
            }
        }
        let one = |(why, resources)| Missing { action, on: self.on, resources, why };
        missing.into_iter().map(one).collect()
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
        On::Parameters | On::ParameterTags => {
            let arn = |path: &str| {
                let Env { partition, region, account, .. } = env;
                format!("arn:{partition}:ssm:{region}:{account}:parameter{path}")
            };
            let leaf = |leaf| {
                let name = env.parameter(leaf);
                let other = match on {
                    On::ParameterTags => format!("/{name}"),
                    _ => env.parameter_path(),
                };
                thing(&[arn(&name), arn(&other)])
            };
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
        On::Mappings => {
            let example = |arn: String| thing(&[arn.replace('*', "example")]);
            on.resources(env).into_iter().map(example).collect()
        }
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
        On::DomainNames => {
            ["/domainnames", "/domainnames/example000"].map(|path| gateway(path, &[])).into()
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
        | On::ServiceLinkedRole
        | On::CiRole
        | On::CiPolicies
        | On::OidcProvider
        | On::All => on.resources(env).into_iter().map(|arn| thing(&[arn])).collect(),
    }
}

/// Every condition key that our policies ask for, also where a request doesn't carry it: IAM takes an
/// answer for unclear when any is missing.
fn context(
    on: On,
    service: &str,
    env: &Env,
    boundary: Option<&str>,
) -> BTreeMap<String, Vec<String>> {
    let passed_to = if on == On::LogRolePassed { "apigateway" } else { "lambda" };
    let mut context = vec![
        ("iam:PassedToService".to_owned(), format!("{passed_to}.amazonaws.com")),
        ("iam:AWSServiceName".to_owned(), GATEWAY_SERVICE.to_owned()),
        ("aws:PrincipalAccount".to_owned(), env.account.clone()),
        ("lambda:FunctionArn".to_owned(), env.function_arn(&env.function("example"))),
        ("iam:PolicyARN".to_owned(), env.gateway_log_policy()),
        ("aws:SecureTransport".to_owned(), "true".to_owned()),
    ];
    if let Some(policy) = boundary {
        let arn = env.iam_arn(&format!("policy/{policy}"));
        context.push(("iam:PermissionsBoundary".to_owned(), arn));
    }
    let region = match service {
        "iam" => env.iam_region(),
        _ => Some(env.region.as_str()),
    };
    if let Some(region) = region {
        context.push(("aws:RequestedRegion".to_owned(), region.to_owned()));
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
    use crate::fixture::env;

    fn answered(question: &Question, answer: Answer) -> BTreeMap<(String, String), Answer> {
        let pairs = question.actions.iter().flat_map(|action| {
            question.resources.iter().map(move |arn| ((*action).to_owned(), arn.clone()))
        });
        pairs.map(|pair| (pair, answer)).collect()
    }

    fn about(on: On) -> Question {
        let all = questions(&env("dev"), ["root", "health"], Mode::Deploy, None);
        all.into_iter().find(|question| question.on == on).unwrap()
    }

    #[test]
    fn everything_is_asked_that_a_run_may_need() {
        for mode in [Mode::Deploy, Mode::Destroy] {
            let questions = questions(&env("dev"), ["root"], mode, None);
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
            (Answer::Lacking, Denial::Unallowed),
            (Answer::Denied, Denial::Denied),
            (Answer::Bounded, Denial::Bounded),
            (Answer::Forbidden, Denial::Forbidden),
        ] {
            let missing = question.missing(&answered(&question, answer));
            assert_eq!(missing.len(), question.actions.len());
            assert!(missing.iter().all(|missing| missing.why == why));
        }
    }

    #[test]
    fn most_doubtful_denial_of_the_arns_of_a_thing_counts() {
        let question = about(On::Roles);
        let mut answers = answered(&question, Answer::Forbidden);
        for ((_, arn), answer) in &mut answers {
            if arn.contains("/ops-api/dev/") {
                *answer = Answer::Bounded;
            }
        }
        let missing = question.missing(&answers);
        assert_eq!(missing.len(), question.actions.len());
        assert!(missing.iter().all(Missing::is_doubtful), "{missing:?}");
    }

    #[test]
    fn iam_is_asked_with_its_own_region() {
        for question in questions(&env("dev"), ["root"], Mode::Deploy, None) {
            let services: BTreeSet<_> = question.actions.iter().map(|a| service(a)).collect();
            assert_eq!(services.len(), 1, "{question:?}");
            let region = if services.contains("iam") { "us-east-1" } else { "ap-southeast-2" };
            assert_eq!(question.context["aws:RequestedRegion"], [region], "{question:?}");
            assert_eq!(question.context["aws:PrincipalAccount"], ["123456789012"]);
        }
    }

    #[test]
    fn certain_and_doubtful_denials_are_told_apart() {
        let question = about(On::Roles);
        let mut answers = answered(&question, Answer::Lacking);
        for ((_, arn), answer) in &mut answers {
            if arn.contains("health") {
                *answer = Answer::Forbidden;
            }
        }
        let missing = question.missing(&answers);
        let (doubtful, certain): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(Missing::is_doubtful);
        assert_eq!(doubtful.len(), question.actions.len());
        assert_eq!(certain.len(), question.actions.len());
        assert!(certain[0].resources[0].contains("root"), "{certain:?}");
        let linked = about(On::ServiceLinkedRole);
        let missing = linked.missing(&answered(&linked, Answer::Lacking));
        assert!(missing.iter().all(Missing::is_doubtful) && missing.len() == 1, "{missing:?}");
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
