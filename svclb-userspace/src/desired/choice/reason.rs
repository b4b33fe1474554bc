//! Why an endpoint is in a set or not.

/// Why an endpoint serves or does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// It is ready, and meant for clients here.
    Ready,
    /// It is terminating but still serves, and no endpoint is ready.
    LastResort,
    /// It is terminating, and others are ready.
    Terminating,
    /// It is not ready.
    NotReady,
    /// It is terminating and no longer serves.
    NotServing,
    /// It is on another node.
    NotLocal,
    /// Its hints say that it is for clients on other nodes.
    OtherNode,
    /// Its hints say that it is for clients in other zones.
    OtherZone,
    /// It has the address and port of the one listed before it, which counts.
    Duplicate,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::LastResort,
        Self::Terminating,
        Self::NotReady,
        Self::NotServing,
        Self::NotLocal,
        Self::OtherNode,
        Self::OtherZone,
        Self::Duplicate,
    ];

    /// Whether new flows go to the endpoint.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::LastResort)
    }

    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::LastResort => "serving_while_terminating",
            Self::Terminating => "terminating",
            Self::NotReady => "not_ready",
            Self::NotServing => "not_serving",
            Self::NotLocal => "not_local",
            Self::OtherNode => "for_other_nodes",
            Self::OtherZone => "for_other_zones",
            Self::Duplicate => "duplicate",
        }
    }
}
