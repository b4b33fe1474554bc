//! A node: its namespace, cgroup, bpffs, agent and pods.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{
    address::{self, Dual},
    hostile,
    netns::Netns,
    network,
    place::Place,
    pod,
    pod::Pod,
    pod_link,
    preset::Preset,
    process::Process,
};

/// A node of the lab.
#[derive(Debug)]
pub struct Node {
    /// Its number, from 1 on.
    pub number: u8,
    /// Its name as the agent and the manifests know it: `node1`.
    pub name: String,
    /// Its addresses on the LAN.
    pub ip: Dual,
    /// Its pods, and the processes in its own namespace that serve like pods.
    pub pods: Vec<Pod>,
    pub(super) netns: Netns,
    pub(super) folder: PathBuf,
    pub(super) bpffs: PathBuf,
    pub(super) cgroup: PathBuf,
    pub(super) preset: Preset,
    next_pod: u8,
}

impl Node {
    pub(super) fn create(
        number: u8,
        router: &Netns,
        place: &Place,
        preset: &Preset,
    ) -> Result<Self> {
        let name = format!("node{number}");
        let netns = Netns::create(&place.netns(&name))?;
        network::forwarding(&netns)?;
        hostile::apply(&netns, number, preset)?;
        let ip = address::node(number);
        network::join(router, network::LAN, &name, &netns, ip)?;
        network::pod_routes(&netns, number, preset)?;
        pod_link::prepare(&netns, number, preset)?;
        Ok(Self {
            number,
            ip,
            pods: Vec::new(),
            netns,
            folder: place.subfolder(&name)?,
            bpffs: place.bpffs(&name)?,
            cgroup: place.cgroup(&name)?,
            preset: *preset,
            next_pod: 1,
            name,
        })
    }

    /// Its network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its bpffs mount.
    pub fn bpffs(&self) -> &Path {
        &self.bpffs
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Its folder: logs, manifests.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a pod that serves `ports` (HTTP over TCP, and UDP echo, at each) and waits until the
    /// node reaches it.
    ///
    /// # Errors
    /// The namespace, its devices or the server cannot be made.
    pub fn add_pod(&mut self, name: &str, ports: &[u16]) -> Result<&Pod> {
        let mut pod = self.join_pod(name)?;
        let netns = pod.netns.as_ref().context("just made")?;
        pod.server = Some(self.serve(name, pod.ip, ports, netns)?);
        pod.ports = ports.to_vec();
        self.push(pod)
    }

    /// Adds a pod that serves nothing, and does not wait for anything.
    ///
    /// # Errors
    /// The namespace or its devices cannot be made.
    pub fn add_client_pod(&mut self, name: &str) -> Result<&Pod> {
        let pod = self.join_pod(name)?;
        self.push(pod)
    }

    /// Starts a server in the node's own namespace, at its LAN addresses.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn add_host_process(&mut self, name: &str, ports: &[u16]) -> Result<&Pod> {
        let server = Some(self.serve(name, self.ip, ports, &self.netns)?);
        let (name, ip, ports) = (name.to_owned(), self.ip, ports.to_vec());
        self.push(Pod { name, ip, ports, server, netns: None, index: 0 })
    }

    fn join_pod(&mut self, name: &str) -> Result<Pod> {
        let index = self.next_pod;
        ensure!(index < 254, "{} has no address left for a pod", self.name);
        self.next_pod += 1;
        let netns = Netns::create(&format!("{}-pod{index}", self.netns.name()))?;
        pod_link::join(&self.netns, self.number, index, &netns, &self.preset)?;
        let ip = address::pod(self.number, index);
        let (name, netns) = (name.to_owned(), Some(netns));
        Ok(Pod { name, ip, ports: Vec::new(), server: None, netns, index })
    }

    fn serve(&self, name: &str, ip: Dual, ports: &[u16], netns: &Netns) -> Result<Process> {
        let log = self.folder.join(format!("{name}.log"));
        let sockets = pod::sockets(ip, ports);
        let mut server = pod::serve(name, &sockets, netns, &self.cgroup, &log)?;
        pod::wait_until_served(&mut server, &sockets, &self.netns)?;
        Ok(server)
    }

    /// Ends a pod and removes its namespace; false if there is none of that name.
    pub fn remove_pod(&mut self, name: &str) -> bool {
        let before = self.pods.len();
        self.pods.retain(|pod| pod.name != name);
        self.pods.len() < before
    }

    /// The pod of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn pod(&self, name: &str) -> Result<&Pod> {
        let found = self.pods.iter().find(|pod| pod.name == name);
        found.with_context(|| format!("{} has no pod {name}", self.name))
    }

    fn push(&mut self, pod: Pod) -> Result<&Pod> {
        self.pods.push(pod);
        self.pods.last().context("just added")
    }
}
