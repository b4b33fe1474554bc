//! What the kernel's own forwarding must do once svclb has rewritten a packet.

use std::fs;

use super::{Finding, Grade};

pub(super) fn findings() -> Vec<Finding> {
    vec![
        forwarding("IPv4 forwarding", "net/ipv4/ip_forward"),
        forwarding("IPv6 forwarding", "net/ipv6/conf/all/forwarding"),
        reverse_path(),
        bridges(),
    ]
}

fn read(name: &str) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}

fn forwarding(check: &'static str, name: &str) -> Finding {
    match read(name) {
        None => Finding::new(check, Grade::Unknown, format!("{name} cannot be read")),
        Some(value) if value == "0" => {
            let detail = format!("{name} is 0: this node reaches no endpoint for others");
            Finding::new(check, Grade::Warning, detail)
        }
        Some(value) => Finding::new(check, Grade::Ok, format!("{name} is {value}")),
    }
}

/// Every setting is fine: between the hooks a packet has its client's own address.
fn reverse_path() -> Finding {
    let name = "net/ipv4/conf/all/rp_filter";
    let meaning = match read(name).as_deref() {
        Some("0") => "off, where a device does not say otherwise",
        Some("1") => "strict",
        Some("2") => "loose",
        _ => return Finding::new("reverse path", Grade::Unknown, format!("{name} cannot be read")),
    };
    Finding::new("reverse path", Grade::Ok, format!("{name}: {meaning}"))
}

fn bridges() -> Finding {
    let detail = match read("net/bridge/bridge-nf-call-iptables").as_deref() {
        Some("1") => "netfilter sees bridged packets",
        Some(_) => "br_netfilter is loaded, but off",
        None => "br_netfilter is not loaded",
    };
    Finding::new("bridges", Grade::Ok, detail)
}
