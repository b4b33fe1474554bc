//! Which backend has answered, as far as its answer says so.

use std::str::FromStr;

use anyhow::{Error, Result, bail};
use hyper::HeaderMap;
use serde_json::Value;

/// The longest name that is shown.
const LONGEST: usize = 64;

/// The name of a backend whose answer has none.
const UNNAMED: &str = "(unnamed)";

/// Where an answer names its backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Naming {
    /// Its first line, or what comes before a zero byte.
    Line,
    /// A field of its JSON object.
    Json(String),
    /// A header of HTTP.
    Header(String),
}

impl FromStr for Naming {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "line" => Ok(Self::Line),
            Some(("json", field)) if !field.is_empty() => Ok(Self::Json(field.to_owned())),
            Some(("header", name)) if !name.is_empty() => Ok(Self::Header(name.to_owned())),
            _ => bail!("none of line, json:FIELD, header:NAME"),
        }
    }
}

impl Naming {
    /// The name in an answer: its headers, where it has some, and its body.
    pub(crate) fn name(&self, headers: Option<&HeaderMap>, body: &[u8]) -> String {
        let name = match self {
            Self::Line => body.split(|byte| matches!(byte, 0 | b'\n' | b'\r')).next().map(text),
            Self::Json(field) => field_of(body, field),
            Self::Header(name) => {
                let value = headers.and_then(|headers| headers.get(name));
                value.map(|value| text(value.as_bytes()))
            }
        };
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| UNNAMED.to_owned())
    }
}

fn field_of(body: &[u8], field: &str) -> Option<String> {
    match serde_json::from_slice::<Value>(body).ok()?.get(field)? {
        Value::String(name) => Some(text(name.as_bytes())),
        other => Some(text(other.to_string().as_bytes())),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(text: &str) -> Naming {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_found_where_they_are_said_to_be() {
        assert_eq!(naming("line").name(None, b"shop-1\nmore"), "shop-1");
        assert_eq!(naming("line").name(None, b"shop-1\0\x17\x18"), "shop-1");
        assert_eq!(naming("json:name").name(None, br#"{"name": "shop-2"}"#), "shop-2");
        let headers = HeaderMap::from_iter([("x-pod".parse().unwrap(), "shop-3".parse().unwrap())]);
        assert_eq!(naming("header:x-pod").name(Some(&headers), b"body"), "shop-3");
    }

    #[test]
    fn an_answer_without_a_name_counts_too() {
        assert_eq!(naming("line").name(None, b""), UNNAMED);
        assert_eq!(naming("json:name").name(None, b"not JSON"), UNNAMED);
        assert_eq!(naming("header:x-pod").name(None, b"body"), UNNAMED);
        assert_eq!(naming("line").name(None, &[b'x'; 5000]).len(), LONGEST);
    }

    #[test]
    fn other_places_are_refused() {
        for wrong in ["", "body", "json:", "header"] {
            assert!(wrong.parse::<Naming>().is_err(), "{wrong}");
        }
    }
}
