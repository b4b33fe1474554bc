//! The configuration file: one YAML document.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use serde_saphyr::options;

use super::Layer;

/// The `apiVersion` of the file.
pub const API_VERSION: &str = "svclb.io/v1alpha1";

/// The `kind` of the file.
pub const KIND: &str = "SvclbConfiguration";

/// Why a configuration file is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct FileError {
    path: PathBuf,
    problem: FileProblem,
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileProblem {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It is not YAML; the message has line and column.
    #[error("{0}")]
    Yaml(String),
    /// A field is unknown, or has a value that it cannot have.
    #[error("{field}: {message}")]
    Field { field: String, message: String },
}

impl FileProblem {
    fn field(field: &str, message: impl fmt::Display) -> Self {
        Self::Field { field: field.to_owned(), message: message.to_string() }
    }
}

/// What the file at `path` says.
///
/// # Errors
///
/// It cannot be read, is not YAML, or has a field that is unknown or has a value that it cannot
/// have.
pub fn read(path: &Path) -> Result<Layer, FileError> {
    let text = fs::read_to_string(path).map_err(FileProblem::Read);
    let layer = text.and_then(|text| parse(&text));
    layer.map_err(|problem| FileError { path: path.to_owned(), problem })
}

/// What the text of a file says.
pub(super) fn parse(text: &str) -> Result<Layer, FileProblem> {
    // `off` is a word here, as in YAML 1.2.
    let options = options! { strict_booleans: true, with_snippet: false };
    let document: Value = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| FileProblem::Yaml(error.to_string()))?;
    let Value::Object(mut fields) = without_nulls(document) else {
        return Err(FileProblem::field("apiVersion", "missing: the file is no object"));
    };
    expect(&mut fields, "apiVersion", API_VERSION)?;
    expect(&mut fields, "kind", KIND)?;
    // A list would be taken for a section whose fields are not named.
    if let Some((section, _)) = fields.iter().find(|(_, value)| !value.is_object()) {
        return Err(FileProblem::field(section, "must be an object"));
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let path = error.path().to_string();
        FileProblem::Field { field: path, message: error.into_inner().to_string() }
    })
}

/// Takes a field out that must have one value.
fn expect(fields: &mut Map<String, Value>, field: &str, wanted: &str) -> Result<(), FileProblem> {
    match fields.remove(field) {
        Some(Value::String(found)) if found == wanted => Ok(()),
        Some(found) => Err(FileProblem::field(field, format_args!("{found} is not \"{wanted}\""))),
        None => Err(FileProblem::field(field, format_args!("missing; it must be \"{wanted}\""))),
    }
}

/// A field without a value is a field that is not there, as in Kubernetes' objects.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: svclb.io/v1alpha1\nkind: SvclbConfiguration\n";

    fn refusal(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn what_is_missing_or_null_is_left_to_others() {
        for text in ["", "flows:\n", "flows:\n  tcpClosedTimeout: null\n"] {
            parse(&format!("{HEAD}{text}")).expect(text);
        }
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        assert_eq!(
            refusal("kind: SvclbConfiguration\n"),
            "apiVersion: missing; it must be \"svclb.io/v1alpha1\""
        );
        let other = refusal("apiVersion: svclb.io/v1alpha1\nkind: ConfigMap\n");
        assert_eq!(other, "kind: \"ConfigMap\" is not \"SvclbConfiguration\"");
        assert!(refusal("just a text").starts_with("apiVersion: missing"));
    }

    #[test]
    fn unknown_and_bad_fields_are_named_with_their_path() {
        for (text, field, message) in [
            ("flow: {}", "flow", "unknown field `flow`"),
            ("flows: {tcpTimeout: 1}", "flows.tcpTimeout", "unknown field `tcpTimeout`"),
            ("flows: {masqueradePorts: 9-8}", "flows.masqueradePorts", "9 is greater than 8"),
            ("flows: {tcpClosedTimeout: -1}", "flows.tcpClosedTimeout", "invalid value"),
            ("maps: {maxFlows: 1000}", "maps.maxFlows", "1000 is not a power of two"),
            ("agent: {attach: xdp}", "agent.attach", "unknown variant `xdp`"),
            ("flows: [10-20]", "flows", "must be an object"),
            (
                "observability: {healthzBindAddress: 10256}",
                "observability.healthzBindAddress",
                "invalid type",
            ),
        ] {
            let refusal = refusal(&format!("{HEAD}{text}\n"));
            assert!(refusal.starts_with(&format!("{field}: ")), "{refusal}");
            assert!(refusal.contains(message), "{refusal}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_named_with_its_line() {
        let refusal = refusal(&format!("{HEAD}flows: [\n"));
        assert!(refusal.contains("line"), "{refusal}");
    }

    #[test]
    fn a_field_given_twice_is_refused() {
        let refusal = refusal(&format!("{HEAD}flows: {{}}\nflows: {{}}\n"));
        assert!(refusal.contains("flows"), "{refusal}");
    }
}
