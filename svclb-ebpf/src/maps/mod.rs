//! All maps. Their statics are private to this module; the rest of the programs sees functions.

mod tables;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    btf_maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie::Key},
    macros::btf_map,
};
use svclb_common::{
    address::{Address, V4, V6},
    counters::{Occupancy, Traffic},
    event::Event,
    filter::{self, Interest},
    flow::Flow,
    fragment::{Bucket, Held},
    frontend::{
        Affinity, AffinityKey, Backend, Device, Frontend, FrontendKey, Service, Slot, Source,
        device_flags, node_flags,
    },
    layout::size,
    limit::Limit,
    names::Owner,
    outcome::Outcome,
    socket::{SocketKey, SocketPeer},
    tuple::Tuple,
};

pub use tables::Tables;

use crate::{
    answer::Sheet,
    desk::Desk,
    fragment::Aside,
    raw::{self, Record, Shared},
};

const ON_DEMAND: usize = BPF_F_NO_PREALLOC as usize;
const FLOWS: usize = size::FLOWS as usize;
const TUPLES: usize = FLOWS * size::TUPLES_PER_FLOW as usize;

// Written by the agent, read by the programs.

/// Service ids by the address, port and protocol that clients ask.
#[btf_map(name = "frontends4")]
static FRONTENDS4: HashMap<FrontendKey<V4>, Frontend, { size::FRONTENDS as usize }, ON_DEMAND> =
    HashMap::new();
/// The same for IPv6.
#[btf_map(name = "frontends6")]
static FRONTENDS6: HashMap<FrontendKey<V6>, Frontend, { size::FRONTENDS as usize }, ON_DEMAND> =
    HashMap::new();
/// A service's range of slots, by service id.
#[btf_map(name = "services")]
static SERVICES: Array<Service, { size::SERVICES as usize }> = Array::new();
/// Backend ids, in ranges that services own.
#[btf_map(name = "slots")]
static SLOTS: Array<Slot, { size::SLOTS as usize }> = Array::new();
/// Endpoints by backend id.
#[btf_map(name = "backends4")]
static BACKENDS4: Array<Backend<V4>, { size::BACKENDS as usize }> = Array::new();
/// The same for IPv6.
#[btf_map(name = "backends6")]
static BACKENDS6: Array<Backend<V6>, { size::BACKENDS as usize }> = Array::new();
/// Who owns a service id. The programs never read it: it is for people and commands.
#[btf_map(name = "names")]
static NAMES: HashMap<u32, Owner, { size::SERVICES as usize }, ON_DEMAND> = HashMap::new();
/// The node's addresses, with bits of [`node_flags`].
#[btf_map(name = "node_addrs4")]
static NODE_ADDRS4: HashMap<V4, u32, { size::NODE_ADDRESSES as usize }, ON_DEMAND> = HashMap::new();
/// The same for IPv6.
#[btf_map(name = "node_addrs6")]
static NODE_ADDRS6: HashMap<V6, u32, { size::NODE_ADDRESSES as usize }, ON_DEMAND> = HashMap::new();
/// Devices by interface index; index 0 is the node itself.
#[btf_map(name = "devices")]
static DEVICES: HashMap<u32, Device, { size::DEVICES as usize }, ON_DEMAND> = HashMap::new();
/// Ranges of clients: those inside the cluster, and who may ask a load balancer's address.
#[btf_map(name = "sources4")]
static SOURCES4: LpmTrie<Source<V4>, u32, { size::SOURCES as usize }> = LpmTrie::new();
/// The same for IPv6.
#[btf_map(name = "sources6")]
static SOURCES6: LpmTrie<Source<V6>, u32, { size::SOURCES as usize }> = LpmTrie::new();
/// Ranges that ClusterIPs are given out from; keys are prefix length and address, values 1.
#[btf_map(name = "service_cidrs4")]
static SERVICE_CIDRS4: LpmTrie<V4, u32, { size::SERVICE_CIDRS as usize }> = LpmTrie::new();
/// The same for IPv6.
#[btf_map(name = "service_cidrs6")]
static SERVICE_CIDRS6: LpmTrie<V6, u32, { size::SERVICE_CIDRS as usize }> = LpmTrie::new();
/// The bitmap of addresses that may concern svclb.
#[btf_map(name = "addr_filter")]
static ADDR_FILTER: Array<u64, { filter::WORDS as usize }> = Array::new();

// Written by the programs. The agent only reads them.

