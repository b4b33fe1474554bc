//! What user space writes and the packet path reads: frontends, services, slots, backends,
//! devices.

use crate::{
    address::{Address, V4, V6},
    plain_data,
};

/// An address, port and protocol that clients ask. Key of `frontends4`/`frontends6`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrontendKey<A> {
    /// The address, or [`Address::ANY`] for every address of the node (a NodePort).
    pub address: A,
    /// Port, host order.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Always zero.
    pub pad: u8,
}

const _: () = assert!(size_of::<FrontendKey<V4>>() == 8 && size_of::<FrontendKey<V6>>() == 20);
plain_data!(FrontendKey<V4>, FrontendKey<V6>);

impl<A: Address> FrontendKey<A> {
    /// A frontend at one address.
    #[inline(always)]
    pub fn new(address: A, port: u16, protocol: u8) -> Self {
        Self { address, port, protocol, pad: 0 }
    }

    /// A NodePort: every address of the node.
    #[inline(always)]
    pub fn node_port(port: u16, protocol: u8) -> Self {
        Self::new(A::ANY, port, protocol)
    }

    /// An address of services, whatever the port.
    #[inline(always)]
    pub fn vip(address: A) -> Self {
        Self::new(address, 0, 0)
    }

    /// Whether this is an address without a port.
    pub fn is_vip(&self) -> bool {
        (self.port, self.protocol) == (0, 0)
    }
}

/// Bits of [`Frontend::flags`].
pub mod frontend_flags {
    /// Reached from outside the cluster: clients of a backend on another node are masqueraded, so
    /// that the reply comes back through this node.
    pub const EXTERNAL: u32 = 0x01;
    /// Only the service's local set serves here; with [`EXTERNAL`], only clients that are neither
    /// pods of this node nor the node itself are held to that.
    pub const LOCAL: u32 = 0x02;
    /// Only clients in the service's ranges of `sources4`/`sources6` may ask here.
    pub const GUARDED: u32 = 0x04;
}

/// Which service answers at a frontend. Value of `frontends4`/`frontends6`.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Frontend {
    /// Service id: index of `services`, key of `names`.
    pub service: u32,
    /// Bits of [`frontend_flags`].
    pub flags: u32,
}

/// How a service chooses among its slots.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// A slot by the flow's hash.
    Random = 0,
}

/// A service port of one family. Value of `services`, by service id.
///
/// All of a service's frontends lead here, so one update switches them all to a new range: that of
/// the endpoints that serve the whole cluster, and that of those that serve where a traffic policy
/// says `Local`, as long as a frontend has that.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Service {
    /// Where the cluster set's range of `slots` begins.
    pub first_slot: u32,
    /// How many slots it has; 0 when no endpoint serves.
    pub slots: u32,
    /// Where the local set's range begins.
    pub first_local: u32,
    /// How many slots it has; 0 when no endpoint on this node serves, or no frontend asks for them.
    pub local_slots: u32,
    /// One of [`Algorithm`].
    pub algorithm: u32,
    /// For how many seconds after its last new flow a client stays with its endpoint; 0: each flow
    /// is chosen for anew.
    pub affinity: u32,
}

const _: () = assert!(size_of::<Service>() == 24);

/// One place in a service's range. Value of `slots`.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Slot {
    /// Backend id: index of `backends4`/`backends6`. 0 is no backend.
    pub backend: u32,
    /// The service that owns this slot; a reader that finds another one has met a range in flight.
    pub service: u32,
}

/// Bits of [`Backend::flags`].
pub mod backend_flags {
    /// New flows may go here. Cleared, the id waits for its last flows before it is used again.
    pub const SERVING: u8 = 0x01;
    /// The endpoint is on this node, so its replies pass this node without masquerade.
    pub const LOCAL: u8 = 0x02;
    /// The endpoint is in the local set alone: no flow of the cluster set goes here.
    pub const LOCAL_ONLY: u8 = 0x04;
    /// The Service is there and lists no endpoint at this address any more: what is connected to it
    /// talks to nobody.
    pub const VANISHED: u8 = 0x08;
}

/// Addresses of clients, as many leading bits as the prefix says. Key of `sources4`/`sources6`,
/// behind the prefix's length.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<A> {
    /// The service that they may ask, [`Source::PODS`] or [`Source::DETECTED`].
    pub service: u32,
    /// The address.
    pub address: A,
}

impl<A: Address> Source<A> {
    /// In place of a service id: clients that are inside the cluster, pods above all.
    pub const PODS: u32 = 0;
    /// In place of a service id: clients of whom it is known whether they are inside. Those of them
    /// that are not, are outside.
    pub const DETECTED: u32 = u32::MAX;
    /// Bits of the service id, which are always part of the prefix.
    pub const SERVICE_BITS: u32 = 32;
    /// Bits of a whole key.
    pub const BITS: u32 = Self::SERVICE_BITS + 8 * size_of::<A>() as u32;
}

const _: () = assert!(size_of::<Source<V4>>() == 8 && size_of::<Source<V6>>() == 20);

/// A client of a service with session affinity. Key of `affinity4`/`affinity6`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AffinityKey<A> {
    /// Service id: a port's, so that its frontends share what is remembered.
    pub service: u32,
    /// The client's address; for processes of the node, the one that masquerading takes.
    pub client: A,
}

const _: () = assert!(size_of::<AffinityKey<V4>>() == 8 && size_of::<AffinityKey<V6>>() == 20);

/// Where a client stays. Value of `affinity4`/`affinity6`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Affinity {
    /// Its last new flow: `CLOCK_MONOTONIC` nanoseconds.
    pub last_ns: u64,
    /// Backend id.
    pub backend: u32,
    /// Always zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<Affinity>() == 16);
plain_data!(Source<V4>, Source<V6>, AffinityKey<V4>, AffinityKey<V6>, Affinity);

/// One endpoint of one service. Value of `backends4`/`backends6`, by backend id.
///
/// Ids of the two families come from one sequence, so `be_stats` needs no family.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backend<A> {
    /// The endpoint's address.
    pub address: A,
    /// The service whose endpoint it is.
    pub service: u32,
    /// Port, host order.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// Bits of [`backend_flags`].
    pub flags: u8,
    /// Share of new flows relative to the service's other backends.
    pub weight: u16,
    /// Group of backends that are tried together; 0 is the first.
    pub group: u16,
}

const _: () = assert!(size_of::<Backend<V4>>() == 16 && size_of::<Backend<V6>>() == 28);

/// Bits of a value of `node_addrs4`/`node_addrs6`, whose keys are addresses.
pub mod node_flags {
    /// It is the node's.
    pub const OWN: u32 = 0x01;
    /// NodePorts answer there. At the loopback address, that is for the node's own processes.
    pub const NODE_PORTS: u32 = 0x02;
}

/// Bits of [`Device::flags`].
pub mod device_flags {
    /// What comes from it was sent by a pod.
    pub const POD: u32 = 0x01;
}

/// A network device of the node. Value of `devices`, by interface index.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Device {
    /// Interface index of the bridge that this device is a port of; 0 if none.
    pub bridge: u32,
    /// The address that masquerading takes here; all zero: take the node's.
    pub masq4: V4,
    /// The same for IPv6.
    pub masq6: V6,
    /// Bits of [`device_flags`].
    pub flags: u32,
}

const _: () = assert!(size_of::<Device>() == 28);
plain_data!(Frontend, Service, Slot, Backend<V4>, Backend<V6>, Device);
