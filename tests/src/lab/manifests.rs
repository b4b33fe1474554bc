//! Kubernetes objects of the lab, written into a folder as an operator would.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    address::{Dual, Family, pod_cidr},
    node::Node,
    pod::Pod,
};

/// A folder of manifests. A file appears, changes and goes in one step.
#[derive(Debug)]
pub struct Manifests {
    folder: PathBuf,
}

/// A port of a Service.
#[derive(Clone, Copy, Debug)]
pub struct ServicePort<'a> {
    /// Its name.
    pub name: &'a str,
    /// TCP, UDP or SCTP.
    pub protocol: &'a str,
    /// The port that clients ask.
    pub port: u16,
    /// The pods' port: a number or a name.
    pub target: &'a str,
    /// The port at every address of a node, if any.
    pub node_port: Option<u16>,
}

impl Manifests {
    /// The folder, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn at(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot be made", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes `<name>.yaml`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let (path, new) = (self.path(name), self.folder.join(format!(".{name}.new")));
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Removes `<name>.yaml`.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        fs::remove_file(&path).with_context(|| format!("{}: cannot be removed", path.display()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.yaml"))
    }
}

/// A Node.
pub fn node(node: &Node) -> String {
    let (Dual { v4, v6 }, (cidr4, cidr6)) = (node.ip, pod_cidr(node.number));
    format!(
        "apiVersion: v1\n\
         kind: Node\n\
         metadata:\n  name: {name}\n  labels:\n    kubernetes.io/hostname: {name}\n\
         spec:\n  podCIDR: {cidr4}\n  podCIDRs: [\"{cidr4}\", \"{cidr6}\"]\n\
         status:\n  addresses:\n  \
         - {{type: InternalIP, address: \"{v4}\"}}\n  \
         - {{type: InternalIP, address: \"{v6}\"}}\n",
        name = node.name
    )
}

/// A Pod with the label `app` and its ports by the names `http` (TCP) and `echo` (UDP).
pub fn pod(pod: &Pod, node: &str, app: &str) -> String {
    let (name, Dual { v4, v6 }) = (&pod.name, pod.ip);
    let mut text = format!(
        "apiVersion: v1\n\
         kind: Pod\n\
         metadata:\n  name: {name}\n  namespace: default\n  labels:\n    app: {app}\n\
         spec:\n  nodeName: {node}\n  containers:\n  - name: server\n    image: svclb-lab\n    ports:\n"
    );
    for (i, port) in pod.ports.iter().enumerate() {
        let suffix = if i == 0 { String::new() } else { format!("-{i}") };
        for (name, protocol) in [("http", "TCP"), ("echo", "UDP")] {
            let _ = writeln!(
                text,
                "    - {{name: {name}{suffix}, containerPort: {port}, protocol: {protocol}}}"
            );
        }
    }
    text + &format!(
        "status:\n  phase: Running\n  podIP: \"{v4}\"\n  \
         podIPs: [{{ip: \"{v4}\"}}, {{ip: \"{v6}\"}}]\n  \
         conditions:\n  - {{type: Ready, status: \"True\"}}\n"
    )
}

/// A dual-stack Service; of type NodePort if a port has one. With `app` it selects Pods.
pub fn service(name: &str, cluster: Dual, ports: &[ServicePort<'_>], app: Option<&str>) -> String {
    let kind = match ports.iter().any(|port| port.node_port.is_some()) {
        true => "NodePort",
        false => "ClusterIP",
    };
    let mut text = format!(
        "apiVersion: v1\n\
         kind: Service\n\
         metadata:\n  name: {name}\n  namespace: default\n\
         spec:\n  type: {kind}\n  clusterIP: \"{v4}\"\n  clusterIPs: [\"{v4}\", \"{v6}\"]\n  \
         ipFamilies: [IPv4, IPv6]\n  ipFamilyPolicy: RequireDualStack\n",
        v4 = cluster.v4,
        v6 = cluster.v6
    );
    if let Some(app) = app {
        let _ = writeln!(text, "  selector: {{app: {app}}}");
    }
    text += "  ports:\n";
    for ServicePort { name, protocol, port, target, node_port } in ports {
        let _ = write!(
            text,
            "  - {{name: {name}, protocol: {protocol}, port: {port}, targetPort: {target}"
        );
        let node_port = node_port.map(|port| format!(", nodePort: {port}")).unwrap_or_default();
        let _ = writeln!(text, "{node_port}}}");
    }
    text
}

/// An EndpointSlice of a service: each endpoint is an address and the name of its node; each port
/// a name, a protocol and a number.
pub fn slice(
    service: &str,
    family: Family,
    endpoints: &[(Dual, &str)],
    ports: &[(&str, &str, u16)],
) -> String {
    let kind = family.name();
    let mut text = format!(
        "apiVersion: discovery.k8s.io/v1\n\
         kind: EndpointSlice\n\
         metadata:\n  name: {service}-{}\n  namespace: default\n  \
         labels:\n    kubernetes.io/service-name: {service}\n\
         addressType: {kind}\n",
        kind.to_lowercase()
    );
    text += "ports:\n";
    for (name, protocol, port) in ports {
        let _ = writeln!(text, "- {{name: {name}, protocol: {protocol}, port: {port}}}");
    }
    if endpoints.is_empty() {
        return text + "endpoints: []\n";
    }
    text += "endpoints:\n";
    for (ip, node) in endpoints {
        let _ = writeln!(
            text,
            "- {{addresses: [\"{}\"], nodeName: {node}, conditions: {{ready: true}}}}",
            ip.ip(family)
        );
    }
    text
}
