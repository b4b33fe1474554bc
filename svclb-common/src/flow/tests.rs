//! The life of a flow, and its four tuples.

use super::*;
use crate::tuple::{SCTP, TCP, UDP};

const SECOND: u64 = 1_000_000_000;

fn ip(last: u8) -> V4 {
    V4 { ip: [192, 0, 2, last] }
}

fn facts(protocol: u8) -> Facts {
    Facts {
        last_seen_ns: 100 * SECOND,
        service: 1,
        backend_id: 1,
        ifindex: 1,
        masq_port: 10_240,
        protocol,
        from_client: SEEN | tcp::SYN,
        ..Facts::default()
    }
}

fn flow(protocol: u8) -> Flow<V4> {
    Flow {
        lock: 2,
        facts: facts(protocol),
        client: ip(1),
        frontend: ip(2),
        backend: ip(3),
        masq: ip(4),
        client_port: 40_000,
        frontend_port: 80,
        backend_port: 8080,
        between_port: 40_001,
    }
}

#[test]
fn a_flow_rewrites_each_of_its_tuples() {
    let f = flow(TCP);
    let received = f.received();
    assert_eq!(f.role_received(&received), Some(Role::Request));
    let between = f.rewritten(Role::Request);
    assert_eq!((between.src, between.sport), (ip(1), 40_001));
    assert_eq!((between.dst, between.dport), (ip(3), 8080));
    assert_eq!(f.role_between(&between), Some(Role::RequestOut));
    let sent = f.rewritten(Role::RequestOut);
    assert_eq!((sent.src, sent.sport, sent.dst, sent.dport), (ip(4), 10_240, ip(3), 8080));

    let reply = Tuple { side: side::RECEIVED, ..sent.reversed() };
    assert_eq!(reply, f.returned());
    assert_eq!(f.role_received(&reply), Some(Role::Return));
    let back = f.rewritten(Role::Return);
    assert_eq!(back, between.reversed());
    assert_eq!(f.role_between(&back), Some(Role::Reply));
    let answer = f.rewritten(Role::Reply);
    assert_eq!(Tuple { side: side::RECEIVED, ..answer }, received.reversed());
}

#[test]
fn without_masquerade_the_client_is_kept() {
    let f = Flow { facts: Facts { masq_port: 0, ..facts(UDP) }, ..flow(UDP) };
    assert_eq!(f.rewritten(Role::RequestOut), f.between());
    assert_eq!(f.role_received(&f.returned()), None);
}

#[test]
fn equal_ports_on_both_sides_keep_their_direction() {
    let f = Flow { between_port: 53, backend_port: 53, ..flow(UDP) };
    assert_eq!(f.role_between(&f.between()), Some(Role::RequestOut));
    assert_eq!(f.role_between(&f.between().reversed()), Some(Role::Reply));
}

#[test]
fn a_hairpin_keeps_its_direction() {
    let f = Flow { backend: ip(1), ..flow(TCP) };
    assert_eq!(f.role_between(&f.between()), Some(Role::RequestOut));
    assert_eq!(f.role_between(&f.between().reversed()), Some(Role::Reply));
}

#[test]
fn a_foreign_tuple_has_no_role() {
    let f = flow(TCP);
    let base = f.received();
    for other in [
        Tuple { src: ip(9), ..base },
        Tuple { dst: ip(9), ..base },
        Tuple { sport: 1, ..base },
        Tuple { dport: 1, ..base },
        Tuple { protocol: UDP, ..base },
    ] {
        assert_eq!(f.role_received(&other), None, "{other:?}");
    }
    let base = f.between();
    for other in [
        Tuple { src: ip(9), ..base },
        Tuple { dst: ip(9), ..base },
        Tuple { sport: 1, ..base },
        Tuple { dport: 1, ..base },
        Tuple { protocol: UDP, ..base },
    ] {
        assert_eq!(f.role_between(&other), None, "{other:?}");
    }
}

/// The client or the backend sends a packet.
fn client(f: &mut Facts, flags: u8) -> State {
    f.from_client = f.after_client(flags);
    f.state()
}

fn backend(f: &mut Facts, flags: u8) -> State {
    f.from_backend = f.after_backend(flags);
    f.state()
}

/// TCP whose client has acknowledged the answer.
fn established() -> Facts {
    let mut f = facts(TCP);
    backend(&mut f, tcp::SYN | tcp::ACK);
    client(&mut f, tcp::ACK);
    f
}

#[test]
fn tcp_states_follow_the_flags() {
    let mut f = facts(TCP);
    assert_eq!(f.state(), State::Opening);
    assert_eq!(backend(&mut f, tcp::SYN | tcp::ACK), State::Answered);
    assert_eq!(client(&mut f, tcp::ACK), State::Established);
    assert_eq!(backend(&mut f, tcp::FIN | tcp::ACK), State::Closing);
    assert_eq!(client(&mut f, tcp::FIN | tcp::ACK), State::Closed);
}