/// Flow records.
#[btf_map(name = "flows4")]
static FLOWS4: Array<Flow<V4>, FLOWS> = Array::new();
/// The same for IPv6.
#[btf_map(name = "flows6")]
static FLOWS6: Array<Flow<V6>, FLOWS> = Array::new();
/// Numbers of flow records by the tuples of their packets.
#[btf_map(name = "tuples4")]
static TUPLES4: HashMap<Tuple<V4>, u32, TUPLES, ON_DEMAND> = HashMap::new();
/// The same for IPv6.
#[btf_map(name = "tuples6")]
static TUPLES6: HashMap<Tuple<V6>, u32, TUPLES, ON_DEMAND> = HashMap::new();
/// Direct connections to backends, whose tuples service flows avoid.
#[btf_map(name = "direct4")]
static DIRECT4: LruHashMap<Tuple<V4>, u32, { size::DIRECT as usize }> = LruHashMap::new();
/// The same for IPv6.
#[btf_map(name = "direct6")]
static DIRECT6: LruHashMap<Tuple<V6>, u32, { size::DIRECT as usize }> = LruHashMap::new();
/// What sockets were given and have asked.
#[btf_map(name = "sockets4")]
static SOCKETS4: LruHashMap<SocketKey<V4>, SocketPeer<V4>, { size::SOCKETS as usize }> =
    LruHashMap::new();
/// The same for IPv6.
#[btf_map(name = "sockets6")]
static SOCKETS6: LruHashMap<SocketKey<V6>, SocketPeer<V6>, { size::SOCKETS as usize }> =
    LruHashMap::new();
/// Where clients of services with session affinity stay.
#[btf_map(name = "affinity4")]
static AFFINITY4: LruHashMap<AffinityKey<V4>, Affinity, { size::AFFINITY as usize }> =
    LruHashMap::new();
/// The same for IPv6.
#[btf_map(name = "affinity6")]
static AFFINITY6: LruHashMap<AffinityKey<V6>, Affinity, { size::AFFINITY as usize }> =
    LruHashMap::new();
/// What became of datagrams' first fragments, by the hash of their keys.
#[btf_map(name = "fragments4")]
static FRAGMENTS4: Array<Bucket<V4>, { size::FRAGMENT_BUCKETS as usize }> = Array::new();
/// The same for IPv6.
#[btf_map(name = "fragments6")]
static FRAGMENTS6: Array<Bucket<V6>, { size::FRAGMENT_BUCKETS as usize }> = Array::new();
/// Fragments that came before their datagrams' first ones, in a ring.
#[btf_map(name = "held")]
static HELD: Array<Held, { size::HELD as usize }> = Array::new();
/// How many fragments were held so far: the last one's number.
#[btf_map(name = "held_sequence")]
static HELD_SEQUENCE: Array<u64, 1> = Array::new();
/// Where the next search for a flow record begins: IPv4, IPv6.
#[btf_map(name = "cursor")]
static CURSOR: PerCpuArray<u32, 2> = PerCpuArray::new();
/// The masquerade port to try next, counted from the first: IPv4, IPv6. One for all CPUs, so that
/// ports are taken oldest first.
#[btf_map(name = "masq_cursor")]
static MASQ_CURSOR: Array<u32, 2> = Array::new();
/// Traffic by service id.
#[btf_map(name = "svc_stats")]
static SVC_STATS: PerCpuArray<Traffic, { size::SERVICES as usize }> = PerCpuArray::new();
/// Traffic by backend id.
#[btf_map(name = "be_stats")]
static BE_STATS: PerCpuArray<Traffic, { size::BACKENDS as usize }> = PerCpuArray::new();
/// Packets by what became of them.
#[btf_map(name = "outcomes")]
static OUTCOMES: PerCpuArray<u64, { size::OUTCOMES as usize }> = PerCpuArray::new();
/// How full the flow table is: IPv4, IPv6.
#[btf_map(name = "occupancy")]
static OCCUPANCY: Array<Occupancy, 2> = Array::new();
/// Drops and other events.
#[btf_map(name = "events")]
static EVENTS: RingBuf<Event, { size::EVENTS as usize }> = RingBuf::new();

/// This CPU's sheet for answers; not pinned.
#[btf_map(name = "sheet")]
static SHEET: PerCpuArray<Sheet, 1> = PerCpuArray::new();
/// Where this CPU puts a packet aside; not pinned.
#[btf_map(name = "aside")]
static ASIDE: PerCpuArray<Aside, 1> = PerCpuArray::new();
/// How many ICMP messages this CPU may send; not pinned.
#[btf_map(name = "limits")]
static LIMITS: PerCpuArray<Limit, 1> = PerCpuArray::new();
/// This CPU's desk; not pinned.
#[btf_map(name = "desk4")]
static DESK4: PerCpuArray<Desk<V4>, 1> = PerCpuArray::new();
/// The same for IPv6.
#[btf_map(name = "desk6")]
static DESK6: PerCpuArray<Desk<V6>, 1> = PerCpuArray::new();

