//! Follows rtnetlink and turns what it says into commands for the worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    pin::pin,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{AddressFamily, RouteNetlinkMessage, route::RouteMessage},
    sys::AsyncSocket,
};
use svclb_common::frontend::Device;
use tokio::{
    sync::{oneshot, watch},
    time::{MissedTickBehavior, interval},
};
use tracing::warn;

use super::{
    netlink,
    network::{Event, NODE, Network, Target, is_node_address},
    worker::{Command, Inventory, Worker},
};

/// How often everything is read anew, so that what others have detached is attached again.
const RESYNC: Duration = Duration::from_secs(60);

/// How long a failed reading waits for its next try.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes of the socket's buffer: announcements of a thousand devices that come at once. The kernel
/// grants no more than its `rmem_max`; what does not fit is noticed and read anew.
const RECEIVE_BUFFER: i32 = 4 << 20;

const GROUPS: &[MulticastGroup] = &[
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// Follows the devices and addresses of the network namespace.
pub struct Monitor {
    handle: Handle,
    messages: BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>,
    network: Network,
    /// How the names of devices for pods begin; `None` if that says nothing.
    pods: Option<String>,
    /// What the worker has been told.
    devices: BTreeMap<u32, Device>,
    targets: BTreeMap<u32, Target>,
    commands: Sender<Command>,
    addresses: watch::Sender<BTreeSet<IpAddr>>,
}

impl Monitor {
    /// Subscribes, reads everything once, and gives the worker its first commands. Devices for pods
    /// are those whose names begin with `pods`. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if rtnetlink cannot be opened or read.
    pub async fn start(worker: &Worker, pods: Option<String>) -> Result<Self> {
        let (mut connection, handle, messages) =
            new_multicast_connection(GROUPS).context("open rtnetlink")?;
        if let Err(error) = connection.socket_mut().socket_ref().set_rx_buf_sz(RECEIVE_BUFFER) {
            warn!(%error, "netlink socket keeps its receive buffer");
        }
        tokio::spawn(connection);
        let mut monitor = Self {
            handle,
            messages: messages.map(|(message, _)| message).boxed(),
            network: Network::default(),
            pods,
            devices: BTreeMap::new(),
            targets: BTreeMap::new(),
            commands: worker.commands(),
            addresses: watch::Sender::default(),
        };
        monitor.resync().await?;
        monitor.send(Command::Retain(Inventory {
            indices: monitor.devices.keys().copied().collect(),
            targets: monitor.targets.values().cloned().collect(),
        }));
        Ok(monitor)
    }

    /// The addresses of the node, now and as they change.
    pub fn addresses(&self) -> watch::Receiver<BTreeSet<IpAddr>> {
        self.addresses.subscribe()
    }

    /// Completes when the worker has attached to everything that is known now.
    pub fn settled(&self) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        self.send(Command::Settled(done));
        settled
    }

    /// Follows what netlink announces.
    ///
    /// # Errors
    ///
    /// Returns only when the netlink socket fails.
    pub async fn run(mut self) -> Result<()> {
        let mut resync = interval(RESYNC);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and everything has just been read.
        resync.reset();
        loop {
            let stale = tokio::select! {
                message = self.messages.next() => {
                    let message = message.context("the netlink socket was closed")?;
                    self.receive(message.payload)
                }
                _ = resync.tick() => true,
            };
            if stale && let Err(error) = self.resync().await {
                warn!(error = format!("{error:#}"), "devices not read, will retry");
                resync.reset_after(RETRY);
            }
        }
    }

    /// Takes a message; whether others were lost.
    fn receive(&mut self, payload: NetlinkPayload<RouteNetlinkMessage>) -> bool {
        match payload {
            NetlinkPayload::InnerMessage(message) => {
                if let Some(event) = netlink::event(&message) {
                    self.follow(event, Instant::now());
                }
                false
            }
            NetlinkPayload::Overrun(_) => {
                warn!("announcements were lost, devices are read anew");
                true
            }
            _ => false,
        }
    }

    fn follow(&mut self, event: Event, announced: Instant) {
        let (index, concerns_node) = touched(&event);
        self.network.apply(event);
        self.settle(index, Some(announced));
        if concerns_node {
            self.settle_node();
        }
    }

    /// Reads everything, and has every attachment verified.
    async fn resync(&mut self) -> Result<()> {
        self.network = dump(&self.handle).await.context("read devices from rtnetlink")?;
        let mut indices: BTreeSet<u32> = self.devices.keys().copied().collect();
        indices.extend(self.network.indices());
        self.targets.retain(|index, _| self.network.target(*index).is_none());
        for index in indices {
            self.settle(index, None);
        }
        self.settle_node();
        Ok(())
    }

    /// Tells the worker what has changed about one device.
    fn settle(&mut self, index: u32, announced: Option<Instant>) {
        let device = self.network.device(index, self.pods.as_deref());
        if replace(&mut self.devices, index, device) {
            self.send(Command::Device(index, device));
        }
        let target = self.network.target(index);
        if replace(&mut self.targets, index, target.clone()) {
            self.send(match target {
                Some(target) => Command::Attach(target, announced),
                None => Command::Detach(index),
            });
        }
    }

    fn settle_node(&mut self) {
        self.settle(NODE, None);
        let addresses = self.network.node_addresses();
        self.addresses.send_if_modified(|known| {
            let changed = *known != addresses;
            *known = addresses;
            changed
        });
    }

    fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            warn!("the attaching thread has ended");
        }
    }
}