#[test]
fn tcp_is_established_by_the_clients_acknowledgement_of_an_answer_only() {
    let mut f = facts(TCP);
    assert_eq!(client(&mut f, tcp::ACK), State::Opening, "nobody has answered");
    assert_eq!(backend(&mut f, tcp::SYN | tcp::ACK), State::Answered);
    for flags in [tcp::SYN, tcp::FIN, 0, tcp::SYN | tcp::ACK] {
        assert_eq!(client(&mut f, flags), State::Answered, "{flags:02x}");
    }
    assert_eq!(backend(&mut f, tcp::SYN | tcp::ACK), State::Answered, "sent again");
    let mut finished_at_once = facts(TCP);
    backend(&mut finished_at_once, tcp::SYN | tcp::ACK);
    assert_eq!(client(&mut finished_at_once, tcp::FIN | tcp::ACK), State::Closing);
}

#[test]
fn a_fin_of_a_flood_is_no_end_of_a_connection() {
    let mut f = facts(TCP);
    assert_eq!(client(&mut f, tcp::FIN | tcp::ACK), State::Opening);
}

#[test]
fn udp_is_a_stream_once_the_client_goes_on_after_an_answer() {
    let mut f = facts(UDP);
    assert_eq!(client(&mut f, 0), State::Opening, "asked again");
    assert_eq!(backend(&mut f, 0), State::Answered);
    assert_eq!(backend(&mut f, 0), State::Answered);
    assert_eq!(client(&mut f, 0), State::Established);
}

#[test]
fn a_reset_closes_until_its_sender_goes_on() {
    let mut f = established();
    assert_eq!(backend(&mut f, tcp::RST), State::Closed);
    assert_eq!(backend(&mut f, tcp::ACK), State::Established);
    assert_eq!(client(&mut f, tcp::RST), State::Closed);
    assert_eq!(client(&mut f, tcp::ACK), State::Established);
}

#[test]
fn time_outs_depend_on_protocol_and_state() {
    let t = Timeouts { udp_established: 121, ..Timeouts::DEFAULT }.table();
    let expires = |f: &Facts, seconds: u64| {
        let now = 100 * SECOND + seconds * SECOND;
        assert!(!f.expired(now, &t) && f.expired(now + 1, &t), "{:?}: {seconds}", f.state());
    };
    let mut f = facts(TCP);
    expires(&f, 120);
    backend(&mut f, tcp::SYN | tcp::ACK);
    expires(&f, 60);
    client(&mut f, tcp::ACK);
    expires(&f, 86_400);
    client(&mut f, tcp::FIN | tcp::ACK);
    expires(&f, 3_600);
    backend(&mut f, tcp::FIN | tcp::ACK);
    expires(&f, 120);
    let mut f = facts(UDP);
    expires(&f, 30);
    backend(&mut f, 0);
    expires(&f, 30);
    client(&mut f, 0);
    expires(&f, 121);
    assert!(!f.expired(0, &t), "a clock that is behind is not an age");
}

#[test]
fn sctp_expires_by_its_own_time_outs() {
    let t = Timeouts::DEFAULT;
    for (from_client, from_backend, seconds) in [
        (tcp::SYN, 0, t.sctp_opening),
        (tcp::SYN, SEEN, t.sctp_opening),
        (CONFIRMED, SEEN, t.sctp_established),
        (CONFIRMED | tcp::FIN, SEEN, t.sctp_closing),
        (tcp::FIN, SEEN | tcp::FIN, t.sctp_closed),
        (tcp::RST, SEEN, t.sctp_closed),
    ] {
        let f = Facts { from_client: SEEN | from_client, from_backend, ..facts(SCTP) };
        let end = f.last_seen_ns + u64::from(seconds) * SECOND;
        assert!(!f.expired(end, &t.table()) && f.expired(end + 1, &t.table()), "{f:?}");
    }
}

#[test]
fn an_established_flow_is_never_recycled() {
    let (t, now) = (Timeouts::DEFAULT.table(), 110 * SECOND);
    let free = Facts { protocol: 0, ..facts(TCP) };
    let opening = facts(TCP);
    let older = |f| Facts { last_seen_ns: 99 * SECOND, ..f };
    let answered = Facts { from_backend: SEEN, ..opening };
    let closed = Facts { from_backend: SEEN | tcp::RST, ..opening };
    let score = |f: Facts| f.recyclable(now, &t);
    let order = [free, older(closed), closed, older(opening), opening, older(answered), answered];
    for pair in order.windows(2) {
        assert!(score(pair[0]) > score(pair[1]), "{pair:?}");
    }
    assert!(score(answered).is_some());
    let mut closing = established();
    client(&mut closing, tcp::FIN | tcp::ACK);
    assert_eq!((score(established()), score(closing)), (None, None));
    assert!(score(free).is_some_and(Facts::is_free_score));
    assert!(!score(closed).is_some_and(Facts::is_free_score));
}

#[test]
fn only_a_bare_syn_opens() {
    assert!(is_opening_segment(tcp::SYN));
    for flags in [0, tcp::ACK, tcp::SYN | tcp::ACK, tcp::SYN | tcp::FIN, tcp::SYN | tcp::RST] {
        assert!(!is_opening_segment(flags), "{flags:02x}");
    }
}
