//! ICMP errors: whom a message is about, and what becomes of it (the contract's section 9).

use std::net::{IpAddr, SocketAddr};

use super::{
    Chooser, Hook, Model, Place, Tuple, Verdict,
    address::Protocol,
    flow::Role,
    headers::{ETHERNET, ends, number, whole},
    ipv6,
    verdict::Passed,
};

/// Length of an ICMP header.
const ICMP: usize = 8;
/// How much of a quoted transport header is needed.
const LEAST: usize = 8;

/// An error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its source.
    pub from: IpAddr,
    /// Its destination.
    pub to: IpAddr,
    /// Where its ICMP header begins in the frame.
    pub message: usize,
    /// The quoted packet's destination, where that can be seen at a glance.
    aims: Option<IpAddr>,
    /// The packet that it is about, if that is one of TCP, UDP or SCTP.
    pub about: Result<Option<About>, Passed>,
}

/// A quoted packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About {
    /// Its ends.
    pub tuple: Tuple,
    /// Where its network header begins in the frame.
    pub network: usize,
    /// Where its transport header begins in the frame.
    pub transport: usize,
    /// Where what is quoted of it ends in the frame.
    pub end: usize,
}

/// Reads a frame that is an error; none if it is something else, or odd itself.
pub fn report(frame: &[u8]) -> Option<Report> {
    let (from, to) = ends(frame)?;
    let outer = whole(frame)?;
    let (icmp, errors): (u8, &[u8]) =
        if from.is_ipv4() { (1, &[3, 11, 12]) } else { (58, &[1, 2, 3, 4]) };
    let (message, end) = (ETHERNET + outer.offset, ETHERNET + outer.end);
    let is_error = outer.protocol == icmp && errors.contains(frame.get(message)?);
    if !is_error || message + ICMP > end {
        return None;
    }
    // Behind extension headers nobody looks who is not asked to.
    let direct = from.is_ipv4() || frame[ETHERNET + 6] == icmp;
    let network = message + ICMP;
    let aims = direct.then(|| destination(frame, network, from.is_ipv4())).flatten();
    Some(Report { from, to, message, aims, about: about(frame, network, end, to, icmp) })
}

fn destination(frame: &[u8], network: usize, v4: bool) -> Option<IpAddr> {
    let (at, len) = if v4 { (network + 16, 4) } else { (network + 24, 16) };
    address(frame.get(at..at + len)?)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4().or_else(|_| v6()).ok()
}

/// What is quoted, which `to` must have sent.
fn about(
    frame: &[u8],
    network: usize,
    end: usize,
    to: IpAddr,
    icmp: u8,
) -> Result<Option<About>, Passed> {
    let quote = frame.get(network..).unwrap_or_default();
    let (protocol, offset, stated) =
        if to.is_ipv4() { quoted_v4(quote)? } else { quoted_v6(quote)? };
    if protocol == icmp {
        return Ok(None);
    }
    let transport = network + offset;
    if transport + LEAST > end {
        return Err(Passed::Truncated);
    }
    let (first, len) = if to.is_ipv4() { (12, 4) } else { (8, 16) };
    let one = |at: usize| address(&quote[at..at + len]).ok_or(Passed::Truncated);
    let (src, dst) = (one(first)?, one(first + len)?);
    if stated.is_some_and(|stated| stated < offset + LEAST) || src != to {
        return Err(Passed::Malformed);
    }
    let protocol = match protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return Ok(None),
    };
    let port = |at: usize| u16::from_be_bytes([quote[offset + at], quote[offset + at + 1]]);
    let (src, dst) = (SocketAddr::new(src, port(0)), SocketAddr::new(dst, port(2)));
    Ok(Some(About { tuple: Tuple::new(protocol, src, dst), network, transport, end }))
}

/// Protocol, offset of the transport header, and the packet's length by its own count.
fn quoted_v4(quote: &[u8]) -> Result<(u8, usize, Option<usize>), Passed> {
    let header = quote.get(..20).ok_or(Passed::Truncated)?;
    let offset = usize::from(header[0] & 15) * 4;
    if header[0] >> 4 != 4 || offset < 20 {
        return Err(Passed::Malformed);
    }
    // The first of several fragments has the ports.
    if number(header, 6).is_none_or(|fragment| fragment & 0x1fff != 0) {
        return Err(Passed::Fragment);
    }
    Ok((header[9], offset, number(header, 2).filter(|stated| *stated != 0)))
}

fn quoted_v6(quote: &[u8]) -> Result<(u8, usize, Option<usize>), Passed> {
    let header = quote.get(..40).ok_or(Passed::Truncated)?;
    if header[0] >> 4 != 6 {
        return Err(Passed::Malformed);
    }
    let walked = ipv6::walk(quote)?;
    if walked.is_later() {
        return Err(Passed::Fragment);
    }
    let stated = number(header, 4).filter(|stated| *stated != 0);
    Ok((walked.protocol, walked.offset, stated.map(|stated| 40 + stated)))
}

impl Model {
    /// What becomes of an error: it is given the ends that an answer to the quoted packet would be
    /// given here. It opens nothing and keeps nothing alive.
    pub(super) fn error(
        &self,
        place: Place,
        report: &Report,
        chooser: &mut dyn Chooser,
    ) -> Verdict {
        let concerns = self.is_concerned(place.hook, report);
        match report.about {
            Err(why) if concerns || chooser.is_taken_for_another() => Verdict::PassedError(why),
            Ok(Some(about)) if concerns => self.translate(place, report, about.tuple),
            _ => Verdict::Untouched,
        }
    }

    fn is_concerned(&self, hook: Hook, report: &Report) -> bool {
        let (asked, answers) = (|ip| self.tables.is_asked(ip), |ip| self.tables.answers(ip));
        let to = asked(report.to) || answers(report.to);
        match hook {
            Hook::Ingress => to,
            Hook::Egress => to || answers(report.from) || report.aims.is_some_and(answers),
        }
    }

    fn translate(&self, place: Place, report: &Report, about: Tuple) -> Verdict {
        let answer = about.reversed();
        let known = match place.hook {
            Hook::Ingress => self.flows.received(&answer),
            Hook::Egress => self.flows.between(&answer),
        };
        let Some((id, role)) = known else { return Verdict::Untouched };
        let flow = self.flows.get(id);
        let (forwarded, masquerade) = (flow.forwarded(), flow.masquerade);
        let to = match role {
            Role::RequestOut => masquerade.map(|src| Tuple { src, ..forwarded }),
            _ if self.is_not_ours(id, role, place.device) => None,
            Role::Request => Some(forwarded),
            Role::Return => Some(forwarded.reversed()),
            Role::Reply => Some(flow.reply()),
        };
        let Some(to) = to else { return Verdict::Untouched };
        // Who answers for an end speaks in its name; routers keep theirs where the client sees them.
        let stands_for = report.from == answer.src.ip() || role == Role::RequestOut;
        let from = if stands_for { to.src.ip() } else { report.from };
        Verdict::Translated(from, to.reversed())
    }
}
