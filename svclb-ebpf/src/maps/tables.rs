//! The maps that each address family has of its own, behind one trait.

use super::*;

/// The maps of one address family.
pub trait Tables: Address {
    /// Index of the family in maps that have one entry a family.
    const INDEX: u32;

    /// The flow record with the given number.
    fn record(number: u32) -> Option<Record<Self>>;
    /// The number of the flow record that `tuple` belongs to.
    fn tuple(tuple: &Tuple<Self>) -> Option<u32>;
    /// Adds a tuple; -EEXIST where it is taken, -E2BIG or -ENOMEM where there is no room.
    fn insert_tuple(tuple: &Tuple<Self>, number: u32) -> Result<(), i32>;
    /// Removes a tuple.
    fn remove_tuple(tuple: &Tuple<Self>);
    /// The frontend at exactly this key.
    fn frontend(key: &FrontendKey<Self>) -> Option<Frontend>;
    /// The backend with the given id.
    fn backend(id: u32) -> Option<&'static Backend<Self>>;
    /// Whether this is an address of the node.
    fn is_node_address(address: &Self) -> bool;
    /// Whether NodePorts answer at this address of the node, or, if it is the loopback address, to
    /// the node's own processes.
    fn has_node_ports(address: &Self) -> bool;
    /// Whether the client is in one of the ranges of [`Source::service`].
    fn is_source(source: Source<Self>) -> bool;
    /// Whether the address is in a range that ClusterIPs are given out from.
    fn is_in_service_cidr(address: &Self) -> bool;
    /// Where a client stays.
    fn affinity(key: &AffinityKey<Self>) -> Option<Affinity>;
    /// Remembers it: `flags` as the kernel's updates take them; false if that was not done.
    fn set_affinity(key: &AffinityKey<Self>, affinity: &Affinity, flags: u64) -> bool;
    /// Whether a direct connection to a backend was seen at this tuple.
    fn is_direct(between: &Tuple<Self>) -> bool;
    /// Remembers a direct connection to a backend.
    fn note_direct(between: &Tuple<Self>);
    /// The other peer of a socket that has the one that `key` names.
    fn socket_peer(key: &SocketKey<Self>) -> Option<SocketPeer<Self>>;
    /// Remembers it; false where there is no room.
    fn set_socket_peer(key: &SocketKey<Self>, peer: &SocketPeer<Self>) -> bool;
    /// Forgets it.
    fn remove_socket_peer(key: &SocketKey<Self>);
    /// The address that masquerading takes on `device`.
    fn masquerade_address(device: &Device) -> Self;
    /// A bucket of datagrams in fragments.
    fn fragments(number: u32) -> Option<Shared<Bucket<Self>>>;
    /// This CPU's desk.
    fn desk() -> Option<*mut Desk<Self>>;
}

