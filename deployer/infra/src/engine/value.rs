//! Properties that may come from another resource, and values that must not be shown.

use anyhow::{Result, bail};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;

/// A property that is known now, or will be once another resource exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<T> {
    Known(T),
    /// Not known before the named resource (kind and name) was made.
    From(String),
}

impl<T> Value<T> {
    /// The value, if it can be known without changing anything.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::From(_) => None,
        }
    }

    /// The value, in a step that only runs once everything it uses is there.
    pub fn get(&self) -> Result<&T> {
        match self {
            Self::Known(value) => Ok(value),
            Self::From(origin) => bail!("{origin} has not been made yet"),
        }
    }

    /// Something derived from the value, as unknown as the value itself.
    pub fn map<U>(self, derive: impl FnOnce(T) -> U) -> Value<U> {
        match self {
            Self::Known(value) => Value::Known(derive(value)),
            Self::From(origin) => Value::From(origin),
        }
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

/// Known values serialise as themselves, others as where they will come from.
impl<T: Serialize> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::From(origin) => serializer.serialize_str(&format!("(from {origin})")),
        }
    }
}

/// A value that never reaches an output: it serialises, prints and debugs as a short hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Only for handing to AWS, to the API's own door, or to `key show`.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let hash = Sha256::digest(self.0.as_bytes());
        write!(f, "(secret {:02x}{:02x}{:02x}{:02x})", hash[0], hash[1], hash[2], hash[3])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
