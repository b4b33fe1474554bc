//! What is asked, as people write it.

use std::{net::SocketAddr, str::FromStr};

use crate::plan::operation::Protocol;

/// An address, a port and a protocol, written `ADDRESS:PORT` (then it is TCP) or
/// `ADDRESS:PORT/PROTOCOL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Address and port.
    pub address: SocketAddr,
    /// Protocol.
    pub protocol: Protocol,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, protocol) = text.split_once('/').unwrap_or((text, "TCP"));
        let protocol = match protocol.to_ascii_uppercase().as_str() {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            _ => return Err(format!("`{protocol}` is none of TCP, UDP and SCTP")),
        };
        let address = address
            .parse()
            .map_err(|_| format!("`{address}` is neither ADDRESS:PORT nor [IPv6]:PORT"))?;
        Ok(Self { address, protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_a_port_and_a_protocol() {
        let parsed = |text: &str| {
            let Target { address, protocol } = text.parse().expect(text);
            format!("{address} {protocol}")
        };
        assert_eq!(parsed("10.96.0.10:80"), "10.96.0.10:80 TCP");
        assert_eq!(parsed("[fd00::1]:53/udp"), "[fd00::1]:53 UDP");
        assert_eq!(parsed("10.96.0.10:80/sctp"), "10.96.0.10:80 SCTP");
        for wrong in ["10.96.0.10", "web:80", "fd00::1:53", "10.96.0.10:80/DCCP", "10.96.0.10:80/"]
        {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
