//! What the local cloud must refuse because AWS does: else a deployer that sends it passes here and fails there.

use crate::account::{Account, TRUST};
use aws_sdk_cloudwatch::types::{ComparisonOperator, Metric, MetricDataQuery, MetricStat};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

#[tokio::test]
async fn malformed_trust_policies_are_refused() {
    let account = Account::new();
    let aws = account.aws().await;
    let create = async |trust: &str| {
        let role = aws.iam.create_role().role_name("role");
        role.assume_role_policy_document(trust).send().await
    };
    let statement = |rest: &str| {
        format!(r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", {rest}}}]}}"#)
    };
    let principal = r#""Principal": {"Service": "lambda.amazonaws.com"}"#;
    let action = r#""Action": "sts:AssumeRole""#;
    for trust in [
        "{".to_owned(),
        "{}".to_owned(),
        r#"{"Version": "2012-10-17", "Statement": []}"#.to_owned(),
        TRUST.replace("2012-10-17", "2026-01-01"),
        TRUST.replace("Allow", "Let"),
        statement(principal),
        statement(action),
        statement(&format!(r#"{principal}, {action}, "Resource": "*""#)),
        statement(&format!(r#"{principal}, "Action": "lambda:InvokeFunction""#)),
        statement(&format!(r#""Principal": {{"Lambda": "yes"}}, {action}"#)),
    ] {
        let refused = create(&trust).await.expect_err(&trust);
        assert_eq!(refused.code(), Some("MalformedPolicyDocument"), "{trust}");
    }
    create(TRUST).await.unwrap();
    let update = aws.iam.update_assume_role_policy().role_name("role").policy_document("{}");
    assert_eq!(update.send().await.unwrap_err().code(), Some("MalformedPolicyDocument"));
    aws.iam.delete_role().role_name("role").send().await.unwrap();
}

#[tokio::test]
async fn policies_beyond_iams_quotas_are_refused() {
    let account = Account::new();
    let aws = account.aws().await;
    let document = |length: usize| {
        let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:X","Resource":"*"}]}"#;
        text.replace("s3:X", &format!("s3:{}", "X".repeat(length - text.len() + 1)))
    };
    let create = async |name: &str, length: usize| {
        let policy = aws.iam.create_policy().policy_name(name);
        policy.policy_document(document(length)).send().await
    };
    let refused = create("too-large", 6145).await.unwrap_err();
    assert_eq!(refused.code(), Some("LimitExceeded"));
    let role = aws.iam.create_role().role_name("role").assume_role_policy_document(TRUST);
    role.send().await.unwrap();
    let attach = async |arn: &str| {
        aws.iam.attach_role_policy().role_name("role").policy_arn(arn).send().await
    };
    for number in 0..10 {
        let made = create(&format!("policy-{number}"), 6144).await.unwrap().policy.unwrap();
        attach(&made.arn.unwrap()).await.unwrap();
    }
    let made = create("one-more", 200).await.unwrap().policy.unwrap();
    assert_eq!(attach(&made.arn.unwrap()).await.unwrap_err().code(), Some("LimitExceeded"));
    let absent = format!("arn:aws:iam::{}:policy/absent", account.id);
    assert_eq!(attach(&absent).await.unwrap_err().code(), Some("NoSuchEntity"));

    let put = async |name: &str, length: usize| {
        let put = aws.iam.put_role_policy().role_name("role").policy_name(name);
        put.policy_document(document(length)).send().await
    };
    put("first", 6000).await.unwrap();
    assert_eq!(put("second", 5000).await.unwrap_err().code(), Some("LimitExceeded"));
}

#[tokio::test]
async fn malformed_alarms_are_refused() {
    let account = Account::new();
    let aws = account.aws().await;
    let metric = |id: &str| {
        let metric = Metric::builder().namespace("AWS/Lambda").metric_name("Errors").build();
        let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        MetricDataQuery::builder().id(id).metric_stat(stat).return_data(false).build()
    };
    let compared = |expression: &str| {
        MetricDataQuery::builder().id("e").expression(expression).return_data(true).build()
    };
    let put = async |metrics: Vec<MetricDataQuery>| {
        let put = aws.cloudwatch.put_metric_alarm().alarm_name("alarm");
        let put = put.comparison_operator(ComparisonOperator::GreaterThanThreshold);
        let put = put.threshold(1.0).evaluation_periods(1);
        put.set_metrics(Some(metrics)).send().await
    };
    for metrics in [
        vec![metric("Errors"), compared("1 * 2")],
        vec![metric("1st"), compared("1 * 2")],
        vec![metric("a-b"), compared("1 * 2")],
        vec![metric("a"), metric("a"), compared("a * 2")],
        vec![metric("a"), compared("b * 2")],
        vec![metric("a")],
        vec![metric("a"), compared("a * 2"), compared("a * 3")],
    ] {
        let refused = put(metrics.clone()).await.expect_err(&format!("{metrics:?}"));
        assert_eq!(refused.code(), Some("ValidationError"), "{metrics:?}");
    }
    put(vec![metric("a"), compared("a * 2")]).await.unwrap();
}

#[tokio::test]
async fn malformed_dashboards_are_refused() {
    let account = Account::new();
    let aws = account.aws().await;
    let put = async |name: &str, body: &str| {
        aws.cloudwatch.put_dashboard().dashboard_name(name).dashboard_body(body).send().await
    };
    let widget = |text: &str| format!(r#"{{"widgets": [{text}]}}"#);
    let good = r#"{"type": "text", "x": 0, "y": 0, "width": 6, "height": 2, "properties": {}}"#;
    put("a-dashboard_1", &widget(good)).await.unwrap();
    let long = "d".repeat(256);
    for (name, body) in [
        ("a dashboard", widget(good)),
        ("a/b", widget(good)),
        (&long, widget(good)),
        ("d", "{".to_owned()),
        ("d", "{}".to_owned()),
        ("d", widget(&good.replace("text", "pie"))),
        ("d", widget(&good.replace(r#""properties": {}"#, r#""height": 2"#))),
        ("d", widget(&good.replace(r#""x": 0"#, r#""x": 24"#))),
        ("d", widget(&good.replace(r#""width": 6"#, r#""width": 25"#))),
        ("d", widget(&good.replace("text", "metric"))),
    ] {
        let refused = put(name, &body).await.expect_err(&format!("{name} {body}"));
        assert_eq!(refused.code(), Some("InvalidParameterInput"), "{name} {body}");
    }
}
