//! Requests and answers on the wire, by the names that AWS has for them.

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;
use std::collections::BTreeMap;

/// A request as faults see it.
pub struct Request {
    /// `apigateway`, `s3`; `execute-api` for a caller of the API.
    pub service: String,
    /// `apigateway:CreateRestApi`
    pub name: String,
    pub path: String,
    pub query: String,
    pub body: String,
    uri: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The same, as another operation of a service that names them in a header.
    pub fn again_as(&self, target: &str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(self.body.as_str()));
        request.set_method("POST").unwrap();
        request.set_uri(self.uri.as_str()).unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        request.headers_mut().insert("x-amz-target", target.to_owned());
        request
    }

    pub fn of(sent: &HttpRequest) -> Self {
        let header = |name| sent.headers().get(name).unwrap_or_default();
        let uri = sent.uri().split_once("://").map_or(sent.uri(), |(_, rest)| rest);
        let uri = uri.find('/').map_or("/", |at| &uri[at..]);
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        // A package says nothing.
        let said = sent.body().bytes().filter(|bytes| !bytes.starts_with(b"PK"));
        let body = said.map(String::from_utf8_lossy).unwrap_or_default();
        // Signatures say for which service they are: KEY/DATE/REGION/SERVICE/aws4_request.
        let service = header("authorization").split('/').nth(3).unwrap_or("execute-api");
        let method = sent.method();
        let operation = match service {
            "ssm" | "logs" => header("x-amz-target").split('.').nth(1).unwrap().to_owned(),
            "iam" | "sts" => {
                body.strip_prefix("Action=").unwrap().split('&').next().unwrap().to_owned()
            }
            "s3" => storage(method, path, query),
            "lambda" => lambda(method, path),
            "apigateway" => gateway(method, path),
            "monitoring" => path.rsplit('/').next().unwrap().to_owned(),
            _ => method.to_owned(),
        };
        Self {
            name: format!("{service}:{operation}"),
            service: service.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            body: body.into_owned(),
            uri: sent.uri().to_owned(),
            headers: sent.headers().iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        }
    }

    pub fn is_write(&self) -> bool {
        is_write(&self.name)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field of its JSON body.
    pub fn field(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        body[name].as_str().map(ToOwned::to_owned)
    }

    /// Values in it that nobody may see.
    pub fn secrets(&self) -> Option<String> {
        let secret = self.name == "ssm:PutParameter"
            && self.field("Type").is_some_and(|kind| kind == "SecureString");
        self.field("Value").filter(|_| secret)
    }
}

/// Whether an operation changes something.
pub fn is_write(name: &str) -> bool {
    let (service, operation) = name.split_once(':').unwrap();
    let reads = ["Get", "List", "Describe", "Head", "Invoke", "TestInvoke", "Simulate"];
    service != "execute-api" && !reads.iter().any(|read| operation.starts_with(read))
}

fn storage(method: &str, path: &str, query: &str) -> String {
    let key = path.trim_matches('/').contains('/');
    let sub = query.split('&').map(|pair| pair.split('=').next().unwrap()).find_map(|name| {
        let known = [
            ("tagging", "BucketTagging"),
            ("publicAccessBlock", "PublicAccessBlock"),
            ("policy", "BucketPolicy"),
            ("encryption", "BucketEncryption"),
            ("versions", "ObjectVersions"),
            ("delete", "Objects"),
            ("list-type", "Objects"),
        ];
        known.iter().find(|(sub, _)| *sub == name).map(|(_, noun)| *noun)
    });
    let noun = sub.unwrap_or(if key { "Object" } else { "Bucket" });
    let verb = match (method, noun) {
        ("PUT", "Bucket") => "Create",
        ("GET", "ObjectVersions" | "Objects") => "List",
        ("GET", _) => "Get",
        ("HEAD", _) => "Head",
        ("PUT", _) => "Put",
        _ => "Delete",
    };
    format!("{verb}{noun}")
}

