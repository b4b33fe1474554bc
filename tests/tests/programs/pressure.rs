//! Floods against flows that are in use.

use std::net::SocketAddr;

use svclb::{
    loader::Options,
    plan::operation::Protocol::{self, Tcp, Udp},
};
use svclb_common::{flow::Timeouts, outcome::Outcome};
use svclb_tests::{
    packet::flags,
    programs::{
        Action,
        Hook::{Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, port},
    conversation::{answered, establish, go_on},
    opening, pass, segment,
};

/// Records of the flow table.
const TABLE: u32 = 2048;
/// Flows in use.
const LIVE: u16 = 1000;
/// Packets of a flood.
const FLOOD: u16 = 5 * TABLE as u16;

/// However long a busy machine takes, nothing expires.
fn without_end() -> Timeouts {
    Timeouts {
        udp_opening: 3600,
        udp_established: 3600,
        tcp_opening: 3600,
        tcp_answered: 3600,
        ..Timeouts::DEFAULT
    }
}

fn load(a: &Addresses, protocol: Protocol) -> Programs {
    let mut options = Options { timeouts: without_end(), ..Programs::options() };
    options.sizes.flows = TABLE;
    let mut programs = Programs::load(options).expect("the programs load");
    programs.cluster_ip(a.vip, protocol, &[(a.backends[0], true)]);
    programs
}

/// Opens flows, floods the table from another address, and looks for each flow again now and then.
fn withstands(
    a: &Addresses,
    protocol: Protocol,
    flood: impl Fn(&Programs, SocketAddr),
) -> Programs {
    let programs = load(a, protocol);
    let live: Vec<_> = (1..=LIVE).map(|i| port(a.client, 1000 + i)).collect();
    for client in &live {
        establish(&programs, protocol, *client, a.vip);
    }
    for i in 0..FLOOD {
        flood(&programs, port(a.other_client, 1000 + i));
        if i % 2048 == 0 {
            live.iter().for_each(|client| {
                go_on(&programs, protocol, *client, a.vip, a.backends[0]);
            });
        }
    }
    live.iter().for_each(|client| go_on(&programs, protocol, *client, a.vip, a.backends[0]));
    let newcomers = (0..100).map(|i| port(a.client, 40_000 + i));
    newcomers.for_each(|client| {
        establish(&programs, protocol, client, a.vip);
    });
    assert_eq!(programs.count(Outcome::FlowTableFull), 0);
    assert_eq!(programs.count(Outcome::TupleTableFull), 0);
    programs
}

/// The flood has room for what is not in use, and takes all the rest from itself.
fn evictions() -> u64 {
    u64::from(FLOOD) + u64::from(LIVE) + 100 - u64::from(TABLE)
}

#[test]
fn a_syn_flood_cuts_no_established_flow() {
    for a in families() {
        let programs = withstands(&a, Tcp, |programs, client| {
            programs.run(Ingress, &opening(Tcp, client, a.vip));
        });
        assert_eq!(programs.count(Outcome::Evicted), evictions());
        assert_eq!(programs.count(Outcome::AnsweredEvicted), 0);
    }
}

#[test]
fn a_syn_flood_that_is_answered_cuts_no_established_flow() {
    for a in families() {
        let programs = withstands(&a, Tcp, |programs, client| {
            answered(programs, Tcp, client, a.vip);
        });
        assert_eq!(programs.count(Outcome::AnsweredEvicted), evictions());
        assert_eq!(programs.count(Outcome::Evicted), 0);
    }
}

#[test]
fn a_syn_flood_with_fins_cuts_no_established_flow() {
    let a = &families()[0];
    let programs = withstands(a, Tcp, |programs, client| {
        programs.run(Ingress, &opening(Tcp, client, a.vip));
        programs.run(Ingress, &segment(client, a.vip, flags::FIN | flags::ACK));
    });
    assert_eq!(programs.count(Outcome::Evicted), evictions());
}

#[test]
fn a_udp_flood_that_is_answered_cuts_no_stream() {
    for a in families() {
        let programs = withstands(&a, Udp, |programs, client| {
            answered(programs, Udp, client, a.vip);
        });
        assert_eq!(programs.count(Outcome::AnsweredEvicted), evictions());
    }
}

/// A flood towards one endpoint that is masqueraded, from five times as many ports as there are for
/// it, takes them from itself.
#[test]
fn a_flood_leaves_masquerade_ports_to_others() {
    const LIVE: u16 = 100;
    for (a, protocol) in families().into_iter().flat_map(|a| [(a, Tcp), (a, Udp)]) {
        let mut programs = Programs::load(Options {
            masquerade_ports: 10_240..=10_495,
            timeouts: without_end(),
            ..Programs::options()
        })
        .expect("the programs load");
        programs.node_port(a.node, protocol, &[(a.backends[2], false)]);
        let sends = |client| {
            pass(&programs, Ingress, &opening(protocol, client, a.node));
            pass(&programs, Egress, &opening(protocol, client, a.backends[2])).src
        };
        let live: Vec<_> = (0..LIVE).map(|i| port(a.other_client, 1000 + i)).collect();
        let ports: Vec<_> = live.iter().map(|client| sends(*client)).collect();
        for client in live.iter().flat_map(|client| [client; 2]) {
            go_on(&programs, protocol, *client, a.node, a.backends[2]);
        }
        for i in 0..5 * 256 {
            sends(port(a.other_client, 2000 + i));
        }
        assert_eq!(programs.count(Outcome::NoMasqPort), 0);
        assert_eq!(programs.count(Outcome::Evicted), 5 * 256 + u64::from(LIVE) - 256);
        assert_eq!(live.iter().map(|client| sends(*client)).collect::<Vec<_>>(), ports);
    }
}

/// Flows that nobody has answered go first, the oldest first.
#[test]
fn flows_without_an_answer_make_room_before_those_with_one() {
    let a = &families()[0];
    let programs = load(a, Tcp);
    let half = TABLE as u16 / 2;
    for i in 0..half {
        answered(&programs, Tcp, port(a.client, 1000 + 2 * i), a.vip);
        programs.run(Ingress, &opening(Tcp, port(a.client, 1001 + 2 * i), a.vip));
    }
    for i in 0..half {
        programs.run(Ingress, &opening(Tcp, port(a.other_client, 1000 + i), a.vip));
    }
    assert_eq!(programs.count(Outcome::AnsweredEvicted), 0);
    assert_eq!(programs.count(Outcome::Evicted), u64::from(half));
}

/// A new flow takes a record that nobody needs, even if there is none near the hand: flows that were
/// opened one after the other lie together there.
#[test]
fn no_flow_makes_room_while_much_of_the_table_is_not_in_use() {
    let a = &families()[0];
    let programs = load(a, Tcp);
    let young = TABLE as u16 / 4;
    for i in 0..young {
        answered(&programs, Tcp, port(a.client, 1000 + i), a.vip);
    }
    for i in young..TABLE as u16 {
        let client = port(a.client, 1000 + i);
        establish(&programs, Tcp, client, a.vip);
        pass(&programs, Ingress, &segment(client, a.vip, flags::RST));
    }
    // The hand is back at the first record.
    for i in 0..young {
        pass(&programs, Ingress, &opening(Tcp, port(a.other_client, 1000 + i), a.vip));
    }
    assert_eq!(programs.count(Outcome::Evicted), 0);
    assert_eq!(programs.count(Outcome::AnsweredEvicted), 0);
}

/// Established flows lie together, more of them than the hand passes at once: a new flow finds
/// its place behind them.
#[test]
fn a_new_flow_finds_room_behind_established_ones() {
    let a = &families()[0];
    let programs = load(a, Tcp);
    let kept = TABLE as u16 - 256;
    for i in 0..kept {
        establish(&programs, Tcp, port(a.client, 1000 + i), a.vip);
    }
    for i in 0..2 * FLOOD {
        let client = port(a.other_client, 1000 + i);
        let (action, _) = programs.run(Ingress, &opening(Tcp, client, a.vip));
        assert_eq!(action, Action::Next, "flow {i}");
    }
    let seen = programs.run(Egress, &segment(a.backends[0], port(a.client, 1000), flags::ACK)).0;
    assert_eq!(seen, Action::Next);
}
