//! Which service port gets a frontend that several ask for.

use std::collections::{BTreeSet, HashMap};

use crate::{
    plan::operation::{FrontendAddress, ServicePort},
    snapshot::ObjectKey,
};

/// All claims to frontends. The least service port wins, so that every node decides alike and the
/// order of events does not matter.
#[derive(Debug, Default)]
pub(super) struct Claims {
    claimants: HashMap<FrontendAddress, BTreeSet<ServicePort>>,
    of: HashMap<ObjectKey, BTreeSet<Claim>>,
}

/// A service port asks for a frontend.
pub(super) type Claim = (FrontendAddress, ServicePort);

impl Claims {
    /// Who gets the frontend.
    pub(super) fn winner(&self, address: &FrontendAddress) -> Option<&ServicePort> {
        self.claimants.get(address)?.first()
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
        for (address, owner) in old.difference(&claims) {
            affected.extend(self.withdraw(owner, address));
        }
        for (address, owner) in claims.difference(&old) {
            affected.extend(self.claim(owner, *address));
        }
        if !claims.is_empty() {
            self.of.insert(service.clone(), claims);
        }
        affected
    }

    fn withdraw(&mut self, owner: &ServicePort, address: &FrontendAddress) -> Option<ServicePort> {
        let claimants = self.claimants.get_mut(address)?;
        let won = claimants.first() == Some(owner);
        claimants.remove(owner);
        let heir = claimants.first().filter(|_| won).cloned();
        if claimants.is_empty() {
            self.claimants.remove(address);
        }
        heir
    }

    fn claim(&mut self, owner: &ServicePort, address: FrontendAddress) -> Option<ServicePort> {
        let claimants = self.claimants.entry(address).or_default();
        let before = claimants.first().cloned();
        claimants.insert(owner.clone());
        before.filter(|_| claimants.first() == Some(owner))
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
            let wanted = wants.then(|| (address, owner(name))).into_iter().collect();
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
}
