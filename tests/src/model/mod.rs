//! What svclb must do with a packet: a plain model, written from the service contract.
//!
//! It shares nothing with the kernel programs, neither code nor data structures: addresses are those
//! of `std`, tables are what a Kubernetes administrator would name, flows are a map. It is slow and
//! short, so that it can be read against the contract line by line.
//!
//! Where the data path may choose (an endpoint of a set, a port that is free), the model names what
//! is allowed and asks its [`Chooser`] which one was taken; from then on it holds the data path to
//! that choice. It knows no time: nothing expires, neither flows nor affinity.

mod address;
mod balance;
mod choice;
mod egress;
mod endpoints;
mod errors;
mod flow;
mod flows;
mod fragments;
mod headers;
mod ingress;
mod ipv6;
mod ports;
mod tables;
#[cfg(test)]
mod tests;
mod verdict;

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

pub use address::{Net, Protocol, Tuple};
pub use choice::{Chooser, FirstOf, Ports};
pub use endpoints::{Condition, Endpoint, Set};
pub use errors::{About, Report, report};
pub use headers::{Packet, Unread, ends, read};
pub use tables::{Frontend, Kind, Service, Tables};
pub use verdict::{Dropped, Note, Passed, Rejected, Verdict};

pub use fragments::Part;

use flow::Flow;
use flows::Flows;
use fragments::{Datagram, Fragments};

/// Which hook sees a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hook {
    /// A packet that a device has received.
    Ingress,
    /// A packet that a device is about to send.
    Egress,
}

/// Where a packet is seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The hook.
    pub hook: Hook,
    /// The device's interface index.
    pub device: u32,
}

/// The data path: its tables, and what it remembers of packets.
#[derive(Debug)]
pub struct Model {
    tables: Tables,
    flows: Flows,
    /// Connections to endpoints without a Service, in no direction ([`Tuple::pair`]).
    direct: HashSet<Tuple>,
    /// Where the clients of a service stay.
    stays: HashMap<(u32, IpAddr), SocketAddr>,
    /// The packet that was masqueraded last in each family, as it was sent.
    sent: HashMap<bool, Tuple>,
    /// Datagrams in fragments.
    fragments: Fragments,
    /// What the packet at hand did to flows.
    notes: Vec<Note>,
}

impl Model {
    /// A data path that has seen no packet.
    pub fn new(tables: Tables) -> Self {
        Self {
            tables,
            flows: Flows::default(),
            direct: HashSet::new(),
            stays: HashMap::new(),
            sent: HashMap::new(),
            fragments: Fragments::default(),
            notes: Vec::new(),
        }
    }

    /// Puts other tables in place; flows go on.
    pub fn change(&mut self, tables: Tables) {
        self.tables = tables;
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// What must become of a frame (with an Ethernet header), and what is to be said of flows.
    pub fn handle(
        &mut self,
        place: Place,
        frame: &[u8],
        chooser: &mut dyn Chooser,
    ) -> (Verdict, Vec<Note>) {
        if let Some(report) = report(frame) {
            return (self.error(place, &report, chooser), Vec::new());
        }
        let datagram = headers::part(frame).zip(ends(frame));
        let datagram =
            datagram.map(|(part, ends)| (part.offset, Datagram::new(place, ends, &part)));
        let verdict = match (self.examine(place.hook, frame, chooser), datagram) {
            (Err(verdict), _) => verdict,
            (Ok(None), Some((_, datagram))) => self.follow(datagram, chooser),
            (Ok(None), None) => Verdict::Untouched,
            (Ok(Some(packet)), _) => match place.hook {
                Hook::Ingress => self.ingress(place.device, &packet, chooser),
                Hook::Egress => self.egress(place.device, &packet, chooser),
            },
        };
        if let Some((0, datagram)) = datagram {
            self.lead(datagram, &verdict);
        }
        (verdict, std::mem::take(&mut self.notes))
    }

    /// The packet, if it may be svclb's business and can be read; none of a later fragment.
    fn examine(
        &self,
        hook: Hook,
        frame: &[u8],
        chooser: &mut dyn Chooser,
    ) -> Result<Option<Packet>, Verdict> {
        let (src, dst) = ends(frame).ok_or(Verdict::Untouched)?;
        let (asked, answers) = (self.tables.is_asked(dst), self.tables.answers(dst));
        let concerns = match hook {
            Hook::Ingress => asked || answers,
            Hook::Egress => asked || answers || self.tables.answers(src),
        };
        match read(frame) {
            Ok(packet) if concerns => Ok(Some(packet)),
            Err(Unread::Later) if concerns || chooser.is_taken_for_another() => Ok(None),
            Err(Unread::Odd(why)) if concerns || chooser.is_taken_for_another() => {
                Err(Verdict::Passed(why))
            }
            Err(Unread::Tiny) if concerns || chooser.is_taken_for_another() => {
                Err(Verdict::Dropped(Dropped::Tiny))
            }
            Err(Unread::SctpFragment) if concerns || chooser.is_taken_for_another() => {
                Err(Verdict::Dropped(Dropped::SctpFragment))
            }
            _ => Err(Verdict::Untouched),
        }
    }

    /// Opens a flow; `None` where its packets would look like another flow's.
    fn open(&mut self, flow: Flow) -> Option<u32> {
        let id = self.flows.open(flow)?;
        self.notes.push(Note::Opened);
        Some(id)
    }

    /// Ends a flow.
    fn end(&mut self, id: u32, why: Note) {
        self.flows.end(id);
        self.notes.push(why);
    }
}
