//! Where the services are: each has an endpoint of its own (`AWS_ENDPOINT_URL_S3`, or the profile's `services`),
//! else the one for all (`AWS_ENDPOINT_URL`), else AWS's.

use super::Access;
use super::settings::load;
use crate::http;
use anyhow::Result;
use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use std::error::Error;
use std::fmt;

use ::http::Uri;

/// The services that are called, as their ids are in the SDK's models.
const SERVICES: [&str; 8] =
    ["API Gateway", "CloudWatch", "CloudWatch Logs", "IAM", "Lambda", "S3", "SSM", "STS"];

/// Services that aren't AWS's, and where they are: URLs without a slash at the end.
pub struct Endpoints(Vec<(&'static str, String)>);

impl Endpoints {
    /// What the clients that are made from `config` will use. An endpoint below AWS's own `suffix`, as of a VPC,
    /// is AWS's.
    ///
    /// # Errors
    /// An endpoint is no URL; the SDK would panic, or say so with every request.
    pub fn of(config: &SdkConfig, suffix: &str) -> Result<Self, BadEndpoint> {
        let mut elsewhere = Vec::new();
        for service in SERVICES {
            let Some(url) = configured(config, service) else { continue };
            let parsed = url.parse::<Uri>().ok();
            let parsed = parsed.filter(|url| matches!(url.scheme_str(), Some("http" | "https")));
            let Some(host) = parsed.as_ref().and_then(Uri::host) else {
                return Err(BadEndpoint { service, url });
            };
            if !host.ends_with(&format!(".{suffix}")) {
                elsewhere.push((service, url.trim_end_matches('/').to_owned()));
            }
        }
        Ok(Self(elsewhere))
    }

    /// Where a service is, if it isn't AWS's.
    pub fn of_service(&self, service: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| *other == service);
        found.map(|(_, url)| url.as_str())
    }

    /// Whether all services are on this machine, where there are no quotas.
    pub fn are_on_this_machine(&self) -> bool {
        self.0.len() == SERVICES.len() && self.0.iter().all(|(_, url)| is_on_this_machine(url))
    }

    /// For people: one URL if it is everything's, else each with its service. None where all is AWS's.
    pub fn described(&self) -> Option<String> {
        let (_, first) = self.0.first()?;
        if self.0.len() == SERVICES.len() && self.0.iter().all(|(_, url)| url == first) {
            return Some(first.clone());
        }
        let each = self.0.iter().map(|(service, url)| format!("{service} at {url}"));
        Some(each.collect::<Vec<_>>().join(", "))
    }
}

/// The endpoint that is set for a service, as the SDK's clients look it up.
fn configured(config: &SdkConfig, service: &str) -> Option<String> {
    let for_all = || config.endpoint_url().map(ToOwned::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return for_all();
    }
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    config.service_config().and_then(|settings| settings.load_config(key)).or_else(for_all)
}

fn is_on_this_machine(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| {
        host.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}

/// The domain below which a region's services are, by the SDK's own data on AWS's partitions: `amazonaws.eu`.
pub async fn suffix(region: &str) -> String {
    use aws_sdk_apigateway::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
    let resolved = async {
        let params = Params::builder().region(region).build().ok()?;
        let resolver = DefaultResolver::new();
        let endpoint = ResolveEndpoint::resolve_endpoint(&resolver, &params).await.ok()?;
        let suffix = endpoint.url().strip_prefix(&format!("https://apigateway.{region}."));
        suffix.map(ToOwned::to_owned)
    };
    resolved.await.unwrap_or_else(|| "amazonaws.com".to_owned())
}

/// Whom to ask for the time: STS, which answers everybody. Its name is that of the region's partition.
pub async fn clock_url(access: &Access) -> String {
    let http = access.http.clone().unwrap_or_else(http::connector);
    let config = load(access, &http).await;
    let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
    let url = match (configured(&config, "STS"), region) {
        (Some(url), _) => url,
        (None, Some(region)) => format!("https://sts.{region}.{}", suffix(&region).await),
        (None, None) => "https://sts.amazonaws.com".to_owned(),
    };
    url.trim_end_matches('/').to_owned()
}

/// What is set as a service's endpoint is no URL.
#[derive(Debug)]
pub struct BadEndpoint {
    service: &'static str,
    url: String,
}

impl BadEndpoint {
    /// The variable that sets it for this service alone.
    pub fn variable(&self) -> String {
        format!("AWS_ENDPOINT_URL_{}", self.service.to_uppercase().replace(' ', "_"))
    }
}

impl fmt::Display for BadEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { service, url } = self;
        write!(f, "the endpoint of {service} is no http:// or https:// URL: {url:?}")
    }
}

impl Error for BadEndpoint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn domains_are_those_of_the_partition() {
        for (region, suffix) in [
            ("ap-southeast-2", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("nowhere", "amazonaws.com"),
        ] {
            assert_eq!(super::suffix(region).await, suffix, "{region}");
        }
    }

    fn endpoints(url: &str) -> Result<Endpoints, BadEndpoint> {
        let config = SdkConfig::builder().endpoint_url(url).build();
        Endpoints::of(&config, "amazonaws.com")
    }

    #[test]
    fn an_endpoint_in_awss_domain_is_awss() {
        let vpc = "https://vpce-1a2b.apigateway.eu-west-1.vpce.amazonaws.com";
        for aws in ["https://lambda.eu-west-1.amazonaws.com/", vpc] {
            assert!(endpoints(aws).unwrap().described().is_none(), "{aws}");
        }
        for other in ["http://127.0.0.1:4566", "https://sts.amazonaws.com.example"] {
            assert_eq!(endpoints(other).unwrap().described().as_deref(), Some(other));
        }
        assert!(endpoints("http://localhost:4566/").unwrap().are_on_this_machine());
        assert!(!endpoints("http://localhost.test").unwrap().are_on_this_machine());
    }

    #[test]
    fn what_is_no_url_is_told() {
        for wrong in ["localhost:4566", "localhost", "http://", "ftp://x", "http://["] {
            let error = endpoints(wrong).map(|found| found.described()).unwrap_err();
            assert!(error.to_string().contains(&format!("{wrong:?}")), "{error}");
            assert_eq!(error.variable(), "AWS_ENDPOINT_URL_API_GATEWAY");
        }
    }
}