macro_rules! tables {
    ($family:ty, $index:literal, $flows:ident, $tuples:ident, $frontends:ident, $backends:ident,
     $node_addrs:ident, $sources:ident, $cidrs:ident, $affinity:ident, $direct:ident, $sockets:ident, $masq:ident,
     $fragments:ident, $desk:ident) => {
        impl Tables for $family {
            const INDEX: u32 = $index;

            #[inline(always)]
            fn record(number: u32) -> Option<Record<Self>> {
                $flows.get_ptr_mut(number).and_then(|record| Record::new(number, record))
            }

            #[inline(always)]
            fn tuple(tuple: &Tuple<Self>) -> Option<u32> {
                // SAFETY: the entry is copied at once; with BPF_F_NO_PREALLOC it is not reused
                // before the program ends.
                unsafe { $tuples.get(tuple).copied() }
            }

            #[inline(always)]
            fn insert_tuple(tuple: &Tuple<Self>, number: u32) -> Result<(), i32> {
                $tuples.insert(tuple, number, u64::from(BPF_NOEXIST))
            }

            #[inline(always)]
            fn remove_tuple(tuple: &Tuple<Self>) {
                // A tuple that is not there is what the caller wants.
                let _ = $tuples.remove(tuple);
            }

            #[inline(always)]
            fn frontend(key: &FrontendKey<Self>) -> Option<Frontend> {
                // SAFETY: as for tuples.
                unsafe { $frontends.get(key).copied() }
            }

            #[inline(always)]
            fn backend(id: u32) -> Option<&'static Backend<Self>> {
                $backends.get(id)
            }

            #[inline(always)]
            fn is_node_address(address: &Self) -> bool {
                $node_addrs.get_ptr(address).is_some()
            }

            #[inline(always)]
            fn has_node_ports(address: &Self) -> bool {
                // SAFETY: as for tuples.
                let flags = unsafe { $node_addrs.get(address).copied() };
                flags.is_some_and(|flags| flags & node_flags::NODE_PORTS != 0)
            }

            #[inline(always)]
            fn is_source(source: Source<Self>) -> bool {
                $sources.get(&Key::new(Source::<Self>::BITS, source)).is_some()
            }

            #[inline(always)]
            fn is_in_service_cidr(address: &Self) -> bool {
                $cidrs.get(&Key::new(8 * size_of::<Self>() as u32, *address)).is_some()
            }

            #[inline(always)]
            fn affinity(key: &AffinityKey<Self>) -> Option<Affinity> {
                // SAFETY: the entry is copied at once. Should it be another client's by then, this
                // one is balanced like it once, to an endpoint that is checked.
                unsafe { $affinity.get(key).copied() }
            }

            #[inline(always)]
            fn set_affinity(key: &AffinityKey<Self>, affinity: &Affinity, flags: u64) -> bool {
                $affinity.insert(key, affinity, flags).is_ok()
            }

            #[inline(always)]
            fn is_direct(between: &Tuple<Self>) -> bool {
                $direct.get_ptr(between).is_some()
            }

            #[inline(always)]
            fn note_direct(between: &Tuple<Self>) {
                // Without room the marker is lost, and with it only the care for this tuple.
                let _ = $direct.insert(between, 1_u32, 0);
            }

            #[inline(always)]
            fn socket_peer(key: &SocketKey<Self>) -> Option<SocketPeer<Self>> {
                // SAFETY: the entry is copied at once. Should it be another socket's by then, which
                // takes a full map and a pause in between, this one was the longest unused.
                unsafe { $sockets.get(key).copied() }
            }

            #[inline(always)]
            fn set_socket_peer(key: &SocketKey<Self>, peer: &SocketPeer<Self>) -> bool {
                $sockets.insert(key, peer, 0).is_ok()
            }

            #[inline(always)]
            fn remove_socket_peer(key: &SocketKey<Self>) {
                // One that is not there is what the caller wants.
                let _ = $sockets.remove(key);
            }

            #[inline(always)]
            fn masquerade_address(device: &Device) -> Self {
                device.$masq
            }

            #[inline(always)]
            fn fragments(number: u32) -> Option<Shared<Bucket<Self>>> {
                $fragments.get_ptr_mut(number).and_then(Shared::new)
            }

            #[inline(always)]
            fn desk() -> Option<*mut Desk<Self>> {
                $desk.get_ptr_mut(0)
            }
        }
    };
}

tables!(
    V4,
    0,
    FLOWS4,
    TUPLES4,
    FRONTENDS4,
    BACKENDS4,
    NODE_ADDRS4,
    SOURCES4,
    SERVICE_CIDRS4,
    AFFINITY4,
    DIRECT4,
    SOCKETS4,
    masq4,
    FRAGMENTS4,
    DESK4
);
tables!(
    V6,
    1,
    FLOWS6,
    TUPLES6,
    FRONTENDS6,
    BACKENDS6,
    NODE_ADDRS6,
    SOURCES6,
    SERVICE_CIDRS6,
    AFFINITY6,
    DIRECT6,
    SOCKETS6,
    masq6,
    FRAGMENTS6,
    DESK6
);
