//! Which pods there are, and which Services each may serve.

/// Pods of each node that stay endpoints.
pub(super) const STAYING: u16 = 2;
/// Pods of each node that come and go as endpoints.
pub(super) const CHURNED: u16 = 2;
/// All pods of a node.
const EACH: u16 = STAYING + CHURNED;

/// The pods of all nodes, by number: those of the first node first, and those that stay before the
/// others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pods {
    /// How many nodes there are.
    pub(super) nodes: u8,
}

impl Pods {
    /// All.
    pub(super) fn all(self) -> impl Iterator<Item = u16> {
        0..u16::from(self.nodes) * EACH
    }

    /// Those that stay endpoints of a Service: every other one, so that Services differ.
    pub(super) fn staying(self, service: u16) -> impl Iterator<Item = u16> {
        self.all().filter(move |pod| !is_churned(*pod) && (pod + service).is_multiple_of(2))
    }

    /// Those that may be endpoints of any Service.
    pub(super) fn churned(self) -> impl Iterator<Item = u16> {
        self.all().filter(|pod| is_churned(*pod))
    }

    /// Whether a Service may have that endpoint.
    pub(super) fn may_serve(self, pod: u16, service: u16) -> bool {
        self.staying(service).chain(self.churned()).any(|other| other == pod)
    }
}

/// Whether a pod comes and goes.
pub(super) fn is_churned(pod: u16) -> bool {
    pod % EACH >= STAYING
}

/// The node of a pod, from 1 on.
pub(super) fn node_of(pod: u16) -> u8 {
    u8::try_from(pod / EACH + 1).unwrap_or(u8::MAX)
}

/// Its name.
pub(super) fn name(pod: u16) -> String {
    format!("{}-{pod}", if is_churned(pod) { "churned" } else { "staying" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_pods_of_both_kinds_and_every_service_some_that_stay() {
        let pods = Pods { nodes: 3 };
        assert_eq!(pods.all().count(), 12);
        assert_eq!(pods.churned().collect::<Vec<_>>(), [2, 3, 6, 7, 10, 11]);
        for service in 0..4 {
            let nodes: Vec<_> = pods.staying(service).map(node_of).collect();
            assert_eq!(nodes, [1, 2, 3], "service {service}");
        }
        assert!(pods.may_serve(0, 0) && !pods.may_serve(0, 1) && pods.may_serve(2, 1));
        assert!(!pods.may_serve(12, 0));
    }
}
