//! Who asks.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use serde::Serialize;

use super::{Facts, Question};
use crate::desired::Place;

/// A client, and what it is to this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// What it is.
    pub is: Is,
}

/// What a client is to this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Is {
    /// A process of the node itself.
    Node,
    /// Inside the cluster.
    Inside,
    /// Outside the cluster.
    Outside,
    /// It is not known to be inside or outside.
    Unknown,
}

impl Client {
    /// Who asks the question.
    pub(super) fn of(facts: &Facts<'_>, question: &Question) -> Self {
        let address = question.client;
        let prefix = facts.pod_interfaces.as_deref();
        let device = question.device.as_deref();
        let is_pods = device.zip(prefix).is_some_and(|(name, prefix)| name.starts_with(prefix));
        let is = if address.is_loopback() || facts.node.addresses.contains(&address) {
            Is::Node
        } else if is_pods || contain(&facts.inside, address) {
            Is::Inside
        } else if contain(&facts.detected, address) {
            Is::Outside
        } else {
            Is::Unknown
        };
        Self { address, is }
    }

    /// Where verdicts take it to be: whoever is not known to be inside is held to policies.
    pub(super) fn place(self) -> Place {
        match self.is {
            Is::Node => Place::Host,
            Is::Inside => Place::Pod,
            Is::Outside | Is::Unknown => Place::Outside,
        }
    }
}

impl Is {
    /// The name that commands print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Inside => "inside",
            Self::Outside => "outside",
            Self::Unknown => "unknown",
        }
    }
}

fn contain(ranges: &BTreeSet<IpNet>, ip: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&ip))
}
