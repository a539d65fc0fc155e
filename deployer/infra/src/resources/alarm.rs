//! A CloudWatch alarm: what is measured, from when on it is too much, and who is told.

use super::metrics::measure;
use super::ownership::{adopt, is_ours, owner};
use crate::aws::Missing;
use crate::engine::{Live, Owned, Resource};
use crate::env::Tags;
use crate::run::Run;
use anyhow::Result;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Metric, MetricAlarm, MetricDataQuery, MetricStat, Tag,
};
use futures_util::future::try_join_all;
use serde::Serialize;
use std::collections::BTreeMap;

/// It goes off when the measure is above the threshold for so many periods in a row.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    #[serde(skip)]
    pub name: String,
    /// What it means, and where to read on.
    pub description: String,
    /// By id, in words; see [`Measure::words`].
    pub metrics: BTreeMap<String, String>,
    #[serde(skip)]
    measures: Vec<MetricDataQuery>,
    pub comparison: String,
    pub threshold: f64,
    pub periods: i32,
    /// What silence means. Not the default, `missing`, by which an alarm without traffic never ends.
    pub missing_data: String,
    /// Topics that are told when it goes off and when it ends.
    pub topics: Vec<String>,
    pub enabled: bool,
}

/// A metric, or an expression of others. The last of an alarm is what is compared.
pub struct Measure(MetricDataQuery);

/// So many alarms may be deleted with one request (CloudWatch API reference, DeleteAlarms); three requests a second.
const AT_ONCE: usize = 100;

/// CloudWatch counts by the minute; five of them are one measure.
const PERIOD: i32 = 300;

impl Measure {
    /// Of a service's metric, with just these dimensions: another set is another metric, and an alarm
    /// on one that nobody writes is silent for ever.
    pub fn of(id: &str, stat: &str, (service, metric): (&str, &str), by: &[(&str, &str)]) -> Self {
        Self(measure(id, stat, (&format!("AWS/{service}"), metric), by, PERIOD))
    }

    pub fn expression(id: &str, expression: &str) -> Self {
        Self(MetricDataQuery::builder().id(id).expression(expression).build())
    }
}

/// `Sum of AWS/Lambda Errors, FunctionName=…, a period of 300 s`.
fn words(measure: &MetricDataQuery) -> String {
    let Some(stat) = measure.metric_stat() else {
        return measure.expression().unwrap_or_default().to_owned();
    };
    let metric = stat.metric();
    let part = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut by: Vec<_> = (metric.map(Metric::dimensions).unwrap_or_default().iter())
        .map(|d| format!("{}={}", part(d.name()), part(d.value())))
        .collect();
    by.sort();
    format!(
        "{} of {} {}, {}, every {} s",
        part(stat.stat()),
        part(metric.and_then(Metric::namespace)),
        part(metric.and_then(Metric::metric_name)),
        by.join(", "),
        stat.period().unwrap_or_default()
    )
}

fn by_id(measures: &[MetricDataQuery]) -> BTreeMap<String, String> {
    let one = |m: &MetricDataQuery| (m.id().unwrap_or_default().to_owned(), words(m));
    measures.iter().map(one).collect()
}

impl Alarm {
    /// Goes off once the last of the measures is above `threshold`, `periods` times in a row.
    pub fn above(
        name: String,
        (threshold, periods): (f64, i32),
        measures: impl IntoIterator<Item = Measure>,
        description: String,
        topics: Vec<String>,
    ) -> Self {
        let mut measures: Vec<_> = measures.into_iter().map(|Measure(query)| query).collect();
        let last = measures.len().saturating_sub(1);
        for (at, measure) in measures.iter_mut().enumerate() {
            measure.return_data = Some(at == last);
        }
        Self {
            name,
            description,
            metrics: by_id(&measures),
            measures,
            comparison: ComparisonOperator::GreaterThanThreshold.as_str().to_owned(),
            threshold,
            periods,
            missing_data: "notBreaching".to_owned(),
            topics,
            enabled: true,
        }
    }

