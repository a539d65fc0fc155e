//! AWS's side of the wire: each reading request is answered from the world, in the format of its
//! service. Anything else, any write above all, ends the test.

use crate::cloudwatch;
use crate::world::{ACCOUNT, REGION};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub fn client(world: Value) -> SharedHttpConnector {
    SharedHttpConnector::new(Wire(world))
}

#[derive(Debug)]
struct Wire(Value);

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Some((_, operation)) = request.uri().split_once("/operation/") {
            let answer = cloudwatch::answer(&self.0, operation, request.body().bytes().unwrap());
            let (status, answer) = answer.unwrap_or_else(|| panic!("not a read: {operation}"));
            let mut answer = response(status, answer);
            answer.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
            return HttpConnectorFuture::ready(Ok(answer));
        }
        let (status, body) = self.answer(&request);
        HttpConnectorFuture::ready(Ok(response(status, body)))
    }
}

type Answer = (u16, String);

/// With the id that AWS gives every request.
pub fn response(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    let status = StatusCode::try_from(status).unwrap();
    let mut response = HttpResponse::new(status, body.into());
    response.headers_mut().insert("x-amzn-requestid", "a-request-id");
    response
}

/// Query strings, and the bodies of IAM and STS.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (plain(key), plain(value))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn ok(body: &Value) -> Answer {
    (200, body.to_string())
}

/// As the services that speak JSON say it, in headers or in the body; the SDK reads both.
fn json_error(status: u16, code: &str) -> Answer {
    (status, json!({ "__type": code, "code": code, "message": "it isn't there" }).to_string())
}

fn empty() -> Map<String, Value> {
    Map::new()
}

