//! One step in the kernel and in the model, compared.

use std::net::SocketAddr;

use anyhow::Result;
use svclb_common::outcome::Outcome;

use super::{
    error_frame,
    frame::{fault, readdressed_fault},
    kernel::Kernel,
    script::{Shot, Step},
};
use crate::{
    model::{
        Chooser, Dropped, Model, Note, Passed, Ports, Protocol, Rejected, Tuple, Verdict, read,
        report,
    },
    packet::{
        Link, Seen, explain, flags,
        sctp::{self, kind},
    },
    programs::Action,
};

/// The kernel and the model side by side.
pub struct Pair {
    kernel: Kernel,
    model: Model,
}

/// What a step came to.
pub enum Came {
    /// The same on both sides: the packet's ends afterwards, if it can be read and went on, and what
    /// was counted.
    Agreed(Option<Tuple>, Vec<Outcome>),
    /// Something else on each side.
    Differ(String),
}

impl Pair {
    /// A new kernel side and a new model. The tables must come first.
    ///
    /// # Errors
    /// The programs cannot be loaded.
    pub fn new(masquerade_ports: (u16, u16), hash_seed: u32) -> Result<Self> {
        let kernel = Kernel::load(masquerade_ports, hash_seed)?;
        Ok(Self { kernel, model: Model::new(Default::default()) })
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.model.flows()
    }

    /// Takes a step on both sides.
    ///
    /// # Errors
    /// The kernel's counters cannot be read.
    pub fn step(&mut self, step: &Step) -> Result<Came> {
        match step {
            Step::Change(tables) => {
                self.kernel.write(tables);
                self.model.change((**tables).clone());
                Ok(Came::Agreed(None, Vec::new()))
            }
            Step::Packet(shot) => self.packet(shot),
        }
    }

    fn packet(&mut self, shot: &Shot) -> Result<Came> {
        let frame = shot.frame();
        let (action, out) = self.kernel.run(shot.place, &frame);
        let counted = self.kernel.counted()?;
        let passed = (action == Action::Next).then_some(&out[..]);
        let before = read(&frame).ok();
        let after = passed.and_then(|out| read(out).ok()).map(|packet| packet.tuple);
        let same = passed == Some(&frame[..]);
        let is_counted = !counted.is_empty();
        let is_held = counted.contains(&Outcome::FragmentHeld);
        let mut taken = Taken { after, same, is_counted, is_held, asked: Vec::new() };
        let (verdict, notes) = self.model.handle(shot.place, &frame, &mut taken);

        let mut expected = expected(verdict, &notes);
        if let Some(silent) = silent(verdict, action, &counted) {
            expected.pop();
            expected.push(silent);
        }
        let wrong_frame = match (action, verdict) {
            (Action::Drop, Verdict::Dropped(_) | Verdict::Rejected(_) | Verdict::Held) => None,
            (Action::Back, Verdict::Rejected(_)) => refusal_fault(&frame, &out),
            (Action::Drop | Action::Back, _) => Some(format!("{action:?}")),
            (Action::Next, Verdict::Dropped(_) | Verdict::Rejected(_) | Verdict::Held) => {
                Some("it was passed".into())
            }
            (Action::Next, Verdict::Translated(from, about)) => report(&frame)
                .and_then(|report| error_frame::fault(&frame, &report, from, about, &out)),
            (Action::Next, Verdict::Followed(src, dst)) => {
                readdressed_fault(&frame, src, dst, &out)
            }
            (Action::Next, _) => match (before, verdict.rewritten()) {
                (Some(packet), Some(to)) => fault(&frame, &packet, &to, &out),
                _ => (out != frame).then(|| "it was changed".to_owned()),
            },
        };
        let wrong_count = (!same_counts(&counted, &expected))
            .then(|| format!("counted {counted:?}, not {expected:?}"));
        if wrong_frame.is_none() && wrong_count.is_none() {
            return Ok(Came::Agreed(after, counted));
        }
        let wrong: Vec<_> = wrong_frame.into_iter().chain(wrong_count).collect();
        Ok(Came::Differ(format!(
            "the model: {verdict:?} {notes:?}, allowed {:?}\nthe kernel: {action:?} {after:?}: {}",
            taken.asked,
            wrong.join("; ")
        )))
    }
}

/// Why a refusal is not sent, where that is allowed: what is counted in place of the refusal's
/// reason.
fn silent(verdict: Verdict, action: Action, counted: &[Outcome]) -> Option<Outcome> {
    let refused = matches!(verdict, Verdict::Rejected(_));
    let mut reasons = [Outcome::Unanswerable, Outcome::AnswerLimited].into_iter();
    let reason = reasons.find(|reason| counted.contains(reason));
    reason.filter(|_| refused && action == Action::Drop)
}

/// What is wrong with the refusal of a frame.
fn refusal_fault(asked: &[u8], refusal: &[u8]) -> Option<String> {
    let (packet, refusal) = match (read(asked), explain(refusal, Link::Ethernet)) {
        (Ok(packet), Ok(refusal)) => (packet, refusal),
        (_, Err(fault)) => return Some(format!("the refusal: {fault}")),
        (Err(_), _) => return Some("what cannot be read was refused".to_owned()),
    };
    let (association, asked) = (&asked[packet.transport..], packet.tuple);
    let is_reset = refusal.tcp.is_some_and(|segment| segment.flags & flags::RST != 0);
    let is_error = matches!(refusal.payload.get(..2), Some([3, 3] | [1, 4]));
    let right = match asked.protocol {
        Protocol::Tcp => is_reset && (refusal.src, refusal.dst) == (asked.dst, asked.src),
        Protocol::Sctp if association[sctp::HEADER] != kind::INIT => {
            is_abort(association, &refusal) && (refusal.src, refusal.dst) == (asked.dst, asked.src)
        }
        Protocol::Udp | Protocol::Sctp => {
            is_error && (refusal.src.ip(), refusal.dst.ip()) == (asked.dst.ip(), asked.src.ip())
        }
    };
    (!right).then(|| format!("the refusal is {refusal}"))
}

