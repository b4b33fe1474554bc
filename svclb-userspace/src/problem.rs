//! What is wrong with an object, said so that its author can find the place.

use std::fmt;

use serde::Serialize;

use crate::snapshot::ObjectKey;

/// One thing that is wrong with one field of one object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Problem {
    /// The file and document the object was read from, if it came from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Kind, namespace and name, as in `Service default/web`; empty where they are unknown.
    pub object: String,
    /// Path of the field, as in `spec.ports[1].port`; empty for the object as a whole.
    pub field: String,
    /// What is wrong, and what became of it.
    pub message: String,
    /// Whose owner can help it, if anybody's.
    #[serde(skip)]
    pub concern: Option<Concern>,
}

/// The Service whose owner did something wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Concern {
    /// The Service.
    pub service: ObjectKey,
    /// What it was.
    pub reason: Reason,
}

/// What an owner did wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// A field of the Service, or of its slices, cannot be used.
    InvalidField,
    /// It asks for something that svclb does not serve.
    NotServed,
    /// Another Service has the address and port already.
    AddressInUse,
    /// A process of the node has the port at which its health is asked for.
    HealthCheckFailed,
}

impl Reason {
    /// Its name, as the reason of a Kubernetes Event.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidField => "InvalidField",
            Self::NotServed => "NotServed",
            Self::AddressInUse => "AddressInUse",
            Self::HealthCheckFailed => "FailedToStartServiceHealthcheck",
        }
    }
}

/// A document of a manifest file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Number of the document in the file, from 1; 0 for the file as a whole.
    pub document: usize,
}

impl Problem {
    /// A problem of `field` of `object`.
    pub fn new(
        object: impl fmt::Display,
        field: impl Into<String>,
        message: impl fmt::Display,
    ) -> Self {
        Self {
            place: None,
            object: object.to_string(),
            field: field.into(),
            message: message.to_string(),
            concern: None,
        }
    }

    /// The same problem, which the owner of a Service can help.
    #[must_use]
    pub fn concerning(self, service: ObjectKey, reason: Reason) -> Self {
        Self { concern: Some(Concern { service, reason }), ..self }
    }

    /// The same problem, found in a document of a file.
    #[must_use]
    pub fn at(self, file: &str, document: usize) -> Self {
        Self { place: Some(Place { file: file.to_owned(), document }), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(place) = &self.place {
            parts.push(place.to_string());
        }
        for part in [&self.object, &self.field] {
            if !part.is_empty() {
                parts.push(part.clone());
            }
        }
        if parts.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", parts.join(", "), self.message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.document {
            0 => f.write_str(&self.file),
            number => write!(f, "{}, document {number}", self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_what_is_known() {
        let problem = Problem::new("Service default/web", "spec.ports[0].port", "not a port");
        assert_eq!(problem.to_string(), "Service default/web, spec.ports[0].port: not a port");
        assert_eq!(
            problem.at("web.yaml", 2).to_string(),
            "web.yaml, document 2, Service default/web, spec.ports[0].port: not a port"
        );
        let whole = Problem::new("", "", "cannot be read").at("web.yaml", 0);
        assert_eq!(whole.to_string(), "web.yaml: cannot be read");
    }
}
