//! What a function's configuration may hold that the stack never declares: layers, a VPC, file systems and the like.
//! A published version keeps it, so anything that isn't Lambda's default is a difference, and a deploy resets it.

use crate::rebuild::CannotTell;
use aws_sdk_lambda::operation::update_function_configuration::builders::UpdateFunctionConfigurationFluentBuilder as Update;
use aws_sdk_lambda::types::{
    DeadLetterConfig, EphemeralStorage, FunctionConfiguration, LogFormat, SnapStart,
    SnapStartApplyOn, VpcConfig,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// By property, as a plan names it; without those that have Lambda's default.
pub type Attached = BTreeMap<&'static str, Value>;

/// MB of `/tmp`, by default (EphemeralStorage).
const STORAGE: i32 = 512;

/// Those that are set when a function is created, and by no request later.
const FIXED: [&str; 4] = ["capacity_provider", "durable", "image", "tenancy"];

pub(super) fn attached(live: &FunctionConfiguration) -> Attached {
    let logging = live.logging_config();
    let text = |text: Option<&str>| Value::from(text.filter(|text| !text.is_empty()));
    let layers: Vec<_> = live.layers().iter().filter_map(|layer| layer.arn()).collect();
    // After it was detached, the lists are there and empty.
    let vpc = live.vpc_config().filter(|vpc| !vpc.subnet_ids().is_empty());
    let vpc = vpc.map(
        |vpc| json!({ "subnets": vpc.subnet_ids(), "security_groups": vpc.security_group_ids() }),
    );
    let file_systems = live.file_system_configs().iter();
    let file_systems: Vec<_> = file_systems
        .map(|system| format!("{} at {}", system.arn, system.local_mount_path))
        .collect();
    let storage = live.ephemeral_storage().map(|storage| storage.size);
    let snap_start = live.snap_start().and_then(|snap_start| snap_start.apply_on());
    let image = live.image_config_response().and_then(|response| response.image_config());
    let image = image.map(|image| {
        json!({ "entry_point": image.entry_point(), "command": image.command(),
                "working_directory": image.working_directory() })
    });
    let durable = live.durable_config().map(|durable| {
        json!({ "retention_days": durable.retention_period_in_days(),
                "execution_timeout_seconds": durable.execution_timeout() })
    });
    let provider = live
        .capacity_provider_config()
        .and_then(|provider| provider.lambda_managed_instances_capacity_provider_config())
        .map(|provider| provider.capacity_provider_arn());
    let tenancy = live.tenancy_config().map(|tenancy| tenancy.tenant_isolation_mode().as_str());
    let dead_letters = live.dead_letter_config().and_then(|config| config.target_arn());
    let format = logging.and_then(|logging| logging.log_format());
    let format = format.filter(|format| **format != LogFormat::Text).map(LogFormat::as_str);
    // Text has no levels.
    let levels = logging.filter(|_| format.is_some()).map(|logging| {
        json!({ "application": logging.application_log_level().map(|level| level.as_str()),
                "system": logging.system_log_level().map(|level| level.as_str()) })
    });
    let all: [(&str, Value); 13] = [
        ("capacity_provider", text(provider)),
        ("dead_letter_queue", text(dead_letters)),
        ("durable", json!(durable)),
        ("ephemeral_storage_mb", json!(storage.filter(|size| *size != STORAGE))),
        ("file_systems", json!(file_systems)),
        ("image", json!(image)),
        ("kms_key", text(live.kms_key_arn())),
        ("layers", json!(layers)),
        ("log_format", text(format)),
        ("log_levels", json!(levels)),
        (
            "snap_start",
            text(snap_start.filter(|on| **on != SnapStartApplyOn::None).map(|on| on.as_str())),
        ),
        ("tenancy", text(tenancy)),
        ("vpc", json!(vpc)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_null() && *value != json!([])).collect()
}

/// Adds what resets these to Lambda's defaults. Only these: Lambda doesn't take each for each function.
/// The logging configuration is part of every update.
pub(super) fn reset(update: Update, attached: &Attached) -> Update {
    attached.keys().fold(update, |update, name| match *name {
        "dead_letter_queue" => {
            update.dead_letter_config(DeadLetterConfig::builder().target_arn("").build())
        }
        "ephemeral_storage_mb" => {
            update.set_ephemeral_storage(EphemeralStorage::builder().size(STORAGE).build().ok())
        }
        "file_systems" => update.set_file_system_configs(Some(vec![])),
        "kms_key" => update.kms_key_arn(""),
        "layers" => update.set_layers(Some(vec![])),
        "snap_start" => {
            update.snap_start(SnapStart::builder().apply_on(SnapStartApplyOn::None).build())
        }
        "vpc" => {
            let none = VpcConfig::builder().set_subnet_ids(Some(vec![]));
            update.vpc_config(none.set_security_group_ids(Some(vec![])).build())
        }
        _ => update,
    })
}

/// Refuses to change a function that has something which no update resets.
///
/// # Errors
/// [`CannotTell`].
pub(super) fn check_resettable(function: &str, attached: &Attached) -> Result<(), CannotTell> {
    let Some(fixed) = attached.keys().find(|name| FIXED.contains(*name)) else { return Ok(()) };
    Err(CannotTell {
        why: format!(
            "{function} has a setting ({fixed}) that the stack doesn't declare, and Lambda changes it only by \
             creating the function anew"
        ),
        next: format!(
            "aws lambda delete-function --function-name {function} deletes it with all its versions, so callers \
             get errors until the next deploy has created it; then run it again"
        ),
    })
}
