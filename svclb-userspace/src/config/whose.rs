//! Options that say whose addresses and devices are whose.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::values::as_text;
use crate::{
    desired::node_ports::{NodePortAddresses, Selection},
    snapshot::ObjectKey,
};

/// Ranges of addresses, written `CIDR,CIDR`; at least one. Of an address with a prefix, the range
/// that it is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cidrs(pub BTreeSet<IpNet>);

impl FromStr for Cidrs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(cidr).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Cidrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&ranges.join(","))
    }
}

/// One range of a list.
pub(super) fn cidr(text: &str) -> Result<IpNet, String> {
    let net: Result<IpNet, _> = text.trim().parse();
    net.map(|net| net.trunc()).map_err(|_| format!("`{text}` is no range: IP/LENGTH"))
}

impl FromStr for NodePortAddresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let selection = |text: &str| match text.trim() {
            "all" => Ok(Selection::All),
            "localhost" => Ok(Selection::Localhost),
            "primary" => Ok(Selection::Primary),
            other => cidr(other).map(Selection::Range).map_err(|_| {
                format!("`{other}` is neither all, localhost, primary nor a range: IP/LENGTH")
            }),
        };
        text.split(',').map(selection).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for NodePortAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |selection: &Selection| match selection {
            Selection::All => "all".to_owned(),
            Selection::Localhost => "localhost".to_owned(),
            Selection::Primary => "primary".to_owned(),
            Selection::Range(range) => range.to_string(),
        };
        f.write_str(&self.0.iter().map(name).collect::<Vec<_>>().join(","))
    }
}

/// Services, written `NAMESPACE/NAME,NAMESPACE/NAME`; at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceNames(pub BTreeSet<ObjectKey>);

impl FromStr for ServiceNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let service = |text: &str| match text.trim().split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(ObjectKey::new(namespace, name))
            }
            _ => Err(format!("`{text}` is no Service: NAMESPACE/NAME")),
        };
        text.split(',').map(service).collect::<Result<_, _>>().map(Self)
    }
}

/// Whether objects can be called so: a label of RFC 1123.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(fits)
}

impl fmt::Display for ServiceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(","))
    }
}

/// How the names of devices for pods begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfacePrefix(pub String);

impl FromStr for InterfacePrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
        match text.len() {
            1..=NAME_BYTES if fits => Ok(Self(text.to_owned())),
            _ => Err(format!("`{text}` begins no device's name")),
        }
    }
}

impl fmt::Display for InterfacePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long the name of a device may be: the kernel's IFNAMSIZ, less the zero byte.
const NAME_BYTES: usize = 15;

as_text!(ServiceNames, Cidrs, NodePortAddresses, InterfacePrefix);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_separated_by_commas() {
        let cidrs: Cidrs = "10.96.3.4/16, fd00:10:96::/112".parse().expect("two ranges");
        assert_eq!(cidrs.to_string(), "10.96.0.0/16,fd00:10:96::/112");
        assert_eq!(cidrs.to_string().parse(), Ok(cidrs));
        for wrong in ["", "10.96.0.0", "10.96.0.0/33", "10.96.0.0/16,", "a/8", "::/129"] {
            let error = wrong.parse::<Cidrs>().expect_err(wrong);
            assert!(error.contains("no range: IP/LENGTH"), "{error}");
        }
    }

    #[test]
    fn services_are_named_with_their_namespaces() {
        let names: ServiceNames = "kube-system/kube-dns, a/b".parse().expect("two Services");
        assert_eq!(names.to_string(), "a/b,kube-system/kube-dns");
        assert_eq!(names.to_string().parse(), Ok(names));
        for wrong in ["", "kube-dns", "a/b,", "a/b/c", "/b", "a/", "A/b"] {
            let error = wrong.parse::<ServiceNames>().expect_err(wrong);
            assert!(error.contains("no Service: NAMESPACE/NAME"), "{error}");
        }
    }

    #[test]
    fn node_port_addresses_are_words_and_ranges() {
        for text in ["all,localhost", "primary", "10.0.0.0/8,2001:db8::/32", "localhost,primary"] {
            let addresses: NodePortAddresses = text.parse().expect(text);
            assert_eq!(addresses.to_string(), text);
        }
        assert_eq!(NodePortAddresses::default().to_string(), "all,localhost");
        for wrong in ["", "none", "192.0.2.1", "primary,", "ALL", "10.0.0.0/33"] {
            let error = wrong.parse::<NodePortAddresses>().expect_err(wrong);
            assert!(error.contains("neither all, localhost, primary nor a range"), "{error}");
        }
    }

    #[test]
    fn a_prefix_is_one_of_a_devices_name() {
        assert_eq!("cali".parse(), Ok(InterfacePrefix("cali".into())));
        for wrong in ["", "a/b", "a b", "a:1", "sixteen-letters-"] {
            assert!(wrong.parse::<InterfacePrefix>().is_err(), "{wrong}");
        }
    }
}