    fn of(live: MetricAlarm) -> Self {
        let mut measures = live.metrics.unwrap_or_default();
        if measures.is_empty() {
            // Made by hand of one metric.
            let metric = Metric::builder()
                .set_namespace(live.namespace)
                .set_metric_name(live.metric_name)
                .set_dimensions(live.dimensions);
            let stat = live.statistic.map(|stat| stat.as_str().to_owned());
            let stat = MetricStat::builder()
                .metric(metric.build())
                .set_period(live.period)
                .set_stat(stat.or(live.extended_statistic));
            let query = MetricDataQuery::builder().id("metric").metric_stat(stat.build());
            measures.push(query.build());
        }
        let (mut topics, ok) =
            (live.alarm_actions.unwrap_or_default(), live.ok_actions.unwrap_or_default());
        if topics != ok {
            topics.extend(ok.iter().map(|topic| format!("{topic} when it ends")));
        }
        Self {
            name: live.alarm_name.unwrap_or_default(),
            description: live.alarm_description.unwrap_or_default(),
            metrics: by_id(&measures),
            measures,
            comparison: live
                .comparison_operator
                .map_or_else(String::new, |c| c.as_str().to_owned()),
            threshold: live.threshold.unwrap_or_default(),
            periods: live.evaluation_periods.unwrap_or_default(),
            missing_data: live.treat_missing_data.unwrap_or_else(|| "missing".to_owned()),
            topics,
            enabled: live.actions_enabled.unwrap_or(true),
        }
    }

    /// Makes it, or replaces all of it. May be repeated.
    async fn put(&self, cx: &Run) -> Result<()> {
        let tag = |(key, value)| Tag::builder().key(key).value(value).build();
        let tags: Vec<Tag> = cx.env.tags().into_iter().map(tag).collect();
        let request = || {
            cx.cloudwatch
                .put_metric_alarm()
                .alarm_name(&self.name)
                .alarm_description(&self.description)
                .set_metrics(Some(self.measures.clone()))
                .comparison_operator(ComparisonOperator::from(self.comparison.as_str()))
                .threshold(self.threshold)
                .evaluation_periods(self.periods)
                .treat_missing_data(&self.missing_data)
                .set_alarm_actions(Some(self.topics.clone()))
                .set_ok_actions(Some(self.topics.clone()))
                .actions_enabled(self.enabled)
                .set_tags(Some(tags.clone())) // heeded only when it is new
                .send()
        };
        cx.call("cloudwatch:PutMetricAlarm", request).await?;
        Ok(())
    }
}

