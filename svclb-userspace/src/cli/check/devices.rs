//! Devices and programs on them that keep packets from svclb's hooks.

use anyhow::{Context, Result};
use aya::programs::loaded_programs;
use futures_util::TryStreamExt;
use rtnetlink::{
    new_connection,
    packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkLayerType, LinkMessage},
};
use svclb::attach::is_supported;

use super::{Finding, Grade};

/// A device as far as the checks look at it.
#[derive(Debug)]
struct Device {
    name: String,
    kind: Option<InfoKind>,
    layer: LinkLayerType,
}

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = match devices() {
        Ok(devices) => judge(&devices),
        Err(error) => vec![Finding::new("devices", Grade::Unknown, format!("{error:#}"))],
    };
    findings.push(programs());
    findings
}

fn judge(devices: &[Device]) -> Vec<Finding> {
    vec![
        absent("link layers", devices, "svclb cannot parse their packets", |device| {
            !is_supported(device.layer)
        }),
        absent("VRFs", devices, "overlapping addresses are not told apart", |device| {
            device.kind == Some(InfoKind::Vrf)
        }),
        absent("macvlan, ipvlan", devices, "pods behind them do not pass the node", |device| {
            use InfoKind::{IpVlan, IpVtap, MacVlan, MacVtap};
            matches!(device.kind, Some(MacVlan | MacVtap | IpVlan | IpVtap))
        }),
        absent("kube-proxy, IPVS", devices, "it serves the same addresses", |device| {
            device.name == "kube-ipvs0"
        }),
        absent(
            "NodeLocal DNS",
            devices,
            "it listens on the address of kube-dns: --leave-to-host",
            |device| device.name == "nodelocaldns",
        ),
    ]
}

/// A warning if any device `matches`.
fn absent(
    check: &'static str,
    devices: &[Device],
    trouble: &str,
    matches: impl Fn(&Device) -> bool,
) -> Finding {
    let found: Vec<&str> =
        devices.iter().filter(|device| matches(device)).map(|device| &*device.name).collect();
    if found.is_empty() {
        return Finding::new(check, Grade::Ok, "none");
    }
    Finding::new(check, Grade::Warning, format!("{}: {trouble}", found.join(", ")))
}

fn devices() -> Result<Vec<Device>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection().context("open rtnetlink")?;
        tokio::spawn(connection);
        let links: Vec<LinkMessage> =
            handle.link().get().execute().try_collect().await.context("list the devices")?;
        Ok(links.iter().map(device).collect())
    })
}

fn device(link: &LinkMessage) -> Device {
    let (mut name, mut kind) = (String::new(), None);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name.clone_from(text),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.clone()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Device { name, kind, layer: link.header.link_layer_type }
}

/// CNIs whose programs may carry packets past a device's egress hook.
fn programs() -> Finding {
    let check = "other eBPF";
    let names = loaded_programs()
        .map(|program| program.map(|program| String::from_utf8_lossy(program.name()).into_owned()));
    match names.collect::<Result<Vec<_>, _>>() {
        Ok(names) => judge_programs(check, &names),
        Err(error) => Finding::new(check, Grade::Unknown, error.to_string()),
    }
}

fn judge_programs(check: &'static str, names: &[String]) -> Finding {
    let loaded = |prefixes: &[&str]| {
        names.iter().any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    };
    let mut cnis = Vec::new();
    if loaded(&["cil_", "tail_handle_ipv"]) {
        cnis.push("Cilium");
    }
    if loaded(&["calico_", "cali_"]) {
        cnis.push("Calico");
    }
    if cnis.is_empty() {
        return Finding::new(check, Grade::Ok, "no programs of Cilium or Calico");
    }
    let detail = format!(
        "programs of {} are loaded: with its host routing, packets pass svclb's hooks by",
        cnis.join(" and ")
    );
    Finding::new(check, Grade::Warning, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, kind: Option<InfoKind>) -> Device {
        Device { name: name.to_owned(), kind, layer: LinkLayerType::Ether }
    }

    #[test]
    fn what_is_not_covered_is_named() {
        let devices = [
            device("eth0", None),
            Device { layer: LinkLayerType::Infiniband, ..device("ib0", None) },
            device("red", Some(InfoKind::Vrf)),
            device("mv0", Some(InfoKind::MacVlan)),
            device("iv0", Some(InfoKind::IpVlan)),
            device("kube-ipvs0", Some(InfoKind::Dummy)),
            device("nodelocaldns", Some(InfoKind::Dummy)),
        ];
        let findings = judge(&devices);
        let details: Vec<_> = findings
            .iter()
            .map(|finding| finding.detail.split(':').next().unwrap_or_default())
            .collect();
        assert_eq!(details, ["ib0", "red", "mv0, iv0", "kube-ipvs0", "nodelocaldns"]);
        assert!(findings.iter().all(|finding| finding.result == Grade::Warning));
    }

    #[test]
    fn an_ordinary_node_has_nothing_to_warn_about() {
        let devices = [device("lo", None), device("cni0", Some(InfoKind::Bridge))];
        assert!(judge(&devices).iter().all(|finding| finding.result == Grade::Ok));
    }

    #[test]
    fn cnis_are_known_by_their_programs() {
        let judge = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            judge_programs("other eBPF", &names)
        };
        assert_eq!(judge(&["ingress_eth", "sd_fw_egress"]).result, Grade::Ok);
        let finding = judge(&["cil_from_container", "calico_tc_main"]);
        assert!(finding.detail.contains("Cilium and Calico"), "{}", finding.detail);
    }
}
