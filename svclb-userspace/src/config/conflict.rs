//! Options that do not go together.

use std::{fs, io, ops::RangeInclusive};

use super::{Config, DetectLocal, PortRange, field};

/// Two things that cannot both be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{section}.{}: {message} (--{})", field(.option), .option.replace('_', "-"))]
pub struct Conflict {
    section: &'static str,
    option: &'static str,
    message: String,
}

/// The ports that the kernel takes for connections of the node's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPorts {
    /// Those it may take.
    pub ephemeral: RangeInclusive<u16>,
    /// Those of them that it leaves alone.
    pub reserved: Vec<RangeInclusive<u16>>,
}

impl Config {
    /// Whether the options go together.
    ///
    /// # Errors
    ///
    /// The first that does not; its section and field are named, and what it does not go with.
    pub fn check(&self) -> Result<(), Conflict> {
        self.check_detection()?;
        let masquerade = &self.flows.masquerade_ports;
        let node_ports = &self.allocation.node_ports;
        if meet(&masquerade.0, &node_ports.0) {
            let message = format!(
                "{masquerade} meets the NodePorts, {node_ports} (allocation.nodePorts, --node-ports)"
            );
            return Err(Conflict { section: "flows", option: "masquerade_ports", message });
        }
        Ok(())
    }

    /// Whether the options go with what the node's kernel does.
    ///
    /// # Errors
    ///
    /// As [`Config::check`].
    pub fn check_host(&self, host: &HostPorts) -> Result<(), Conflict> {
        let PortRange(masquerade) = &self.flows.masquerade_ports;
        let HostPorts { ephemeral, reserved } = host;
        let is_left = |port: &u16| reserved.iter().any(|range| range.contains(port));
        let taken = masquerade.clone().find(|port| ephemeral.contains(port) && !is_left(port));
        let Some(port) = taken else { return Ok(()) };
        let (first, last) = (ephemeral.start(), ephemeral.end());
        let message = format!(
            "{} meets the ports that the kernel takes for connections of its own, at {port}: \
             {first}-{last} (net.ipv4.ip_local_port_range) without \
             net.ipv4.ip_local_reserved_ports",
            self.flows.masquerade_ports
        );
        Err(Conflict { section: "flows", option: "masquerade_ports", message })
    }

    fn check_detection(&self) -> Result<(), Conflict> {
        let traffic = &self.traffic;
        let is = |mode| traffic.detect_local == mode;
        let lists = [
            (traffic.cluster_cidr.is_some(), DetectLocal::ClusterCidr, "cluster_cidr"),
            (
                traffic.pod_interface_prefix.is_some(),
                DetectLocal::Interface,
                "pod_interface_prefix",
            ),
        ];
        for (given, mode, option) in lists {
            if given != is(mode) {
                let needs = if given { "is of use only" } else { "missing" };
                let name =
                    if mode == DetectLocal::Interface { "interface" } else { "cluster-cidr" };
                let message =
                    format!("{needs} with traffic.detectLocal {name} (--detect-local {name})");
                return Err(Conflict { section: "traffic", option, message });
            }
        }
        Ok(())
    }
}

impl HostPorts {
    /// Those of the network namespace that this process is in.
    ///
    /// # Errors
    ///
    /// The kernel's settings cannot be read.
    pub fn read() -> io::Result<Self> {
        let setting = |name: &str| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        let (ephemeral, reserved) =
            (setting("ip_local_port_range")?, setting("ip_local_reserved_ports")?);
        Self::parse(&ephemeral, &reserved).ok_or_else(|| {
            let text = format!("ports {ephemeral:?}, reserved {reserved:?}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })
    }

    fn parse(ephemeral: &str, reserved: &str) -> Option<Self> {
        let mut ends = ephemeral.split_whitespace().map(str::parse);
        let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let reserved = reserved.trim().split(',').filter(|text| !text.is_empty());
        Some(Self {
            ephemeral: first..=last,
            reserved: reserved.map(range).collect::<Option<_>>()?,
        })
    }
}

fn meet(a: &RangeInclusive<u16>, b: &RangeInclusive<u16>) -> bool {
    a.start() <= b.end() && b.start() <= a.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        config(change).check().expect_err("a conflict").to_string()
    }

    fn masquerading(ports: &str) -> Config {
        config(|config| config.flows.masquerade_ports = ports.parse().expect("ports"))
    }

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(Config::default().check(), Ok(()));
        let host = HostPorts { ephemeral: 32_768..=60_999, reserved: Vec::new() };
        assert_eq!(Config::default().check_host(&host), Ok(()));
    }

    #[test]
    fn a_way_of_detection_has_what_it_needs_and_nothing_else() {
        let ranges = "10.244.0.0/16".parse().ok();
        let prefix = "cali".parse().ok();
        let mode = |mode| move |config: &mut Config| config.traffic.detect_local = mode;
        let missing = refusal(mode(DetectLocal::ClusterCidr));
        assert_eq!(
            missing,
            "traffic.clusterCidr: missing with traffic.detectLocal cluster-cidr (--detect-local \
             cluster-cidr) (--cluster-cidr)"
        );
        let missing = refusal(mode(DetectLocal::Interface));
        assert!(missing.starts_with("traffic.podInterfacePrefix: missing"), "{missing}");
        let useless = refusal(|config| config.traffic.cluster_cidr.clone_from(&ranges));
        assert!(useless.starts_with("traffic.clusterCidr: is of use only"), "{useless}");
        let good = config(|config| {
            config.traffic.detect_local = DetectLocal::Interface;
            config.traffic.pod_interface_prefix = prefix;
        });
        assert_eq!(good.check(), Ok(()));
    }

    #[test]
    fn masquerade_ports_meet_no_node_ports() {
        for ports in ["20000-30000", "32767-40000", "1-65535", "31000-31001"] {
            let error = masquerading(ports).check().expect_err(ports).to_string();
            assert!(error.starts_with("flows.masqueradePorts: "), "{error}");
            assert!(error.contains(ports) && error.contains("30000-32767"), "{error}");
        }
        assert_eq!(masquerading("32768-40000").check(), Ok(()));
    }

    #[test]
    fn masquerade_ports_meet_no_ports_of_the_kernel_that_are_not_reserved() {
        let host = |ephemeral, reserved| HostPorts::parse(ephemeral, reserved).expect("ports");
        let tuned = host("1024\t65535\n", "\n");
        let error = masquerading("10240-29999").check_host(&tuned).expect_err("they meet");
        let error = error.to_string();
        assert!(error.contains("10240-29999") && error.contains("1024-65535"), "{error}");
        let reserved = host("1024\t65535\n", "8080,10240-29999\n");
        assert_eq!(masquerading("10240-29999").check_host(&reserved), Ok(()));
        let error = masquerading("10240-30001").check_host(&reserved).expect_err("one is left");
        assert!(error.to_string().contains("at 30000"), "{error}");
        assert_eq!(HostPorts::parse("1024", ""), None);
        assert_eq!(HostPorts::parse("1024 2048", "a-b"), None);
    }
}
