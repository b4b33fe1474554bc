//! One change to the maps: the language between the plan and its writers.
//!
//! Operations are family-agnostic; a writer picks the map by the address. Each is idempotent, so a
//! plan that was cut off can be written again.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use serde::Serialize;
use svclb_common::{
    filter::Interest,
    frontend::{Service, Slot, backend_flags},
    tuple::{SCTP, TCP, UDP},
};

/// A transport protocol that svclb balances.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
            Self::Sctp => SCTP,
        }
    }

    /// The protocol of an IANA number, if svclb balances it.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            TCP => Some(Self::Tcp),
            UDP => Some(Self::Udp),
            SCTP => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What clients ask: an address of its own, or a port at every address of the node. The other ports
/// of an address of its own, and ping to it, have an entry too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrontendAddress {
    /// A ClusterIP, external or load-balancer address.
    Address(SocketAddr, Protocol),
    /// A NodePort of one family.
    NodePort(Family, u16, Protocol),
    /// Such an address itself, whatever the port.
    Vip(IpAddr),
}

impl FrontendAddress {
    /// The address, if it is one of its own.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Address(at, _) => Some(at.ip()),
            Self::Vip(ip) => Some(*ip),
            Self::NodePort(..) => None,
        }
    }

    /// The family of the address.
    pub fn family(&self) -> Family {
        match self {
            Self::Address(at, _) => Family::of(at.ip()),
            Self::NodePort(family, ..) => *family,
            Self::Vip(ip) => Family::of(*ip),
        }
    }

    /// Whether it is an address whatever the port.
    pub fn is_vip(&self) -> bool {
        matches!(self, Self::Vip(_))
    }

    /// The protocol, where that matters.
    pub fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Address(_, protocol) | Self::NodePort(_, _, protocol) => Some(*protocol),
            Self::Vip(_) => None,
        }
    }
}

impl fmt::Display for FrontendAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, protocol) => write!(f, "{address}/{protocol}"),
            Self::NodePort(family, port, protocol) => {
                write!(f, "NodePort {port}/{protocol} {family}")
            }
            Self::Vip(ip) => write!(f, "{ip}"),
        }
    }
}

/// Who owns a service id: a service port of one family.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServicePort {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
    /// Name of the port; empty where the only port has none.
    pub port_name: String,
    /// Protocol of the port.
    pub protocol: Protocol,
    /// Family of the addresses.
    pub family: Family,
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, port_name, protocol, family } = self;
        match port_name.as_str() {
            "" => write!(f, "{namespace}/{name} {protocol} {family}"),
            port => write!(f, "{namespace}/{name} {port}/{protocol} {family}"),
        }
    }
}

/// One endpoint of one service port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackendEntry {
    /// Address and port of the endpoint.
    pub address: SocketAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Service id.
    pub service: u32,
    /// Bits of [`svclb_common::frontend::backend_flags`].
    pub flags: u8,
    /// Share of new flows relative to the service's other backends.
    pub weight: u16,
}

impl BackendEntry {
    /// Whether new connections may go there.
    pub fn is_serving(&self) -> bool {
        self.flags & backend_flags::SERVING != 0
    }
}

/// One change to the maps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// The address may concern svclb from now on: set its bit in `addr_filter`.
    Watch(IpAddr, Interest),
    /// The address concerns svclb no more. The writer counts users of a shared bit.
    Unwatch(IpAddr, Interest),
    /// `names`: the owner of a service id and the port number it is asked at.
    SetName(u32, ServicePort, u16),
    /// Removes a service id from `names`.
    RemoveName(u32),
    /// `backends4`/`backends6`, by backend id.
    SetBackend(u32, BackendEntry),
    /// Zeroes a backend of the given family.
    RemoveBackend(u32, Family),
    /// `slots`, from the given index on.
    SetSlots(u32, Vec<Slot>),
    /// `services`, by service id: the switch to a new range.
    SetService(u32, Service),
    /// Zeroes a service.
    RemoveService(u32),
    /// `sources4`/`sources6`: a range of clients that may ask a service, or, in place of a service
    /// id, one of the constants of [`Source`](svclb_common::frontend::Source).
    AddSource(u32, IpNet),
    /// Removes such a range.
    RemoveSource(u32, IpNet),
    /// `service_cidrs4`/`service_cidrs6`: a range that ClusterIPs are given out from.
    AddServiceCidr(IpNet),
    /// Removes such a range.
    RemoveServiceCidr(IpNet),
    /// `frontends4`/`frontends6`: the service id and its frontend flags.
    SetFrontend(FrontendAddress, svclb_common::frontend::Frontend),
    /// Removes a frontend.
    RemoveFrontend(FrontendAddress),
}
