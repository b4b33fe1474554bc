//! What happened in a soak, counted.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    sync::{Mutex, PoisonError},
};

use crate::lab::Family;

/// A kind of traffic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, clap::ValueEnum)]
pub enum Kind {
    /// TCP connections of a few questions each.
    Tcp,
    /// TCP connections that last, with questions of all sizes.
    Long,
    /// Small datagrams, several from a socket.
    Udp,
    /// Datagrams in fragments, 4 to 60 KB.
    Fragments,
    /// Closed ports, Services of nobody, and datagrams that die on their way.
    Errors,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Long, Self::Udp, Self::Fragments, Self::Errors];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Long => "long",
            Self::Udp => "udp",
            Self::Fragments => "fragments",
            Self::Errors => "errors",
        }
    }
}

/// Who would have had to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// An endpoint that stayed from the beginning to the end.
    Stayed,
    /// One that the churn takes away and brings back.
    Churned,
    /// Nobody has answered yet.
    Unknown,
}

/// How it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// The peer has closed or reset the connection, or refused it.
    Reset,
    /// Nothing came.
    Silence,
    /// Something else, which is never right.
    Other,
}

impl Failure {
    /// Of a call at a socket.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Reset,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Silence,
            _ => Self::Other,
        }
    }
}

/// The counts of one kind of traffic in one family.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    /// Questions.
    pub(super) asked: u64,
    /// Questions with their answers, or the errors that they were to get.
    pub(super) answered: u64,
    /// Connections reset whose endpoint the churn may have taken.
    pub(super) reset: u64,
    /// Datagrams lost whose endpoint the churn may have taken.
    pub(super) lost: u64,
    /// What must not happen, by what it is.
    pub(super) wrong: BTreeMap<String, u64>,
}

/// Different things that are wrong; further ones are counted together.
const WRONG: usize = 20;

/// One datagram in so many may be lost: about as many as are on their way when the churn takes
/// their endpoint.
const LOST: u64 = 200;

impl Counts {
    fn add_wrong(&mut self, what: &str) {
        let is_full = self.wrong.len() >= WRONG && !self.wrong.contains_key(what);
        let what = if is_full { "and others" } else { what };
        *self.wrong.entry(what.to_owned()).or_default() += 1;
    }

    /// Whether nothing is wrong: few datagrams may be lost while their endpoint is taken away.
    pub(super) fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.answered > 0 && self.lost <= self.asked / LOST
    }
}

/// Counts of all clients and servers.
#[derive(Default, Debug)]
pub(super) struct Tally(Mutex<BTreeMap<(Kind, &'static str), Counts>>);

impl Tally {
    /// A question was asked.
    pub(super) fn asked(&self, kind: Kind, family: Family) {
        self.change(kind, family, |counts| counts.asked += 1);
    }

    /// It was answered as it should be.
    pub(super) fn answered(&self, kind: Kind, family: Family) {
        self.change(kind, family, |counts| counts.answered += 1);
    }

    /// It failed. A connection to an endpoint that was taken away is reset, and a datagram may be
    /// lost; everything else is wrong.
    pub(super) fn failed(
        &self,
        kind: Kind,
        family: Family,
        (whose, how): (Whose, Failure),
        what: &str,
    ) {
        let is_stream = matches!(kind, Kind::Tcp | Kind::Long);
        self.change(kind, family, |counts| match (whose, how) {
            (Whose::Churned | Whose::Unknown, Failure::Reset) if is_stream => counts.reset += 1,
            (Whose::Churned | Whose::Unknown, Failure::Silence) if !is_stream => counts.lost += 1,
            _ => counts.add_wrong(&format!("{whose:?} endpoint: {what}")),
        });
    }

    /// Somebody received what nobody sent to him.
    pub(super) fn wrong(&self, kind: Kind, family: Family, what: &str) {
        self.change(kind, family, |counts| counts.add_wrong(what));
    }

    /// What was counted, by kind and name of the family.
    pub(super) fn counts(&self) -> BTreeMap<(Kind, &'static str), Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, kind: Kind, family: Family, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry((kind, family.name())).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(failures: &[(Kind, Whose, Failure)]) -> Counts {
        let tally = Tally::default();
        tally.asked(Kind::Tcp, Family::V4);
        tally.answered(Kind::Tcp, Family::V4);
        for (kind, whose, how) in failures {
            tally.failed(*kind, Family::V4, (*whose, *how), "no answer");
        }
        tally.counts().into_values().next().expect("counted")
    }

    #[test]
    fn only_what_the_churn_may_have_taken_may_fail() {
        let tcp = |whose, how| counts(&[(Kind::Tcp, whose, how)]);
        assert!(tcp(Whose::Churned, Failure::Reset).is_good());
        assert!(tcp(Whose::Unknown, Failure::Reset).is_good());
        assert!(!tcp(Whose::Stayed, Failure::Reset).is_good());
        assert!(!tcp(Whose::Churned, Failure::Silence).is_good());
        assert!(!tcp(Whose::Churned, Failure::Other).is_good());
        assert_eq!(tcp(Whose::Churned, Failure::Reset).reset, 1);
    }

    #[test]
    fn few_datagrams_may_be_lost_and_none_of_an_endpoint_that_stayed() {
        let few = Counts { asked: 2 * LOST, answered: 398, lost: 2, ..Counts::default() };
        let mut counts = few;
        assert!(counts.is_good());
        counts.lost += 1;
        assert!(!counts.is_good());
        let tally = Tally::default();
        tally.answered(Kind::Udp, Family::V6);
        tally.failed(Kind::Udp, Family::V6, (Whose::Stayed, Failure::Silence), "no answer");
        assert!(!tally.counts().into_values().all(|counts| counts.is_good()));
    }

    #[test]
    fn a_kind_that_nobody_answered_is_not_good() {
        assert!(!Counts::default().is_good());
    }
}
