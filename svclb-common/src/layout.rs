//! Names, sizes and version of what is pinned.

/// The layout's version: the folder of bpffs below which everything is pinned. Raised whenever a
/// key, a value or a meaning changes, so that an agent never reads another layout's bytes.
pub const VERSION: &str = "v1";

/// How many entries each map has unless the operator says otherwise.
pub mod size {
    /// Frontends of one family.
    pub const FRONTENDS: u32 = 65_536;
    /// Services (service ports of one family); ids are below it.
    pub const SERVICES: u32 = 16_384;
    /// Slots of all services, the ranges that wait for their grace time included.
    pub const SLOTS: u32 = 262_144;
    /// Backends of all services; ids are below it.
    pub const BACKENDS: u32 = 65_536;
    /// Flow records of one family; a power of two.
    pub const FLOWS: u32 = 131_072;
    /// Index entries a flow can have: as received, between the hooks, its masqueraded answer.
    pub const TUPLES_PER_FLOW: u32 = 3;
    /// Direct connections to backends that are remembered, per family.
    pub const DIRECT: u32 = 16_384;
    /// What is remembered of sockets, per family: an entry for a connection, two for each service
    /// that an unconnected socket talks to.
    pub const SOCKETS: u32 = 65_536;
    /// Clients that session affinity remembers, per family: each once for each service port.
    pub const AFFINITY: u32 = 65_536;
    /// Ranges of clients, per family: pods of this node, and source ranges of service ports.
    pub const SOURCES: u32 = 65_536;
    /// Ranges that ClusterIPs are given out from, per family.
    pub const SERVICE_CIDRS: u32 = 256;
    /// Addresses of the node, per family.
    pub const NODE_ADDRESSES: u32 = 4_096;
    /// Devices of the node.
    pub const DEVICES: u32 = 16_384;
    /// Flow records of each family that one run of the sweep looks at.
    pub const SWEEP_STRIDE: u32 = 8_192;
    /// Buckets of datagrams in fragments, per family; a power of two.
    pub const FRAGMENT_BUCKETS: u32 = 1_024;
    /// Fragments that wait for their datagram's first one, of both families: 4.8 MB, about what
    /// Linux gives to reassembly (`ipfrag_high_thresh`). A power of two.
    pub const HELD: u32 = 512;
    /// Outcomes: more than there are, so that what is pinned has room for a later version's.
    pub const OUTCOMES: u32 = 64;
    /// Bytes of the ring buffer of events.
    pub const EVENTS: u32 = 1 << 18;
}

/// Names of the maps; the kernel keeps 15 bytes of a name.
pub mod map {
    /// All maps that are pinned, in the order of the README's table.
    pub const ALL: &[&str] = &[
        "frontends4",
        "frontends6",
        "services",
        "slots",
        "backends4",
        "backends6",
        "names",
        "node_addrs4",
        "node_addrs6",
        "devices",
        "sources4",
        "sources6",
        "service_cidrs4",
        "service_cidrs6",
        "addr_filter",
        "flows4",
        "flows6",
        "tuples4",
        "tuples6",
        "direct4",
        "direct6",
        "sockets4",
        "sockets6",
        "affinity4",
        "affinity6",
        "fragments4",
        "fragments6",
        "held",
        "held_sequence",
        "cursor",
        "masq_cursor",
        "svc_stats",
        "be_stats",
        "outcomes",
        "occupancy",
        "events",
    ];
}

#[cfg(test)]
mod tests {
    #[test]
    fn map_names_fit_the_kernel() {
        for name in super::map::ALL {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