/// What the filter says of an address.
#[derive(Clone, Copy)]
pub struct Concern {
    /// It may be asked: a frontend's or the node's.
    pub frontend: bool,
    /// It may answer: a backend's.
    pub backend: bool,
}

/// Whether an address may concern svclb: the cheap probe.
#[inline(always)]
pub fn concern<A: Address>(address: &A) -> Concern {
    let (word, frontend) = filter::place(address, Interest::Frontend);
    let (_, backend) = filter::place(address, Interest::Backend);
    let bits = ADDR_FILTER.get(word).copied().unwrap_or(0);
    Concern { frontend: bits & frontend != 0, backend: bits & backend != 0 }
}

/// The service with the given id.
#[inline(always)]
pub fn service(id: u32) -> Option<&'static Service> {
    SERVICES.get(id)
}

/// The slot at the given place.
#[inline(always)]
pub fn slot(place: u32) -> Option<&'static Slot> {
    SLOTS.get(place)
}

/// What is known of a device; index 0 is the node itself.
#[inline(always)]
pub fn device(ifindex: u32) -> Option<Device> {
    // SAFETY: as for tuples.
    unsafe { DEVICES.get(ifindex).copied() }
}

/// Whether what comes from a device was sent by a pod.
#[inline(always)]
pub fn is_pod_device(ifindex: u32) -> bool {
    // SAFETY: as for tuples.
    let flags = unsafe { DEVICES.get(ifindex).map_or(0, |device| device.flags) };
    flags & device_flags::POD != 0
}

/// This CPU's place in the flow records of a family.
#[inline(always)]
pub fn cursor<A: Tables>() -> Option<&'static mut u32> {
    // SAFETY: the value is this CPU's own, and nothing interrupts a program here that uses it.
    CURSOR.get_ptr_mut(A::INDEX).map(|cursor| unsafe { &mut *cursor })
}

/// Takes the next number in turn among the masquerade ports. Two CPUs may take the same one: the
/// tuple's insertion decides.
#[inline(always)]
pub fn next_masquerade<A: Tables>() -> u32 {
    let Some(cursor) = MASQ_CURSOR.get_ptr_mut(A::INDEX) else { return 0 };
    // SAFETY: the pointer is an array entry's; a lost update only repeats a number.
    unsafe {
        let number = cursor.read_volatile();
        cursor.write_volatile(number.wrapping_add(1));
        number
    }
}

/// This CPU's traffic counters of a service.
#[inline(always)]
pub fn service_traffic(service: u32) -> Option<*mut Traffic> {
    SVC_STATS.get_ptr_mut(service)
}

/// This CPU's traffic counters of a backend.
#[inline(always)]
pub fn backend_traffic(backend: u32) -> Option<*mut Traffic> {
    BE_STATS.get_ptr_mut(backend)
}

/// This CPU's counter of an outcome.
#[inline(always)]
pub fn outcome(outcome: Outcome) -> Option<*mut u64> {
    OUTCOMES.get_ptr_mut(outcome as u32)
}

/// What the sweep found in a family.
#[inline(always)]
pub fn occupancy<A: Tables>() -> Option<*mut Occupancy> {
    OCCUPANCY.get_ptr_mut(A::INDEX)
}

/// Sends an event; it is lost when nobody reads and the buffer is full.
#[inline(always)]
pub fn send(event: Event) {
    if let Some(mut entry) = EVENTS.reserve(0) {
        entry.write(event);
        entry.submit(0);
    }
}

/// This CPU's sheet for answers.
#[inline(always)]
pub fn sheet() -> Option<&'static mut Sheet> {
    // SAFETY: as for the cursor.
    SHEET.get_ptr_mut(0).map(|sheet| unsafe { &mut *sheet })
}

/// How many ICMP messages this CPU may send.
#[inline(always)]
pub fn limit() -> Option<&'static mut Limit> {
    // SAFETY: as for the cursor.
    LIMITS.get_ptr_mut(0).map(|limit| unsafe { &mut *limit })
}

/// The number of the next fragment that is held, from 1 on.
#[inline(always)]
pub fn next_held() -> Option<u64> {
    // SAFETY: the pointer is an array entry's, and the addition is atomic.
    HELD_SEQUENCE.get_ptr_mut(0).map(|last| raw::fetch_add(unsafe { &mut *last }, 1) + 1)
}

/// The place of a held fragment.
#[inline(always)]
pub fn held(place: u32) -> Option<Shared<Held>> {
    HELD.get_ptr_mut(place).and_then(Shared::new)
}

/// Where this CPU puts a packet aside.
#[inline(always)]
pub fn aside() -> Option<&'static mut Aside> {
    // SAFETY: as for the cursor.
    ASIDE.get_ptr_mut(0).map(|aside| unsafe { &mut *aside })
}
