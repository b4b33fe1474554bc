//! A narrow place on a path: a router that carries less than its neighbours' devices do.

use anyhow::Result;

use super::{
    Family, address,
    netns::Netns,
    network::{EXTERNAL, LAN},
    preset::Transport,
    topology::Lab,
    vxlan,
};

/// The narrow place's MTU: the least that IPv6 allows.
pub const NARROW: u16 = 1280;
/// That of every device but the vxlan's.
const WIDE: u16 = 1500;

/// A narrow place, until the value drops. Who has heard of it forgets it then.
#[derive(Debug)]
pub struct Narrow<'a> {
    lab: &'a Lab,
    undo: Vec<(&'a Netns, String)>,
}

impl Lab {
    /// Makes the router narrow towards external clients and from them.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn narrow_to_clients(&self) -> Result<Narrow<'_>> {
        let mut narrow = Narrow::new(self)?;
        for bridge in [LAN, EXTERNAL] {
            narrow.mtu(self.router(), bridge, WIDE)?;
        }
        Ok(narrow)
    }

    /// Makes the way between the nodes narrow: with plain routes, it leads through a narrow router in
    /// the middle; a vxlan's devices become narrow themselves.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn narrow_between_nodes(&self) -> Result<Narrow<'_>> {
        let mut narrow = Narrow::new(self)?;
        match self.preset.transport {
            Transport::HostGateway => narrow.detour()?,
            Transport::Vxlan => {
                for node in &self.nodes {
                    narrow.mtu(node.netns(), vxlan::DEVICE, self.preset.pod_mtu())?;
                }
            }
        }
        Ok(narrow)
    }

    /// Everybody forgets what they have heard of paths' MTUs.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn forget_path_mtus(&self) -> Result<()> {
        let pods = self.nodes.iter().flat_map(|node| &node.pods);
        let pods = pods.filter_map(|pod| pod.netns().ok());
        let nodes = self.nodes.iter().map(|node| node.netns());
        let clients = self.clients.iter().map(|client| client.netns());
        nodes.chain(pods).chain(clients).try_for_each(Netns::forget_path_mtus)
    }
}

impl<'a> Narrow<'a> {
    fn new(lab: &'a Lab) -> Result<Self> {
        lab.forget_path_mtus()?;
        Ok(Self { lab, undo: Vec::new() })
    }

    fn mtu(&mut self, netns: &'a Netns, device: &str, was: u16) -> Result<()> {
        self.undo.push((netns, format!("link set {device} mtu {was}\n")));
        netns.ip(format!("link set {device} mtu {NARROW}\n"))
    }

    fn route(&mut self, netns: &'a Netns, to: &str, via: &str, was: Option<&str>) -> Result<()> {
        let undo = match was {
            Some(was) => format!("route replace {to} via {was}\n"),
            None => format!("route del {to} via {via}\n"),
        };
        self.undo.push((netns, undo));
        netns.ip(format!("route replace {to} via {via}\n"))
    }

    /// Leads what nodes send to each other, and to each other's pods, through the router.
    fn detour(&mut self) -> Result<()> {
        let (lab, router) = (self.lab, address::lan_router());
        self.mtu(lab.router(), LAN, WIDE)?;
        for to in &lab.nodes {
            for family in Family::BOTH {
                let (ip, via) = (to.ip.ip(family).to_string(), router.ip(family).to_string());
                let pods = pods(to.number, family);
                self.route(lab.router(), &pods, &ip, None)?;
                for from in lab.nodes.iter().filter(|from| from.number != to.number) {
                    self.route(from.netns(), &pods, &via, Some(&ip))?;
                    self.route(from.netns(), &ip, &via, None)?;
                }
            }
        }
        Ok(())
    }
}

/// The prefix of the pods of node `n`.
fn pods(n: u8, family: Family) -> String {
    let (v4, v6) = address::pod_cidr(n);
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

impl Drop for Narrow<'_> {
    fn drop(&mut self) {
        for (netns, undo) in self.undo.iter().rev() {
            if let Err(error) = netns.ip(undo) {
                eprintln!("{} stays narrow: {error:#}", netns.name());
            }
        }
        if let Err(error) = self.lab.forget_path_mtus() {
            eprintln!("a narrow path is still known: {error:#}");
        }
    }
}
