//! Services with policies: two sets of endpoints, source ranges, session affinity.

use std::net::IpAddr;

use aya::{Pod, maps::HashMap};
use ipnet::IpNet;
use svclb::plan::operation::{FrontendAddress, Operation};
use svclb_common::{
    address::{V4, V6},
    filter::Interest,
    frontend::{Affinity, AffinityKey, Frontend, Service, Slot, Source, backend_flags},
};

use super::{Placed, Programs, entry};

/// What a service's entry says, endpoints by their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sets<'a> {
    /// The endpoints that serve where all of the cluster may.
    pub cluster: &'a [usize],
    /// Those that serve where only this node's may.
    pub local: &'a [usize],
    /// How many seconds a client stays with its endpoint; 0: each flow is chosen for anew.
    pub affinity: u32,
}

impl Programs {
    /// Gives the service one more frontend, with these bits of
    /// [`frontend_flags`](svclb_common::frontend::frontend_flags).
    pub fn add_frontend(&mut self, placed: &Placed, address: FrontendAddress, flags: u32) {
        if let FrontendAddress::Address(at, _) = address {
            self.apply(Operation::Watch(at.ip(), Interest::Frontend));
        }
        let frontend = Frontend { service: placed.id, flags };
        self.apply(Operation::SetFrontend(address, frontend));
    }

    /// Gives the service these sets and this affinity. An endpoint of the local set alone is
    /// marked as such; one of no set stays as it is.
    pub fn set(&mut self, placed: &Placed, sets: Sets<'_>) {
        let Sets { cluster, local, affinity } = sets;
        for endpoint in local.iter().filter(|endpoint| !cluster.contains(endpoint)) {
            let mut alone = entry(
                placed.id,
                placed.protocol,
                placed.endpoints[*endpoint],
                backend_flags::SERVING,
            );
            alone.flags |= backend_flags::LOCAL_ONLY;
            self.apply(Operation::SetBackend(placed.backends[*endpoint], alone));
        }
        let slot = |i: &usize| Slot { backend: placed.backends[*i], service: placed.id };
        let first_slot = self.next_slot;
        let slots = cluster.len() as u32;
        let local_slots = local.len() as u32;
        self.next_slot += slots + local_slots;
        self.apply(Operation::SetSlots(
            first_slot,
            cluster.iter().chain(local).map(slot).collect(),
        ));
        let first_local = first_slot + slots;
        let service =
            Service { first_slot, slots, first_local, local_slots, affinity, algorithm: 0 };
        self.apply(Operation::SetService(placed.id, service));
    }

    /// Lets clients of a range ask the service's guarded frontends.
    pub fn admit(&mut self, placed: &Placed, range: IpNet) {
        self.apply(Operation::AddSource(placed.id, range));
    }

    /// Says that clients of a range are pods of this node.
    pub fn pods(&mut self, range: IpNet) {
        self.apply(Operation::AddSource(Source::<V4>::PODS, range));
    }

    /// Where the client stays, if the service remembers it.
    pub fn affinity(&self, placed: &Placed, client: IpAddr) -> Option<Affinity> {
        match client {
            IpAddr::V4(ip) => affinity_of::<V4>(self, placed.id, ip.into()),
            IpAddr::V6(ip) => affinity_of::<V6>(self, placed.id, ip.into()),
        }
    }

    /// Makes the client's last new flow `seconds` older.
    pub fn age_affinity(&mut self, placed: &Placed, client: IpAddr, seconds: u64) {
        match client {
            IpAddr::V4(ip) => age::<V4>(self, placed.id, ip.into(), seconds),
            IpAddr::V6(ip) => age::<V6>(self, placed.id, ip.into(), seconds),
        }
    }
}

/// The family's map of clients.
trait Clients: Copy {
    const MAP: &'static str;
}

impl Clients for V4 {
    const MAP: &'static str = "affinity4";
}

impl Clients for V6 {
    const MAP: &'static str = "affinity6";
}

type Known<A> = HashMap<aya::maps::MapData, AffinityKey<A>, Affinity>;

fn open<A: Clients>(programs: &Programs) -> Known<A>
where
    AffinityKey<A>: Pod,
{
    programs.pins().map(A::MAP).expect("it is pinned")
}

fn affinity_of<A: Clients>(programs: &Programs, service: u32, client: A) -> Option<Affinity>
where
    AffinityKey<A>: Pod,
{
    open(programs).get(&AffinityKey { service, client }, 0).ok()
}

fn age<A: Clients>(programs: &Programs, service: u32, client: A, seconds: u64)
where
    AffinityKey<A>: Pod,
{
    let (mut map, key) = (open(programs), AffinityKey { service, client });
    let known = map.get(&key, 0).expect("the client is known");
    let older = known.last_ns.checked_sub(seconds * 1_000_000_000);
    let last_ns = older.expect("the machine runs for longer than that");
    map.insert(key, Affinity { last_ns, ..known }, 0).expect("it is writable");
}