fn lambda(method: &str, path: &str) -> String {
    if path.contains("/account-settings") {
        return "GetAccountSettings".to_owned();
    }
    let words: Vec<&str> = path.trim_matches('/').split('/').skip(2).collect();
    if path.contains("/event-source-mappings") {
        let name =
            if method == "GET" { "ListEventSourceMappings" } else { "DeleteEventSourceMapping" };
        return name.to_owned();
    }
    let name = match (method, words.as_slice()) {
        ("POST", []) => "CreateFunction",
        ("GET", []) => "ListFunctions",
        ("GET", [_]) => "GetFunction",
        ("DELETE", [_]) => "DeleteFunction",
        ("PUT", [_, "configuration"]) => "UpdateFunctionConfiguration",
        ("PUT", [_, "concurrency"]) => "PutFunctionConcurrency",
        ("DELETE", [_, "concurrency"]) => "DeleteFunctionConcurrency",
        ("PUT", [_, "code"]) => "UpdateFunctionCode",
        ("POST", [_, "versions"]) => "PublishVersion",
        ("GET", [_, "versions"]) => "ListVersionsByFunction",
        ("POST", [_, "invocations"]) => "InvokeFunction",
        ("POST", [_, "aliases"]) => "CreateAlias",
        ("PUT", [_, "aliases", _]) => "UpdateAlias",
        ("GET", [_, "aliases", _]) => "GetAlias",
        ("POST", [_, "policy"]) => "AddPermission",
        ("GET", [_, "policy"]) => "GetPolicy",
        ("DELETE", [_, "policy", _]) => "RemovePermission",
        ("GET", [_, "urls"]) => "ListFunctionUrlConfigs",
        ("DELETE", [_, "url"]) => "DeleteFunctionUrlConfig",
        _ => panic!("what is {method} {path}?"),
    };
    name.to_owned()
}

fn gateway(method: &str, path: &str) -> String {
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    let nouns = |word: &str| match word {
        "restapis" => Some("RestApi"),
        "resources" => Some("Resource"),
        "deployments" => Some("Deployment"),
        "stages" => Some("Stage"),
        "apikeys" => Some("ApiKey"),
        "usageplans" => Some("UsagePlan"),
        "keys" => Some("UsagePlanKey"),
        "tags" => Some("Tags"),
        "account" => Some("Account"),
        "methods" => Some("Method"),
        "domainnames" => Some("DomainName"),
        "basepathmappings" => Some("BasePathMapping"),
        _ => None,
    };
    // An id might be called as a collection is; those stand at every other place.
    let at = (0..words.len()).step_by(2).rfind(|&at| nouns(words[at]).is_some());
    let at = at.unwrap_or_else(|| panic!("what is {method} {path}?"));
    let (noun, all) = (nouns(words[at]).unwrap(), at + 1 == words.len());
    let verb = match method {
        "POST" if noun == "Method" => "TestInvoke",
        "POST" => "Create",
        "PUT" if noun == "Tags" => return "TagResource".to_owned(),
        "PUT" => "Put",
        "PATCH" => "Update",
        "DELETE" => "Delete",
        _ => "Get",
    };
    let plural = if method == "GET" && all && noun != "Account" { "s" } else { "" };
    format!("{verb}{noun}{plural}")
}

/// An answer, read to its end.
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    pub async fn of(mut answer: HttpResponse) -> Result<Self, ConnectorError> {
        let body = ByteStream::new(answer.take_body()).collect().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?.to_vec();
        let headers = answer.headers().iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Ok(Self { status: answer.status().as_u16(), headers, body })
    }

    pub fn into_http(mut self) -> HttpResponse {
        // It may have been changed since.
        if self.headers.contains_key("content-length") && !self.body.is_empty() {
            self.headers.insert("content-length".to_owned(), self.body.len().to_string());
        }
        let status = StatusCode::try_from(self.status).unwrap();
        let mut answer = HttpResponse::new(status, SdkBody::from(self.body));
        for (name, value) in self.headers {
            answer.headers_mut().insert(name, value);
        }
        answer
    }

    pub fn is_ok(&self) -> bool {
        self.status < 300
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn set_json(&mut self, value: &Value) {
        self.body = value.to_string().into_bytes();
    }
}

/// CloudWatch's: a map of two texts.
fn refuse_in_cbor(status: u16, code: &str, message: &str) -> Response {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&[0x79], &length[..], text.as_bytes()].concat()
    };
    let body = [vec![0xa2], text("__type"), text(code), text("message"), text(message)].concat();
    let headers = [("smithy-protocol", "rpc-v2-cbor"), ("x-amzn-requestid", "a-request-id")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Response { status, headers, body }
}

/// An error as that service words it.
pub fn refuse(service: &str, status: u16, code: &str, message: &str) -> Response {
    let mut headers = BTreeMap::from([("x-amzn-requestid".to_owned(), "a-request-id".to_owned())]);
    let body = match service {
        "iam" | "sts" => format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>{message}</Message></Error><RequestId>a-request-id</RequestId></ErrorResponse>"
        ),
        "s3" => format!(
            "<Error><Code>{code}</Code><Message>{message}</Message>\
             <RequestId>a-request-id</RequestId></Error>"
        ),
        "monitoring" => return refuse_in_cbor(status, code, message),
        "ssm" | "logs" => serde_json::json!({ "__type": code, "message": message }).to_string(),
        _ => {
            headers.insert("x-amzn-errortype".to_owned(), code.to_owned());
            serde_json::json!({ "message": message }).to_string()
        }
    };
    Response { status, headers, body: body.into_bytes() }
}
