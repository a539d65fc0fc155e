//! A CloudWatch dashboard: what is to be seen of a stage, on one page of the console.

use super::ownership::{adopt, is_ours, owner};
use crate::aws::Missing;
use crate::engine::{Live, Owned, Resource};
use crate::env::Tags;
use crate::run::Run;
use anyhow::Result;
use aws_sdk_cloudwatch::types::Tag;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Dashboards are the account's and not a region's (CloudWatch, PutDashboard): the name has the region.
#[derive(Clone, Debug, Serialize)]
pub struct Dashboard {
    #[serde(skip)]
    pub name: String,
    /// As CloudWatch's "Dashboard body structure and syntax" has it. Compared as JSON, and shown as how
    /// much it is and its hash: nobody reads coordinates of widgets.
    #[serde(serialize_with = "in_short")]
    pub body: Value,
}

/// `8 widgets (5f1c2d3e)`. CloudWatch promises the value of a body and not its text.
fn in_short<S: Serializer>(body: &Value, to: S) -> Result<S::Ok, S::Error> {
    let hash = Sha256::digest(canonical(body).to_string().as_bytes());
    let hash: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let widgets = body["widgets"].as_array().map_or(0, Vec::len);
    to.collect_str(&format_args!("{widgets} widgets ({hash})"))
}

/// One text for one value: fields are in order already, and a whole number is written without a fraction.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), canonical(value))).collect()
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Number(number) => match number.as_f64() {
            // Up to here a double holds every whole number.
            Some(double) if double.fract() == 0.0 && double.abs() < 9e15 => {
                #[allow(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
                let whole = double as i64;
                whole.into()
            }
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

impl Dashboard {
    /// Makes it, or replaces all of it. May be repeated.
    async fn put(&self, cx: &Run) -> Result<()> {
        let tag = |(key, value)| Tag::builder().key(key).value(value).build();
        let tags: Vec<Tag> = cx.env.tags().into_iter().map(tag).collect();
        let request = || {
            let request = cx.cloudwatch.put_dashboard().dashboard_name(&self.name);
            let request = request.dashboard_body(self.body.to_string());
            request.set_tags(Some(tags.clone())).send() // heeded only when it is new
        };
        cx.call("cloudwatch:PutDashboard", request).await?;
        Ok(())
    }
}

async fn body(cx: &Run, name: &str) -> Result<Option<Value>> {
    let get = || cx.cloudwatch.get_dashboard().dashboard_name(name).send();
    let answer = cx.call("cloudwatch:GetDashboard", get).await.or_missing()?;
    let text = answer.map(|answer| answer.dashboard_body.unwrap_or_default());
    // What isn't JSON can't be ours, and will be replaced.
    Ok(text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// Body and tags of a dashboard that is there. What CloudWatch says of the tags of one that isn't is documented nowhere,
/// so they are asked for afterwards.
async fn find(cx: &Run, name: &str) -> Result<Option<(Value, Tags)>> {
    let Some(body) = body(cx, name).await? else { return Ok(None) };
    let tags = super::alarm::tags_of(cx, &cx.env.dashboard_arn(name)).await?;
    Ok(Some((body, tags)))
}

impl Resource<Run> for Dashboard {
    const KIND: &'static str = "dashboard";
    type Output = ();

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Run) -> Option<()> {
        Some(())
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ()>>> {
        let Some((is, tags)) = find(cx, &self.name).await? else { return Ok(None) };
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: (),
            id: self.name.clone(),
            props: Self { name: self.name.clone(), body: is },
        }))
    }

    /// What is there is replaced without a word, so it is looked at first.
    async fn create(&self, cx: &Run) -> Result<()> {
        match adopt(self, cx).await? {
            Some(()) => Ok(()),
            None => self.put(cx).await,
        }
    }

    async fn update(&self, cx: &Run, _: &Live<Self, ()>) -> Result<()> {
        self.put(cx).await
    }

    async fn delete(cx: &Run, id: &str) -> Result<()> {
        let request = || cx.cloudwatch.delete_dashboards().dashboard_names(id).send();
        super::ownership::gone(cx.call("cloudwatch:DeleteDashboards", request).await)
    }

    /// A stage has one, whose name follows; the list of all would tell no tags.
    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let name = cx.env.dashboard();
        let ours = find(cx, &name).await?.is_some_and(|(_, tags)| is_ours(&cx.env, &tags));
        Ok(ours.then(|| Owned { id: name.clone(), name }).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> String {
        let body = serde_json::from_str(body).unwrap();
        serde_json::to_string(&Dashboard { name: String::new(), body }).unwrap()
    }

    #[test]
    fn dashboard_bodies_are_compared_as_json_values() {
        let ours = shown(r#"{"widgets":[{"type":"text","width":24,"y":0.5}]}"#);
        assert_eq!(shown(r#"{ "widgets": [{"y": 5e-1, "width": 24.0, "type": "text"}] }"#), ours);
        assert_ne!(shown(r#"{"widgets":[{"type":"text","width":23,"y":0.5}]}"#), ours);
        assert_ne!(shown(r#"{"widgets":[{"type":"text","width":"24","y":0.5}]}"#), ours);
    }
}
