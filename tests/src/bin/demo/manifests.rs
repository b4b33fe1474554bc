//! The example manifests, and the changes that the demo makes to its copy of them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use svclb_tests::lab::Manifests;

/// The separator of documents in a file.
const SEPARATOR: &str = "---\n";

/// A pod of the examples.
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: &'static str,
    /// The number of its node.
    pub(crate) node: u8,
    /// The ports that it serves.
    pub(crate) ports: &'static [u16],
}

/// The pods of the examples: the lab gives each node's pods their addresses in this order.
pub(crate) const PODS: &[Pod] = &[
    Pod { name: "shop-1", node: 1, ports: &[8080] },
    Pod { name: "shop-2", node: 1, ports: &[8081] },
    Pod { name: "dns-1", node: 1, ports: &[5353, 9153] },
    Pod { name: "gateway-1", node: 1, ports: &[8080] },
    Pod { name: "shop-3", node: 2, ports: &[8080] },
    Pod { name: "shop-4", node: 2, ports: &[8080] },
    Pod { name: "dns-2", node: 2, ports: &[5353, 9153] },
    Pod { name: "gateway-2", node: 2, ports: &[8080] },
];

/// Copies the manifests in `from` into the folder that the agents follow.
///
/// # Errors
/// A file cannot be read or written, or there is none.
pub(crate) fn copy(from: &Path, to: &Manifests) -> Result<()> {
    let files = fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
    let mut copied = 0;
    for file in files {
        let path = file.with_context(|| format!("reading {}", from.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        to.write(&name, &text)?;
        copied += 1;
    }
    ensure!(copied > 0, "{} holds no manifests", from.display());
    Ok(())
}

/// The file without the Pod of that name.
pub(crate) fn without(file: &str, pod: &str) -> String {
    let keep = |document: &&str| !is_pod(document, pod);
    file.split(SEPARATOR).filter(keep).collect::<Vec<_>>().join(SEPARATOR)
}

/// The file with the Pod of that name unready.
pub(crate) fn unready(file: &str, pod: &str) -> String {
    let change = |document: &str| match is_pod(document, pod) {
        true => document.replace("status: \"True\"", "status: \"False\""),
        false => document.to_owned(),
    };
    file.split(SEPARATOR).map(change).collect::<Vec<_>>().join(SEPARATOR)
}

fn is_pod(document: &str, name: &str) -> bool {
    let mut lines = document.lines();
    lines.any(|line| line == "kind: Pod") && lines.any(|line| line == format!("  name: {name}"))
}

#[cfg(test)]
mod tests {
    use svclb_tests::lab::address;

    use super::*;

    const FILES: [&str; 3] = [
        include_str!("../../../../examples/shop.yaml"),
        include_str!("../../../../examples/dns.yaml"),
        include_str!("../../../../examples/gateway.yaml"),
    ];

    #[test]
    fn the_examples_name_the_lab_s_addresses() {
        let mut next = [1, 1];
        for Pod { name, node, ports } in PODS {
            let index = &mut next[usize::from(*node) - 1];
            let (ip, is) = (address::pod(*node, *index), |d: &&str| is_pod(d, name));
            let documents = FILES.iter().flat_map(|file| file.split(SEPARATOR));
            let document = documents.clone().find(is).expect(name);
            assert!(document.contains(&format!("podIP: {}\n", ip.v4)), "{name}");
            assert!(document.contains(&format!("{{ip: \"{}\"}}", ip.v6)), "{name}");
            assert!(document.contains(&format!("nodeName: node{node}\n")), "{name}");
            for port in *ports {
                assert!(document.contains(&format!("containerPort: {port},")), "{name} {port}");
            }
            *index += 1;
        }
        let pods = FILES.iter().map(|file| file.matches("kind: Pod\n").count()).sum::<usize>();
        assert_eq!(pods, PODS.len());
    }

    #[test]
    fn a_pod_is_taken_out_or_made_unready() {
        let shop = FILES[0];
        let fewer = without(shop, "shop-4");
        assert!(!fewer.contains("name: shop-4") && fewer.contains("name: shop-3"));
        assert_eq!(shop.matches(SEPARATOR).count(), fewer.matches(SEPARATOR).count() + 1);
        let unready = unready(shop, "shop-1");
        assert_eq!(unready.matches("status: \"False\"").count(), 1);
        assert_eq!(unready.split(SEPARATOR).count(), shop.split(SEPARATOR).count());
    }
}
