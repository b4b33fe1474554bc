//! Values of options that are more than a number or a text.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
};

use clap::ValueEnum;
use hyper::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use svclb_common::{echo, layout::size};

/// Ports, written `FIRST-LAST`, both included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("`{text}` is no port number")),
        };
        let (first, last) = text.split_once('-').ok_or("not of the form FIRST-LAST")?;
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(format!("{first} is greater than {last}"));
        }
        Ok(Self(first..=last))
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

/// Whose ping is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Echo {
    /// That to ClusterIPs.
    ClusterIps,
    /// That to every address of a Service, but for this node's own.
    All,
    /// Nobody's.
    Off,
}

impl Echo {
    /// The value of [`svclb_common::echo`].
    pub fn number(self) -> u8 {
        match self {
            Self::ClusterIps => echo::CLUSTER_IPS,
            Self::All => echo::ALL,
            Self::Off => echo::OFF,
        }
    }
}

/// Addresses to listen at, written `IP:PORT,IP:PORT`, or `off` for none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen(pub Vec<SocketAddr>);

impl Listen {
    /// On loopback: for what runs on the node itself.
    pub(super) fn loopback(port: u16) -> Self {
        Self(vec![(Ipv4Addr::LOCALHOST, port).into()])
    }

    /// At every address of both families.
    pub(super) fn everywhere(port: u16) -> Self {
        Self(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()])
    }
}

/// How no address is written.
const OFF: &str = "off";

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == OFF {
            return Ok(Self(Vec::new()));
        }
        let address = |text: &str| {
            text.parse().map_err(|_| format!("`{text}` is neither IP:PORT nor [IPv6]:PORT"))
        };
        text.split(',').map(address).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(OFF);
        }
        let addresses: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&addresses.join(","))
    }
}

/// Servers, written `https://HOST:PORT`, several with commas; at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Servers(pub Vec<Uri>);

impl FromStr for Servers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let server = |text: &str| {
            let uri: Uri = text.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
            match (uri.scheme_str(), uri.host(), uri.query()) {
                (Some("http" | "https"), Some(_), None) => Ok(uri),
                _ => Err(format!("`{text}` is not of the form https://HOST:PORT")),
            }
        };
        text.split(',').map(server).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&servers.join(","))
    }
}

/// Types that the file writes as the command line does.
macro_rules! as_text {
    ($($type:ty),+) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )+ };
}

pub(super) use as_text;

as_text!(PortRange, Listen, Servers);

/// A number of records that is a power of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct PowerOfTwo(u32);

impl PowerOfTwo {
    /// How many flows of a family there are by default.
    pub(super) const FLOWS: Self = Self(size::FLOWS);
}

const _: () = assert!(size::FLOWS.is_power_of_two());

impl TryFrom<u32> for PowerOfTwo {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number.is_power_of_two() {
            Ok(Self(number))
        } else {
            Err(format!("{number} is not a power of two"))
        }
    }
}

impl FromStr for PowerOfTwo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<u32>().map_err(|_| format!("`{text}` is no number"))?.try_into()
    }
}

impl From<PowerOfTwo> for u32 {
    fn from(number: PowerOfTwo) -> Self {
        number.0
    }
}

/// How finely traffic is broken down in the metrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PerService {
    /// Only the node's totals.
    Off,
    /// Five series for each service port and family.
    Service,
    /// The same for each endpoint, too.
    Backend,
}

/// How clients inside the cluster are told from those outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectLocal {
    /// By the ranges of the cluster's pods.
    ClusterCidr,
    /// By the ranges of this node's pods, where the Node object names them.
    NodeCidr,
    /// By the device that their packets come from.
    Interface,
    /// Not at all.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_are_checked() {
        assert_eq!("10240-29999".parse(), Ok(PortRange(10_240..=29_999)));
        for wrong in ["", "80", "0-9", "9-8", "1-65536", "a-b"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn servers_are_urls_with_a_host() {
        let text = "https://192.0.2.1:6443,https://[2001:db8::1]:6443,http://api.example";
        let servers: Servers = text.parse().expect(text);
        assert_eq!(servers.0.len(), 3);
        assert_eq!(servers.to_string().parse(), Ok(servers));
        for wrong in ["", "192.0.2.1:6443", "ftp://a", "https://", "https://a,", "https://a/?b"] {
            assert!(wrong.parse::<Servers>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn flow_tables_are_powers_of_two() {
        assert_eq!("1024".parse(), Ok(PowerOfTwo(1024)));
        assert!("1000".parse::<PowerOfTwo>().is_err() && "0".parse::<PowerOfTwo>().is_err());
    }

    #[test]
    fn addresses_survive_being_written() {
        for text in ["off", "127.0.0.1:0", "0.0.0.0:10256,[::]:10256"] {
            assert_eq!(text.parse::<Listen>().expect(text).to_string(), text);
        }
        for wrong in ["", "10256", "localhost:1", "127.0.0.1:1,"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }
}
