//! Which service port gets a frontend that several ask for.

use std::collections::{BTreeSet, HashMap};

use crate::{
    desired::FrontendKind,
    plan::operation::{FrontendAddress, ServicePort},
    snapshot::ObjectKey,
};

/// All claims to frontends. The least kind wins, then the least service port, so that every node
/// decides alike and the order of events does not matter.
#[derive(Debug, Default)]
pub(super) struct Claims {
    claimants: HashMap<FrontendAddress, BTreeSet<Claimant>>,
    of: HashMap<ObjectKey, BTreeSet<Claim>>,
}

/// A service port asks for a frontend.
pub(super) type Claim = (FrontendAddress, Claimant);

/// As what a service port asks for a frontend, and which.
pub(super) type Claimant = (FrontendKind, ServicePort);

impl Claims {
    /// Who gets the frontend.
    pub(super) fn winner(&self, address: &FrontendAddress) -> Option<&ServicePort> {
        self.claimants.get(address)?.first().map(|(_, owner)| owner)
    }

    /// Replaces the claims of a Service. Returns the service ports that win or lose a frontend by
    /// it.
    pub(super) fn replace(
        &mut self,
        service: &ObjectKey,
        claims: BTreeSet<Claim>,
    ) -> Vec<ServicePort> {
        let old = self.of.remove(service).unwrap_or_default();
        let mut affected = Vec::new();
        for (address, claimant) in old.difference(&claims) {
            affected.extend(self.withdraw(claimant, address));
        }
        for (address, claimant) in claims.difference(&old) {
            affected.extend(self.claim(claimant, *address));
        }
        if !claims.is_empty() {
            self.of.insert(service.clone(), claims);
        }
        affected
    }

    fn withdraw(&mut self, claimant: &Claimant, address: &FrontendAddress) -> Option<ServicePort> {
        let claimants = self.claimants.get_mut(address)?;
        let won = claimants.first() == Some(claimant);
        claimants.remove(claimant);
        let heir = claimants.first().filter(|_| won).map(|(_, owner)| owner.clone());
        if claimants.is_empty() {
            self.claimants.remove(address);
        }
        heir
    }

    fn claim(&mut self, claimant: &Claimant, address: FrontendAddress) -> Option<ServicePort> {
        let claimants = self.claimants.entry(address).or_default();
        let before = claimants.first().map(|(_, owner)| owner.clone());
        claimants.insert(claimant.clone());
        before.filter(|_| claimants.first() == Some(claimant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::operation::{Family, Protocol};

    fn owner(name: &str) -> ServicePort {
        ServicePort {
            namespace: "ns".into(),
            name: name.into(),
            port_name: String::new(),
            protocol: Protocol::Tcp,
            family: Family::V4,
        }
    }

    #[test]
    fn the_least_claimant_wins_and_the_next_inherits() {
        let address = FrontendAddress::NodePort(Family::V4, 30_000, Protocol::Tcp);
        let mut claims = Claims::default();
        let mut replace = |name: &str, wants: bool| {
            let claimant = (FrontendKind::NodePort, owner(name));
            let wanted = wants.then_some((address, claimant)).into_iter().collect();
            let affected = claims.replace(&ObjectKey::new("ns", name), wanted);
            let winner = claims.winner(&address).map(|owner| owner.name.clone());
            (affected.into_iter().map(|owner| owner.name).collect::<Vec<_>>(), winner)
        };
        let none = Vec::<String>::new;
        let won_by = |name: &str| Some(name.to_owned());
        assert_eq!(replace("b", true), (none(), won_by("b")));
        assert_eq!(replace("c", true), (none(), won_by("b")), "a loser changes nobody");
        assert_eq!(replace("a", true), (vec!["b".into()], won_by("a")), "b loses to a");
        assert_eq!(replace("a", true), (none(), won_by("a")));
        assert_eq!(replace("a", false), (vec!["b".into()], won_by("b")), "b inherits");
        assert_eq!(replace("c", false), (none(), won_by("b")));
        assert_eq!(replace("b", false), (none(), None));
        assert!(claims.claimants.is_empty() && claims.of.is_empty());
    }

    #[test]
    fn the_owner_of_a_cluster_ip_wins_over_whoever_names_it_as_an_external_address() {
        let address = FrontendAddress::Address("10.96.0.1:80".parse().unwrap(), Protocol::Tcp);
        let mut claims = Claims::default();
        let mut add = |name: &str, kind| {
            let wanted = BTreeSet::from([(address, (kind, owner(name)))]);
            let affected = claims.replace(&ObjectKey::new("ns", name), wanted);
            let affected: Vec<_> = affected.into_iter().map(|owner| owner.name).collect();
            (affected.join(" "), claims.winner(&address).map(|owner| owner.name.clone()))
        };
        let won_by = |name: &str| Some(name.to_owned());
        assert_eq!(add("a", FrontendKind::ExternalIp), (String::new(), won_by("a")));
        assert_eq!(add("c", FrontendKind::LoadBalancer), ("a".into(), won_by("c")));
        assert_eq!(add("b", FrontendKind::ClusterIp), ("c".into(), won_by("b")));
        assert_eq!(add("0", FrontendKind::ExternalIp), (String::new(), won_by("b")));
    }
}