/// An alarm that is there, by its name or the beginning of it, and its ARN.
async fn alarms(cx: &Run, name: Option<&str>, prefix: Option<&str>) -> Result<Vec<MetricAlarm>> {
    let (mut found, mut token) = (vec![], None);
    loop {
        let request = || {
            let request = cx.cloudwatch.describe_alarms().max_records(100);
            let request = request.set_alarm_names(name.map(|name| vec![name.to_owned()]));
            let request = request.set_alarm_name_prefix(prefix.map(ToOwned::to_owned));
            request.set_next_token(token.clone()).send()
        };
        let page = cx.call("cloudwatch:DescribeAlarms", request).await?;
        found.extend(page.metric_alarms.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// Of an alarm that is gone, CloudWatch says that it has none.
pub(super) async fn tags_of(cx: &Run, arn: &str) -> Result<Tags> {
    let request = || cx.cloudwatch.list_tags_for_resource().resource_arn(arn).send();
    let answer = cx.call("cloudwatch:ListTagsForResource", request).await.or_missing()?;
    let tags = answer.and_then(|answer| answer.tags).unwrap_or_default().into_iter();
    Ok(tags.filter_map(|tag| Some((tag.key?, tag.value?))).collect())
}

/// The alarms of this stage that have gone off: name and reason.
///
/// # Errors
/// When CloudWatch can't be asked.
pub async fn ringing(cx: &Run) -> Result<Vec<(String, String)>> {
    let off =
        |alarm: &MetricAlarm| alarm.state_value().is_some_and(|state| state.as_str() == "ALARM");
    let ringing = ours(cx, off).await?.into_iter();
    Ok(ringing.map(|(name, alarm)| (name, alarm.state_reason.unwrap_or_default())).collect())
}

/// Those of the stage's alarms that are asked for, with their names: only these are asked for tags.
async fn ours(
    cx: &Run,
    asked_for: impl Fn(&MetricAlarm) -> bool,
) -> Result<Vec<(String, MetricAlarm)>> {
    let ours = list(cx, asked_for).await?.into_iter();
    let ours = ours.filter(|(_, tags)| is_ours(&cx.env, tags));
    Ok(ours.filter_map(|(alarm, _)| Some((alarm.alarm_name.clone()?, alarm))).collect())
}

/// The alarms that bear a name of this stage, whosever they are, with their tags.
async fn list(
    cx: &Run,
    asked_for: impl Fn(&MetricAlarm) -> bool,
) -> Result<Vec<(MetricAlarm, Tags)>> {
    let named = alarms(cx, None, Some(&format!("{}-", cx.env.name()))).await?.into_iter();
    let tagged = named.filter(|alarm| asked_for(alarm)).map(|alarm| with_tags(cx, alarm));
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}

/// All of them; once in a survey.
async fn listed(cx: &Run) -> Result<Vec<(MetricAlarm, Tags)>> {
    cx.lists.get(&cx.lists.alarms, list(cx, |_| true)).await
}

/// None when it was deleted meanwhile.
async fn with_tags(cx: &Run, alarm: MetricAlarm) -> Result<Option<(MetricAlarm, Tags)>> {
    let tags = tags_of(cx, alarm.alarm_arn().unwrap_or_default()).await?;
    let is_there =
        !tags.is_empty() || find(cx, alarm.alarm_name().unwrap_or_default()).await?.is_some();
    Ok(is_there.then_some((alarm, tags)))
}

async fn find(cx: &Run, name: &str) -> Result<Option<MetricAlarm>> {
    let mut found = alarms(cx, Some(name), None).await?.into_iter();
    Ok(found.find(|alarm| alarm.alarm_name() == Some(name)))
}

impl Resource<Run> for Alarm {
    const KIND: &'static str = "alarm";
    type Output = ();

    fn name(&self) -> String {
        self.name.clone()
    }

    fn foretell(&self, _: &Run) -> Option<()> {
        Some(())
    }

    async fn read(&self, cx: &Run) -> Result<Option<Live<Self, ()>>> {
        let is = |(alarm, _): &(MetricAlarm, Tags)| alarm.alarm_name() == Some(&self.name);
        // DescribeAlarms is allowed nine times a second, so a survey asks for all at once.
        let found = match cx.lists.are_kept() {
            true => listed(cx).await?.into_iter().find(is),
            false => match find(cx, &self.name).await? {
                Some(alarm) => with_tags(cx, alarm).await?,
                None => None,
            },
        };
        let Some((live, tags)) = found else { return Ok(None) };
        Ok(Some(Live {
            owner: owner(&cx.env, &tags),
            output: (),
            id: self.name.clone(),
            props: Self::of(live),
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
        let delete = |names: Vec<String>| async move {
            let request =
                || cx.cloudwatch.delete_alarms().set_alarm_names(Some(names.clone())).send();
            cx.call("cloudwatch:DeleteAlarms", request).await.map(drop)
        };
        super::ownership::gone(cx.leaving_alarms.delete(id, AT_ONCE, delete).await)
    }

    async fn owned(cx: &Run) -> Result<Vec<Owned>> {
        let ours = listed(cx).await?.into_iter().filter(|(_, tags)| is_ours(&cx.env, tags));
        let names = ours.filter_map(|(alarm, _)| alarm.alarm_name);
        Ok(names.map(|name| Owned { id: name.clone(), name }).collect())
    }
}
