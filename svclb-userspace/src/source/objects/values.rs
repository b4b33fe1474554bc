//! Values that are not any number or text.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use crate::{
    plan::operation::{Family, Protocol},
    snapshot::TrafficPolicy,
};

/// A port number, never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::source) struct PortNumber(u16);

impl PortNumber {
    pub(in crate::source) fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for PortNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        port_number(number)
            .ok_or_else(|| de::Error::custom(format_args!("{number} is not a port: 1 to 65535")))
    }
}

fn port_number(number: i64) -> Option<PortNumber> {
    u16::try_from(number).ok().filter(|number| *number > 0).map(PortNumber)
}

/// `targetPort`: a number, or the name of a container's port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::source) enum TargetPort {
    Number(PortNumber),
    Name(String),
}

impl<'de> Deserialize<'de> for TargetPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "neither a number nor a name")]
        enum Written {
            Number(i64),
            Name(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => port_number(number).map(Self::Number).ok_or_else(|| {
                de::Error::custom(format_args!("{number} is not a port: 1 to 65535"))
            }),
            Written::Name(name) => Ok(Self::Name(name)),
        }
    }
}

/// A protocol that a Service can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::source) enum Transport {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Transport {
    /// The protocol that svclb balances.
    pub(in crate::source) fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::Tcp,
            Self::Udp => Protocol::Udp,
            Self::Sctp => Protocol::Sctp,
        }
    }
}

/// `clusterIP`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::source) enum ClusterIp {
    /// Left to the cluster.
    #[default]
    Unset,
    /// `None`: the Service has no address of its own.
    Headless,
    /// This one.
    Address(IpAddr),
}

impl<'de> Deserialize<'de> for ClusterIp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "" => Ok(Self::Unset),
            "None" => Ok(Self::Headless),
            text => parse_ip(text).map(Self::Address).map_err(de::Error::custom),
        }
    }
}

/// An address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) struct Address(pub(in crate::source) IpAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_ip(&text).map(Self).map_err(de::Error::custom)
    }
}

/// A range of addresses, without the bits of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) struct Cidr(pub(in crate::source) IpNet);

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The API server lets blanks around a source range pass.
        let net: IpNet = text.trim().parse().map_err(|_| {
            de::Error::custom(format_args!("{text:?} is not a range of IP addresses: IP/LENGTH"))
        })?;
        Ok(Self(net.trunc()))
    }
}

/// `externalTrafficPolicy`, `internalTrafficPolicy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub(in crate::source) enum Policy {
    #[default]
    Cluster,
    Local,
}

impl From<Policy> for TrafficPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Cluster => Self::Cluster,
            Policy::Local => Self::Local,
        }
    }
}

/// How long a client stays with its endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) struct AffinityTimeout(u32);

impl AffinityTimeout {
    pub(in crate::source) fn get(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl Default for AffinityTimeout {
    fn default() -> Self {
        Self(10_800)
    }
}

impl<'de> Deserialize<'de> for AffinityTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = i64::deserialize(deserializer)?;
        let valid = u32::try_from(seconds).ok().filter(|seconds| (1..=86_400).contains(seconds));
        valid.map(Self).ok_or_else(|| {
            de::Error::custom(format_args!("{seconds} is not a time-out: 1 to 86400 seconds"))
        })
    }
}

/// `ipFamilies[]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(in crate::source) enum IpFamily {
    IPv4,
    IPv6,
}

impl From<IpFamily> for Family {
    fn from(family: IpFamily) -> Self {
        match family {
            IpFamily::IPv4 => Self::V4,
            IpFamily::IPv6 => Self::V6,
        }
    }
}

/// `addressType` of an EndpointSlice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(in crate::source) enum AddressType {
    IPv4,
    IPv6,
    #[serde(rename = "FQDN")]
    Fqdn,
}

/// An address, or what is wrong with it.
pub(in crate::source) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an IP address"))
}

/// A missing value and an explicit null are the same in Kubernetes.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An address that is absent as long as it is not known.
pub(super) fn empty_or_ip<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<IpAddr>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => parse_ip(text).map(Some).map_err(de::Error::custom),
    }
}
