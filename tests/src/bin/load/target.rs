//! Whom to ask, as it is written on the command line.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, Error, Result, bail, ensure};
use hyper::Uri;

/// How a connection speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1 over TCP.
    Http,
    /// Bytes over TCP.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Whom to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// How.
    pub(crate) protocol: Protocol,
    /// What HTTP asks for.
    pub(crate) path: String,
    /// The host as it was given, for the `Host` header.
    pub(crate) authority: String,
    host: String,
    port: u16,
}

impl Target {
    /// Its first address.
    ///
    /// # Errors
    /// The name has none.
    pub(crate) fn resolve(&self) -> Result<SocketAddr> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, self.port).to_socket_addrs();
        let mut found = found.with_context(|| format!("looking {host} up"))?;
        found.next().with_context(|| format!("{host} has no address"))
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let uri: Uri = text.parse()?;
        let (protocol, default_port) = match uri.scheme_str() {
            Some("http") => (Protocol::Http, Some(80)),
            Some("tcp") => (Protocol::Tcp, None),
            Some("udp") => (Protocol::Udp, None),
            _ => bail!("not of the form http://..., tcp://... or udp://..."),
        };
        let authority = uri.authority().context("no host")?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        ensure!(protocol == Protocol::Http || path == "/", "only HTTP has paths");
        Ok(Self {
            protocol,
            path: path.to_owned(),
            authority: authority.to_string(),
            host: authority.host().to_owned(),
            port: authority.port_u16().or(default_port).context("no port")?,
        })
    }
}

/// A time as a number with its unit: `500ms`, `10s`, `5m`.
///
/// # Errors
/// It is none.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().context("not a number with a unit: 500ms, 10s, 5m")?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => bail!("`{unit}` is none of the units ms, s, m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let target: Target = "http://shop.example/a?b=c".parse().unwrap();
        assert_eq!((target.host.as_str(), target.port), ("shop.example", 80));
        assert_eq!((target.path.as_str(), target.protocol), ("/a?b=c", Protocol::Http));
        let target: Target = "udp://[2001:db8::1]:53".parse().unwrap();
        assert_eq!(target.resolve().unwrap(), "[2001:db8::1]:53".parse().unwrap());
        assert_eq!(target.protocol, Protocol::Udp);
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for wrong in ["192.0.2.1:80", "https://shop.example/", "tcp://host", "udp://h:1/path", ""] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("1500ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        for wrong in ["10", "s", "-1s", "1h", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