fn entries(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_else(empty)
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Wire {
    fn answer(&self, request: &HttpRequest) -> Answer {
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        let uri = request.uri();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = path.trim_start_matches("http://aws.invalid").trim_matches('/');
        let path = percent_decode_str(path).decode_utf8().unwrap();
        let query = pairs(query);
        // Signatures say for which service they are: KEY/DATE/REGION/SERVICE/aws4_request.
        let service = request.headers().get("authorization").unwrap().split('/').nth(3).unwrap();
        let words: Vec<&str> = path.split('/').collect();
        let answer = match (service, request.method()) {
            ("sts", "POST") | ("iam", "POST") => self.iam(&pairs(&body)),
            ("ssm", "POST") | ("logs", "POST") => {
                let target = request.headers().get("x-amz-target").unwrap();
                let (_, operation) = target.split_once('.').unwrap();
                self.by_target(service, operation, &serde_json::from_str(&body).unwrap())
            }
            ("s3", "HEAD" | "GET") => self.s3(&words, &query),
            ("lambda", "GET") => self.lambda(&words, &query),
            ("apigateway", "GET") => self.gateway(&words, &query),
            _ => None,
        };
        answer.unwrap_or_else(|| panic!("not a read: {service} {} {uri} {body}", request.method()))
    }

    fn iam(&self, query: &BTreeMap<String, String>) -> Option<Answer> {
        let text = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
        let (action, name) = (text("Action"), text("RoleName"));
        let role = &self.0["roles"][name];
        let summary = |name: &str| {
            format!(
                "<Path>/ops-api/dev/</Path><RoleName>{name}</RoleName><RoleId>ROLE</RoleId>\
                 <Arn>arn:aws:iam::{ACCOUNT}:role/ops-api/dev/{name}</Arn>\
                 <CreateDate>2026-01-01T00:00:00Z</CreateDate>"
            )
        };
        let member = |inner: String| format!("<member>{inner}</member>");
        let result = match action {
            "GetCallerIdentity" => format!(
                "<Arn>arn:aws:iam::{ACCOUNT}:user/u</Arn><UserId>u</UserId>\
                 <Account>{ACCOUNT}</Account>"
            ),
            "ListRoles" => {
                let here = "/ops-api/dev/";
                assert_eq!(text("PathPrefix"), here);
                let roles = entries(&self.0["roles"]);
                let list: String = roles.keys().map(|name| member(summary(name))).collect();
                format!("<Roles>{list}</Roles><IsTruncated>false</IsTruncated>")
            }
            _ if role.is_null() => {
                let error = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
                             <Message>it isn't there</Message></Error></ErrorResponse>";
                return Some((404, error.to_owned()));
            }
            "GetRole" => {
                let trust = escape(&role["trust"].to_string());
                let tags: String = entries(&role["tags"])
                    .iter()
                    .map(|(key, value)| {
                        let value = value.as_str().unwrap();
                        member(format!("<Key>{key}</Key><Value>{value}</Value>"))
                    })
                    .collect();
                format!(
                    "<Role>{}<AssumeRolePolicyDocument>{trust}</AssumeRolePolicyDocument>\
                     <Tags>{tags}</Tags></Role>",
                    summary(name)
                )
            }
            "ListRolePolicies" => {
                let names: String =
                    entries(&role["policies"]).keys().cloned().map(member).collect();
                format!("<PolicyNames>{names}</PolicyNames><IsTruncated>false</IsTruncated>")
            }
            "GetRolePolicy" => {
                let policy = text("PolicyName");
                let document = escape(&role["policies"][policy].to_string());
                format!(
                    "<RoleName>{name}</RoleName><PolicyName>{policy}</PolicyName>\
                     <PolicyDocument>{document}</PolicyDocument>"
                )
            }
            "ListAttachedRolePolicies" => {
                let arn = |arn: &Value| {
                    let arn = arn.as_str().unwrap();
                    member(format!("<PolicyName>p</PolicyName><PolicyArn>{arn}</PolicyArn>"))
                };
                let list: String = role["attached"].as_array()?.iter().map(arn).collect();
                format!("<AttachedPolicies>{list}</AttachedPolicies>")
            }
            _ => return None,
        };
        let result = format!("<{action}Result>{result}</{action}Result>");
        Some((200, format!("<{action}Response>{result}</{action}Response>")))
    }

    fn by_target(&self, service: &str, operation: &str, body: &Value) -> Option<Answer> {
        let text = |key: &str| body[key].as_str().unwrap_or_default();
        let parameter = |name: &str, parameter: &Value| json!({ "Name": name, "Type": parameter["Type"], "Value": parameter["Value"] });
        let group_of = |arn: &str| arn.rsplit(':').next().unwrap().to_owned();
        Some(match (service, operation) {
            ("ssm", "GetParameter") => match &self.0["parameters"][text("Name")] {
                Value::Null => json_error(400, "ParameterNotFound"),
                found => ok(&json!({ "Parameter": parameter(text("Name"), found) })),
            },
            ("ssm", "ListTagsForResource") => match &self.0["parameters"][text("ResourceId")] {
                Value::Null => json_error(400, "InvalidResourceId"),
                found => {
                    let tag = |(key, value)| json!({ "Key": key, "Value": value });
                    let list: Vec<_> = entries(&found["tags"]).into_iter().map(tag).collect();
                    ok(&json!({ "TagList": list }))
                }
            },
            ("ssm", "GetParametersByPath") => {
                let below = |name: &str| name.starts_with(&format!("{}/", text("Path")));
                let all = entries(&self.0["parameters"]);
                let found = all.iter().filter(|(name, _)| below(name));
                let list: Vec<_> = found.map(|(name, found)| parameter(name, found)).collect();
                ok(&json!({ "Parameters": list }))
            }
            ("logs", "DescribeLogGroups") => {
                let all = entries(&self.0["log groups"]);
                let named = |name: &str| name.starts_with(text("logGroupNamePrefix"));
                let group = |(name, group): (&String, &Value)| {
                    let days = &group["retentionInDays"];
                    json!({ "logGroupName": name, "retentionInDays": days })
                };
                let list: Vec<_> = all.iter().filter(|(name, _)| named(name)).map(group).collect();
                ok(&json!({ "logGroups": list }))
            }
            ("logs", "ListTagsForResource") => {
                match &self.0["log groups"][group_of(text("resourceArn"))] {
                    Value::Null => json_error(400, "ResourceNotFoundException"),
                    found => ok(&json!({ "tags": found["tags"] })),
                }
            }
            _ => return None,
        })
    }

    fn s3(&self, words: &[&str], query: &BTreeMap<String, String>) -> Option<Answer> {
        let bucket = &self.0["buckets"][words[0]];
        let missing = |code: &str| (404, format!("<Error><Code>{code}</Code></Error>"));
        if bucket == "another account's" {
            return Some((403, String::new()));
        }
        if bucket.is_null() {
            return Some((404, String::new()));
        }
        if query.get("list-type").is_some() {
            let records = entries(&self.0["records"]);
            let key = |key: &String| format!("<Contents><Key>{key}</Key></Contents>");
            let list: String = records.keys().map(key).collect();
            return Some((200, format!("<ListBucketResult>{list}</ListBucketResult>")));
        }
        if words.get(1) == Some(&"releases") {
            return Some(ok(&self.0["records"][words[1..].join("/")]));
        }
        if words.len() > 1 {
            let there = bucket["objects"].as_array()?.contains(&json!(words[1..].join("/")));
            return Some((if there { 200 } else { 404 }, String::new()));
        }
        let asked = |key: &str| query.contains_key(key);
        Some(if asked("tagging") {
            let tag = |(key, value): (&String, &Value)| {
                format!("<Tag><Key>{key}</Key><Value>{}</Value></Tag>", value.as_str().unwrap())
            };
            match entries(&bucket["tags"]) {
                tags if tags.is_empty() => missing("NoSuchTagSet"),
                tags => {
                    let tags: String = tags.iter().map(tag).collect();
                    (200, format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))
                }
            }
        } else if asked("publicAccessBlock") {
            let field = |(key, value): (&String, &Value)| format!("<{key}>{value}</{key}>");
            match entries(&bucket["blocked"]) {
                blocked if blocked.is_empty() => missing("NoSuchPublicAccessBlockConfiguration"),
                blocked => {
                    let fields: String = blocked.iter().map(field).collect();
                    let name = "PublicAccessBlockConfiguration";
                    (200, format!("<{name}>{fields}</{name}>"))
                }
            }
        } else if asked("encryption") {
            let rule = format!("<SSEAlgorithm>{}</SSEAlgorithm>", bucket["encryption"].as_str()?);
            let (default, name) =
                ("ApplyServerSideEncryptionByDefault", "ServerSideEncryptionConfiguration");
            (200, format!("<{name}><Rule><{default}>{rule}</{default}></Rule></{name}>"))
        } else if asked("policy") {
            match &bucket["policy"] {
                Value::Null => missing("NoSuchBucketPolicy"),
                policy => ok(policy),
            }
        } else {
            (200, String::new())
        })
    }

    fn lambda(&self, words: &[&str], query: &BTreeMap<String, String>) -> Option<Answer> {
        let functions = entries(&self.0["functions"]);
        if let ["2015-03-31", "event-source-mappings"] = words {
            return Some(ok(&json!({ "EventSourceMappings": self.0["mappings"] })));
        }
        let ["2015-03-31" | "2021-10-31", "functions", words @ ..] = words else { return None };
        let Some(name) = words.first() else {
            let list: Vec<_> = functions.values().map(|f| f["latest"].clone()).collect();
            return Some(ok(&json!({ "Functions": list })));
        };
        let Some(function) = functions.get(*name) else {
            return Some(json_error(404, "ResourceNotFoundException"));
        };
        let live = query.get("Qualifier").is_some_and(|qualifier| qualifier == "live");
        let found = match words[1..] {
            [] if live => json!({ "Configuration": function["live"] }),
            [] => json!({
                "Configuration": function["latest"], "Tags": function["tags"],
                "Concurrency": function["concurrency"],
            }),
            ["aliases", "live"] => json!({
                "Name": "live",
                "FunctionVersion": function.get("served").unwrap_or(&function["live"]["Version"]),
                "RoutingConfig": { "AdditionalVersionWeights": function["weights"] },
            }),
            ["versions"] => match &function["live"] {
                Value::Null => json!({ "Versions": [function["latest"]] }),
                live => json!({ "Versions": [function["latest"], live] }),
            },
            ["policy"] => {
                let statements = &function[if live { "policy" } else { "own policy" }];
                if statements.is_null() {
                    return Some(json_error(404, "ResourceNotFoundException"));
                }
                let policy = json!({ "Version": "2012-10-17", "Statement": statements });
                json!({ "Policy": policy.to_string() })
            }
            ["urls"] => {
                json!({ "FunctionUrlConfigs": function["urls"].as_array().unwrap_or(&vec![]) })
            }
            _ => return None,
        };
        let nothing = (words.len() == 1 && found["Configuration"].is_null())
            || (words.get(1) == Some(&"aliases") && function["live"].is_null());
        Some(match nothing {
            true => json_error(404, "ResourceNotFoundException"),
            false => ok(&found),
        })
    }

    fn gateway(&self, words: &[&str], query: &BTreeMap<String, String>) -> Option<Answer> {
        // An object and its id, without what has an address of its own.
        let object = |(id, value): (&String, &Value), without: &[&str]| {
            let mut object = entries(value);
            object.retain(|key, _| !without.contains(&key.as_str()));
            object.insert("id".to_owned(), json!(id));
            Value::Object(object)
        };
        let list = |what: &str, without: &[&str]| {
            let all = entries(&self.0[what]);
            let list: Vec<_> = all.iter().map(|pair| object(pair, without)).collect();
            ok(&json!({ "item": list }))
        };
        if let ["restapis", id, ..] = words
            && self.0["apis"][*id].is_null()
        {
            return Some(json_error(404, "NotFoundException"));
        }
        Some(match words {
            ["account"] => ok(&Value::Object(entries(&self.0["account"]))),
            // Items of the list lack what only GetRestApi tells for sure.
            ["restapis"] => {
                let of_its_own = ["resources", "deployments", "stages"];
                list("apis", &[&of_its_own[..], &["securityPolicy", "endpointAccessMode"]].concat())
            }
            ["restapis", id] => {
                let all = entries(&self.0["apis"]);
                let api = all.get_key_value(*id)?;
                ok(&object(api, &["resources", "deployments", "stages"]))
            }
            ["restapis", _, "deployments", id] => ok(&json!({ "id": id })),
            ["restapis", id, "resources"] => {
                assert_eq!(query["embed"], "methods");
                let resources = entries(&self.0["apis"][*id]["resources"]);
                let resource =
                    |(path, methods)| json!({ "path": path, "resourceMethods": methods });
                let list: Vec<_> = resources.into_iter().map(resource).collect();
                ok(&json!({ "item": list }))
            }
            ["restapis", id, "deployments"] => {
                let deployments = entries(&self.0["apis"][*id]["deployments"]);
                let one = |(id, description)| json!({ "id": id, "description": description });
                ok(&json!({ "item": deployments.into_iter().map(one).collect::<Vec<_>>() }))
            }
            ["restapis", id, "stages"] => {
                let stages = entries(&self.0["apis"][*id]["stages"]);
                ok(&json!({ "item": stages.into_values().collect::<Vec<_>>() }))
            }
            ["restapis", id, "stages", stage] => match &self.0["apis"][*id]["stages"][*stage] {
                Value::Null => json_error(404, "NotFoundException"),
                stage => ok(stage),
            },
            // Lists of these don't tell the tags; a list of keys has those whose name begins so.
            ["apikeys"] => {
                assert_eq!(
                    (query["name"].as_str(), query["includeValues"].as_str()),
                    ("ops-api-dev", "true")
                );
                list("keys", &["tags"])
            }
            ["usageplans"] => list("usage plans", &["tags", "keys"]),
            ["usageplans", id, "keys"] => {
                let keys = self.0["usage plans"][*id]["keys"].as_array()?;
                let list: Vec<_> = keys.iter().map(|id| json!({ "id": id })).collect();
                ok(&json!({ "item": list }))
            }
            ["tags", arn @ ..] => {
                let arn = arn.join("/");
                let path = arn.strip_prefix(&format!("arn:aws:apigateway:{REGION}::/"))?;
                let (what, id) = path.split_once('/')?;
                let what = match what {
                    "apikeys" => "keys",
                    "usageplans" => "usage plans",
                    _ => "apis",
                };
                match &self.0[what][id]["tags"] {
                    Value::Null => json_error(404, "NotFoundException"),
                    tags => ok(&json!({ "tags": tags })),
                }
            }
            _ => return None,
        })
    }
}
