//! Bodies as a recording has them: readable where they can be.

use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// How deep CBOR may be nested; AWS's isn't by far.
const DEEPEST: usize = 64;

/// Stands in JSON for a point in time of CBOR: seconds since 1970.
const TIME: &str = "$seconds";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    Empty,
    Json(Value),
    /// CloudWatch's encoding, told as JSON.
    Cbor(Value),
    Text(String),
    /// Zips and whatever else isn't text.
    Bytes {
        length: usize,
        sha256: String,
    },
}

impl Body {
    /// By what it is called and by what it is.
    pub fn of(content_type: &str, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        if content_type.contains("cbor")
            && let Ok(value) = decode(&mut Decoder::new(bytes), DEEPEST)
        {
            return Self::Cbor(value);
        }
        match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
            (Ok(value @ (Value::Object(_) | Value::Array(_))), _) => Self::Json(value),
            (_, Ok(text)) if !text.contains('\0') => Self::Text(text.to_owned()),
            _ => Self::Bytes {
                length: bytes.len(),
                sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What is sent in its place when it is replayed; nothing for what isn't text.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty | Self::Bytes { .. } => vec![],
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Text(text) => text.clone().into_bytes(),
            Self::Cbor(value) => {
                let mut encoder = Encoder::new(vec![]);
                encode(&mut encoder, value);
                encoder.into_writer()
            }
        }
    }
}

fn decode(from: &mut Decoder, depth: usize) -> Result<Value, DeserializeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(DeserializeError::custom("nested too deeply", from.position()));
    };
    let more = |from: &Decoder, left: Option<u64>, done: u64| match left {
        Some(left) => Ok::<_, DeserializeError>(done < left),
        None => Ok(from.datatype()? != Type::Break),
    };
    Ok(match from.datatype()? {
        Type::Map | Type::MapIndef => {
            let (length, mut fields, mut done) = (from.map()?, Map::new(), 0);
            while more(from, length, done)? {
                let key = from.str()?.into_owned();
                fields.insert(key, decode(from, depth)?);
                done += 1;
            }
            if length.is_none() {
                from.skip()?;
            }
            Value::Object(fields)
        }
        Type::Array | Type::ArrayIndef => {
            let (length, mut items, mut done) = (from.list()?, vec![], 0);
            while more(from, length, done)? {
                items.push(decode(from, depth)?);
                done += 1;
            }
            if length.is_none() {
                from.skip()?;
            }
            Value::Array(items)
        }
        Type::String | Type::StringIndef => json!(from.str()?),
        Type::Bool => json!(from.boolean()?),
        Type::F16 | Type::F32 | Type::F64 => json!(from.double()?),
        Type::Null | Type::Undefined => {
            from.skip()?;
            Value::Null
        }
        Type::Tag => json!({ TIME: from.timestamp()?.as_secs_f64() }),
        _ => json!(from.long()?),
    })
}

fn encode(to: &mut Encoder, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(seconds) = fields.get(TIME).and_then(Value::as_f64) {
                to.timestamp(&DateTime::from_secs_f64(seconds));
                return;
            }
            to.map(fields.len());
            for (key, value) in fields {
                to.str(key);
                encode(to, value);
            }
        }
        Value::Array(items) => {
            to.array(items.len());
            items.iter().for_each(|item| encode(to, item));
        }
        Value::String(text) => drop(to.str(text)),
        Value::Bool(is) => drop(to.boolean(*is)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => drop(to.long(whole)),
            (None, float) => drop(to.double(float.unwrap_or_default())),
        },
        Value::Null => drop(to.null()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cbor_body_round_trips() {
        let value = json!({
            "Name": "n", "Values": [1, -2, 1.5, null, true], "At": { TIME: 1_795_500_000.5 }, "More": {}
        });
        let bytes = Body::Cbor(value.clone()).to_bytes();
        assert_eq!(Body::of("application/cbor", &bytes), Body::Cbor(value));
        // What isn't, or breaks off, is bytes.
        let broken = Body::of("application/cbor", &bytes[..bytes.len() - 1]);
        assert!(matches!(broken, Body::Bytes { .. }), "{broken:?}");
    }

    #[test]
    fn zip_body_is_kept_as_its_hash() {
        let body = Body::of("application/zip", b"PK\x03\x04\0\0");
        assert!(matches!(body, Body::Bytes { length: 6, .. }), "{body:?}");
    }
}