/// Whether an association's packet is answered as RFC 9260, section 8.4 says: the tag is reflected.
fn is_abort(asked: &[u8], refusal: &Seen) -> bool {
    let tag = sctp::Common::of(asked).map(|common| common.tag);
    let asked = asked[sctp::HEADER];
    let never = [kind::ABORT, kind::SHUTDOWN_COMPLETE, kind::ERROR, kind::COOKIE_ACK];
    let answer = if asked == kind::SHUTDOWN_ACK { kind::SHUTDOWN_COMPLETE } else { kind::ABORT };
    !never.contains(&asked) && refusal.tag == tag && refusal.payload == [answer, 1, 0, 4]
}

/// The counters that a verdict and notes move.
fn expected(verdict: Verdict, notes: &[Note]) -> Vec<Outcome> {
    let own = match verdict {
        Verdict::Untouched => None,
        Verdict::Request(_) => Some(Outcome::Request),
        Verdict::Reply(_) => Some(Outcome::Reply),
        Verdict::Masqueraded(_) => Some(Outcome::Masqueraded),
        Verdict::Returned(_) => Some(Outcome::Returned),
        Verdict::Translated(..) => Some(Outcome::ErrorTranslated),
        Verdict::PassedError(why) => Some(match why {
            Passed::Truncated => Outcome::QuoteTruncated,
            Passed::Malformed => Outcome::QuoteMalformed,
            Passed::Fragment => Outcome::QuoteFragment,
            Passed::Extensions => Outcome::QuoteExtensions,
        }),
        Verdict::Followed(..) => Some(Outcome::Fragment),
        Verdict::Held => Some(Outcome::FragmentHeld),
        Verdict::Passed(why) => Some(match why {
            Passed::Truncated => Outcome::Truncated,
            Passed::Malformed => Outcome::Malformed,
            Passed::Extensions => Outcome::Extensions,
            Passed::Fragment => Outcome::QuoteFragment,
        }),
        Verdict::Dropped(why) => Some(match why {
            Dropped::NoLocalEndpoint => Outcome::NoLocalEndpoint,
            Dropped::SourceRange => Outcome::SourceRange,
            Dropped::NoMasqueradePort => Outcome::NoMasqPort,
            Dropped::NoMasqueradeAddress => Outcome::NoMasqAddress,
            Dropped::Busy => Outcome::FlowBusy,
            Dropped::Tiny => Outcome::FragmentTiny,
            Dropped::SctpFragment => Outcome::SctpFragment,
            Dropped::WithFirst => Outcome::FragmentDropped,
        }),
        Verdict::Rejected(why) => Some(match why {
            Rejected::NoEndpoint => Outcome::NoEndpoint,
            Rejected::NoFlow => Outcome::NoFlow,
            Rejected::NoAssociation => Outcome::SctpNoFlow,
        }),
    };
    let note = |note: &Note| match note {
        Note::Opened => Outcome::Opened,
        Note::Reused => Outcome::Reused,
        Note::PushedOut => Outcome::Evicted,
        Note::AnsweredPushedOut => Outcome::AnsweredEvicted,
        Note::Forgotten => Outcome::Forgotten,
        Note::DirectMoved => Outcome::DirectMoved,
        Note::PortMoved => Outcome::PortMoved,
        Note::GivenUp => Outcome::FragmentGivenUp,
        Note::WaitedInVain => Outcome::FragmentDropped,
    };
    notes.iter().map(note).chain(own).collect()
}

fn same_counts(counted: &[Outcome], expected: &[Outcome]) -> bool {
    let sorted = |outcomes: &[Outcome]| {
        let mut numbers: Vec<u32> = outcomes.iter().map(|outcome| *outcome as u32).collect();
        numbers.sort_unstable();
        numbers
    };
    sorted(counted) == sorted(expected)
}

/// Takes what the kernel took, where that is allowed; else something that is.
struct Taken {
    after: Option<Tuple>,
    same: bool,
    is_counted: bool,
    is_held: bool,
    asked: Vec<String>,
}

impl Chooser for Taken {
    fn endpoint(&mut self, allowed: &[SocketAddr]) -> SocketAddr {
        self.asked.push(format!("endpoints {allowed:?}"));
        let taken = self.after.map(|after| after.dst).filter(|dst| allowed.contains(dst));
        taken.unwrap_or(allowed[0])
    }

    fn port(&mut self, allowed: &Ports) -> Option<u16> {
        self.asked.push(format!("{allowed:?}"));
        match self.after {
            None if allowed.may_fail => None,
            Some(after) if allowed.allow(after.src.port()) => Some(after.src.port()),
            _ => allowed.first(),
        }
    }

    fn is_last_sent(&mut self) -> bool {
        self.same
    }

    fn is_taken_for_another(&mut self) -> bool {
        self.is_counted
    }

    fn is_forgotten(&mut self) -> bool {
        self.is_held
    }
}