/// Everything, as rtnetlink tells it now. One after the other: the kernel refuses a second dump on
/// a socket while the first goes on.
async fn dump(handle: &Handle) -> Result<Network> {
    let mut network = Network::default();
    let links = handle.link().get().execute();
    read(&mut network, links.map_ok(RouteNetlinkMessage::NewLink)).await?;
    let addresses = handle.address().get().execute();
    read(&mut network, addresses.map_ok(RouteNetlinkMessage::NewAddress)).await?;
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut all = RouteMessage::default();
        all.header.address_family = family;
        let routes = handle.route().get(all).execute();
        read(&mut network, routes.map_ok(RouteNetlinkMessage::NewRoute)).await?;
    }
    Ok(network)
}

async fn read<E>(
    network: &mut Network,
    messages: impl Stream<Item = Result<RouteNetlinkMessage, E>>,
) -> Result<(), E> {
    let mut messages = pin!(messages);
    while let Some(message) = messages.try_next().await? {
        if let Some(event) = netlink::event(&message) {
            network.apply(event);
        }
    }
    Ok(())
}

/// The device that an event is about, and whether it may change the node's own addresses.
fn touched(event: &Event) -> (u32, bool) {
    match event {
        Event::Link(link) => (link.index, false),
        Event::LinkGone(index) => (*index, true),
        Event::Address(index, address) => (*index, is_node_address(address.ip)),
        Event::AddressGone(index, ip) => (*index, is_node_address(*ip)),
        Event::Route(route) | Event::RouteGone(route) => (route.index, true),
    }
}

/// Puts a value into a map or takes it out; whether that changed anything.
fn replace<V: PartialEq>(map: &mut BTreeMap<u32, V>, key: u32, value: Option<V>) -> bool {
    if map.get(&key) == value.as_ref() {
        return false;
    }
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_is_passed_on() {
        let mut map = BTreeMap::new();
        assert!(!replace(&mut map, 1, None));
        assert!(replace(&mut map, 1, Some("a")));
        assert!(!replace(&mut map, 1, Some("a")));
        assert!(replace(&mut map, 1, Some("b")));
        assert!(replace::<&str>(&mut map, 1, None));
        assert!(map.is_empty());
    }
}
