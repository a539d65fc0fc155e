//! Lambda's grant on its key, by which a function's role decrypts the environment variables.
//!
//! With the default key, Lambda creates a KMS grant when a function is created and when its role changes. The
//! grantee is the role's unique id: a role that is deleted and created again under the same name doesn't have the
//! grant, and each invocation fails with `KMSAccessDeniedException`. AWS's remedy is to set another role and then
//! the right one (AWS re:Post, "How do I resolve "KMS Exception" permissions errors from my Lambda function?";
//! hashicorp/terraform-provider-aws#6352). Whether a published version gets the new grant is documented nowhere,
//! so it counts as not having it.
//!
//! No operation of Lambda returns whose grant a version has. So the description of a function with environment
//! variables ends with the id of the role that has it. The description is set by the same request as the role, and
//! being configuration, makes Lambda publish a new version, which it doesn't while code and configuration equal
//! the last version's (PublishVersion).

use crate::engine::Step;
use crate::ids::RoleArn;
use aws_sdk_lambda::types::FunctionConfiguration;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Behind the ARN of a live function's role that doesn't exist.
const DELETED: &str = " (deleted)";
/// Behind the ARN of a live function's role that exists, and isn't the one that has the grant.
const RECREATED: &str = " (created again)";

const MARK: &str = " (role id ";

/// A role, as IAM returns it: created again under its name, it is another.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) id: String,
    pub(super) created: DateTime,
}

/// A description that says which role has the grant.
pub(super) fn marked(description: &str, role_id: &str) -> String {
    format!("{description}{MARK}{role_id})")
}

/// A description without that, and the id of the role.
pub(super) fn unmarked(description: &str) -> (&str, Option<&str>) {
    let marked = description.strip_suffix(')').and_then(|text| text.rsplit_once(MARK));
    marked.map_or((description, None), |(text, id)| (text, Some(id)))
}

/// Whether a version, or `$LATEST`, can't be started because the grant isn't this role's. Without an id in its
/// description it was published by an earlier release of this program: then it must be younger than the role.
pub(super) fn is_void(config: &FunctionConfiguration, role: Option<&Identity>) -> bool {
    let variables = config.environment().and_then(|environment| environment.variables());
    if variables.is_none_or(|variables| variables.is_empty()) {
        return false;
    }
    let Some(role) = role else { return true };
    match unmarked(config.description().unwrap_or_default()) {
        (_, Some(id)) => id != role.id,
        (_, None) => modified(config).is_some_and(|modified| modified < role.created),
    }
}

/// The ARN of a live function's role that doesn't have the grant, as a plan shows it.
pub(super) fn noted(role: &RoleArn, exists: bool) -> RoleArn {
    let note = if exists { RECREATED } else { DELETED };
    RoleArn::new(role.as_str().to_owned() + note)
}

pub(super) fn is_noted(role: &RoleArn) -> bool {
    [DELETED, RECREATED].iter().any(|note| role.as_str().ends_with(note))
}

/// `2026-01-31T12:00:00.000+0000`, as Lambda writes it.
fn modified(config: &FunctionConfiguration) -> Option<DateTime> {
    let time = config.last_modified()?.replace("+0000", "Z");
    DateTime::from_str(&time, Format::DateTimeWithOffset).ok()
}

/// Of a step that publishes a function anew because its role was deleted: what is done, in words.
pub fn renewal(step: &Step) -> Option<String> {
    let change = step.changes.iter().find(|change| change.path == "role")?;
    let was = change.from.as_ref()?.as_str()?;
    let (arn, what) = match (was.strip_suffix(DELETED), was.strip_suffix(RECREATED)) {
        (Some(arn), _) => (arn, "was deleted: it is created again"),
        (_, Some(arn)) => (arn, "was deleted and created again"),
        _ => return None,
    };
    let role = arn.rsplit('/').next().unwrap_or_default();
    Some(format!("role {role} {what}, and {} is published anew", step.title()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_lambda::types::EnvironmentResponse;

    fn function(description: &str, variables: usize, modified: &str) -> FunctionConfiguration {
        let mut environment = EnvironmentResponse::builder();
        for number in 0..variables {
            environment = environment.variables(format!("NAME_{number}"), "value");
        }
        let function = FunctionConfiguration::builder().description(description);
        function.environment(environment.build()).last_modified(modified).build()
    }

    fn role(id: &str, created: i64) -> Identity {
        Identity { id: id.to_owned(), created: DateTime::from_secs(created) }
    }

    #[test]
    fn description_names_the_role_that_has_the_grant() {
        let description = marked("GET /(health)", "AROANEW");
        assert_eq!(unmarked(&description), ("GET /(health)", Some("AROANEW")));
        assert_eq!(unmarked("GET /(health)"), ("GET /(health)", None));
    }

    #[test]
    fn grant_is_void_for_another_role_of_the_same_name() {
        let (noon, before, after) = (1_767_268_800, "2026-01-01T11:59:59.999+0000", 1);
        let marked = function("GET / (role id AROAOLD)", 1, before);
        assert!(!is_void(&marked, Some(&role("AROAOLD", noon))));
        assert!(is_void(&marked, Some(&role("AROANEW", noon - 3600))));
        assert!(is_void(&marked, None));
        // Published before descriptions said so.
        let old = function("GET /", 1, before);
        assert!(is_void(&old, Some(&role("AROANEW", noon))));
        assert!(!is_void(&old, Some(&role("AROAOLD", noon - after))));
        assert!(!is_void(&function("GET /", 1, "?"), Some(&role("AROAOLD", noon))));
        // There is nothing to decrypt.
        assert!(!is_void(&function("GET /", 0, before), Some(&role("AROANEW", noon))));
        assert!(!is_void(&function("GET /", 0, before), None));
    }
}
