//! One object of a document: its kind, its name, its contents.

use ipnet::IpNet;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    convert::{self, FieldError, SERVICE_NAME},
    objects::{self, Pod, Service},
};
use crate::{
    problem::{Problem, Reason},
    snapshot::{EndpointSlice, Node, ObjectKey},
};

/// The kinds that matter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Kind {
    EndpointSlice,
    Node,
    Pod,
    Service,
    ServiceCidr,
}

impl Kind {
    /// The kind of an object, if it matters.
    fn of(api_version: &str, kind: &str) -> Option<Self> {
        match (api_version, kind) {
            ("discovery.k8s.io/v1", "EndpointSlice") => Some(Self::EndpointSlice),
            ("v1", "Node") => Some(Self::Node),
            ("v1", "Pod") => Some(Self::Pod),
            ("v1", "Service") => Some(Self::Service),
            ("networking.k8s.io/v1", "ServiceCIDR") => Some(Self::ServiceCidr),
            _ => None,
        }
    }

    /// The name of the kind, as objects have it.
    fn name(self) -> &'static str {
        match self {
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::ServiceCidr => "ServiceCIDR",
        }
    }

    /// Whether its objects are in namespaces.
    fn is_namespaced(self) -> bool {
        !matches!(self, Self::Node | Self::ServiceCidr)
    }
}

/// Which object: there is one of each kind and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct ObjectId {
    pub(super) kind: Kind,
    /// The namespace of what is in none is empty.
    pub(super) key: ObjectKey,
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, key) = (self.kind.name(), &self.key);
        match self.kind.is_namespaced() {
            true => write!(f, "{kind} {key}"),
            false => write!(f, "{kind} {}", key.name),
        }
    }
}

/// An object that can be used.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Object {
    /// `None`: it has nothing for svclb.
    EndpointSlice(Option<EndpointSlice>),
    Node(Node),
    Pod(Pod),
    Service(Service),
    ServiceCidr(Vec<IpNet>),
}

/// What was read where an object was expected.
#[derive(Debug)]
pub(super) enum Read {
    /// An object.
    Object(ObjectId, Box<Object>),
    /// A kind that does not matter.
    Ignored,
    /// An object that cannot be used; `None` if not even its name is known.
    Broken(Option<ObjectId>, Problem),
}

/// The fields by which an object is known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

/// Makes an object of a document, or of an item of a list (then `prefix` is its path).
pub(super) fn read(value: &Value, prefix: &str) -> Read {
    if !value.is_object() {
        let error = FieldError::new("", "not an object: a mapping with apiVersion and kind");
        return Read::Broken(None, problem("", prefix, error));
    }
    let head = match from_value::<Head>(value) {
        Ok(head) => head,
        Err(error) => return Read::Broken(None, problem("", prefix, error)),
    };
    match Kind::of(&head.api_version, &head.kind) {
        Some(kind) => read_as(kind, value, prefix),
        None => Read::Ignored,
    }
}

/// Makes an object of what is known to be of a kind: the API server does not repeat it in the items
/// of a list.
pub(super) fn read_as(kind: Kind, value: &Value, prefix: &str) -> Read {
    let id = match identify(kind, value) {
        Ok(id) => id,
        Err(error) => return Read::Broken(None, problem(kind.name(), prefix, error)),
    };
    match contents(&id, value) {
        Ok(object) => Read::Object(id, Box::new(object)),
        Err(error) => {
            let problem = problem(&id, prefix, error);
            let problem = concerning(&id, value, problem);
            Read::Broken(Some(id), problem)
        }
    }
}

/// Which object it is.
pub(super) fn identify(kind: Kind, value: &Value) -> Result<ObjectId, FieldError> {
    let metadata = &value["metadata"];
    let namespace = match kind.is_namespaced() {
        true => metadata["namespace"].as_str().unwrap_or("default"),
        false => "",
    };
    let Some(name) = metadata["name"].as_str().filter(|name| !name.is_empty()) else {
        let what = if metadata["name"].is_null() { "missing" } else { "not a name" };
        return Err(FieldError::new("metadata.name", what));
    };
    Ok(ObjectId { kind, key: ObjectKey::new(namespace, name) })
}

fn contents(id: &ObjectId, value: &Value) -> Result<Object, FieldError> {
    Ok(match id.kind {
        Kind::EndpointSlice => Object::EndpointSlice(convert::slice(&from_value(value)?)?),
        Kind::Node => Object::Node(convert::node(&from_value(value)?)?),
        Kind::Pod => Object::Pod(from_value(value)?),
        Kind::Service => {
            let service: Service = from_value(value)?;
            convert::check_service(&id.key, &service)?;
            Object::Service(service)
        }
        Kind::ServiceCidr => {
            let object: objects::ServiceCidr = from_value(value)?;
            Object::ServiceCidr(object.spec.cidrs.iter().map(|cidr| cidr.0).collect())
        }
    })
}

fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        FieldError::new(field, error.inner().to_string())
    })
}

/// The problem as one of the Service that the object is, or belongs to.
fn concerning(id: &ObjectId, value: &Value, problem: Problem) -> Problem {
    let service = match id.kind {
        Kind::Service => Some(id.key.name.as_ref()),
        Kind::EndpointSlice => value["metadata"]["labels"][SERVICE_NAME].as_str(),
        Kind::Node | Kind::Pod | Kind::ServiceCidr => None,
    };
    match service {
        Some(name) => {
            problem.concerning(ObjectKey::new(&id.key.namespace, name), Reason::InvalidField)
        }
        None => problem,
    }
}

fn problem(object: impl std::fmt::Display, prefix: &str, error: FieldError) -> Problem {
    let field = match (prefix, error.field.as_str()) {
        ("", field) | (field, "") => field.to_owned(),
        (prefix, field) => format!("{prefix}.{field}"),
    };
    Problem::new(object, field, error.message)
}
