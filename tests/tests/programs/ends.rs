//! How flows end, and what happens when there is no room or nobody to answer.

use ipnet::IpNet;
use svclb::{
    loader::Options,
    plan::operation::{
        FrontendAddress, Operation,
        Protocol::{Tcp, Udp},
    },
};
use svclb_common::{
    frontend::{Frontend, frontend_flags},
    outcome::Outcome,
};
use svclb_tests::{
    lab::{SOON, wait_for},
    packet::flags,
    programs::{
        Action,
        Hook::{Egress, Ingress},
        Programs,
    },
};

use crate::{
    addresses::{Addresses, families, port, v4},
    conversation::{establish, go_on},
    dropped, opening, pass, refused, reply_to, right, segment, untouched,
};

fn load(change: impl FnOnce(&mut Options)) -> Programs {
    let mut options = Programs::options();
    change(&mut options);
    Programs::load(options).expect("the programs load")
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    wait_for(what, SOON, || done().then_some(())).expect("in time");
}

/// Opens a flow through a node port with a remote endpoint and returns the address it is given.
fn masqueraded(programs: &mut Programs, a: &Addresses, sport: u16) -> Option<u16> {
    let client = port(a.other_client, sport);
    let between = pass(programs, Ingress, &opening(Tcp, client, a.node));
    let (_, out) = programs.run(Egress, &opening(Tcp, between.src, between.dst));
    let sent = right(&out);
    (sent.src.ip() == a.node.ip()).then_some(sent.src.port())
}

#[test]
fn tcp_in_mid_stream_without_a_flow_is_reset_at_once() {
    for a in families() {
        let mut programs = load(|_| {});
        programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
        programs.node_port(a.node, Tcp, &[(a.backends[2], false)]);
        let syn = flags::SYN;
        let kinds = [flags::ACK, flags::FIN | flags::ACK, syn | flags::ACK, 0, syn | flags::FIN];
        for flags in kinds {
            for asked in [a.vip, a.node] {
                let (action, out) = programs.run(Ingress, &segment(a.client, asked, flags));
                assert_eq!(action, Action::Back, "{flags:02x}");
                let reset = right(&out);
                assert_eq!((reset.src, reset.dst), (asked, a.client));
                assert!(reset.tcp.is_some_and(|tcp| tcp.flags & flags::RST != 0), "{flags:02x}");
            }
        }
        assert_eq!(programs.count(Outcome::NoFlow), 10);
        for flags in [flags::RST, flags::RST | flags::ACK, syn | flags::RST] {
            dropped(&programs, Ingress, &segment(a.client, a.vip, flags));
        }
        assert_eq!(programs.count(Outcome::Unanswerable), 3, "a reset is never answered");
    }
}

#[test]
fn tcp_in_mid_stream_from_outside_the_source_ranges_hears_nothing() {
    let (a, mut programs) = (v4(), load(|_| {}));
    let placed = programs.external_ip(a.vip, Tcp, &[(a.backends[0], true)]);
    let flags = frontend_flags::EXTERNAL | frontend_flags::GUARDED;
    let frontend = Frontend { service: placed.id, flags };
    programs.apply(Operation::SetFrontend(FrontendAddress::Address(a.vip, Tcp), frontend));
    let range = IpNet::from(a.client.ip());
    programs.apply(Operation::AddSource(placed.id, range));
    refused(&programs, Ingress, &segment(a.client, a.vip, flags::ACK));
    dropped(&programs, Ingress, &segment(a.other_client, a.vip, flags::ACK));
    assert_eq!(programs.count(Outcome::SourceRange), 1);
}

#[test]
fn while_taking_over_tcp_in_mid_stream_is_left_to_the_kernel() {
    for a in families() {
        let mut programs = load(|options| options.takeover = true);
        programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
        for flags in [flags::ACK, flags::FIN | flags::ACK, flags::RST, flags::SYN | flags::ACK] {
            untouched(&programs, Ingress, &segment(a.client, a.vip, flags));
        }
        assert_eq!(programs.count(Outcome::LeftToKernel), 4);
        let backend = establish(&programs, Tcp, port(a.client, 41_000), a.vip);
        assert_eq!(backend, a.backends[0], "new connections are svclb's");
    }
}

#[test]
fn a_new_syn_on_a_closed_flow_is_decided_anew() {
    for a in families() {
        let mut programs = load(|_| {});
        let placed =
            programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true), (a.backends[1], true)]);
        programs.switch(&placed, &[0]);
        let between = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
        pass(&programs, Egress, &reply_to(Tcp, &between));
        pass(&programs, Ingress, &segment(a.client, a.vip, flags::FIN | flags::ACK));
        let fin = segment(between.dst, between.src, flags::FIN | flags::ACK);
        pass(&programs, Egress, &fin);
        programs.switch(&placed, &[1]);
        let last = pass(&programs, Ingress, &segment(a.client, a.vip, flags::ACK));
        assert_eq!(last.dst, a.backends[0], "the last acknowledgement still finds its way");
        let again = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
        assert_eq!(again.dst, a.backends[1]);
    }
}

#[test]
fn a_syn_on_an_established_flow_goes_to_its_backend() {
    for a in families() {
        let mut programs = load(|_| {});
        let placed =
            programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true), (a.backends[1], true)]);
        programs.switch(&placed, &[0]);
        establish(&programs, Tcp, a.client, a.vip);
        programs.switch(&placed, &[1]);
        let again = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
        assert_eq!(again.dst, a.backends[0], "the backend's challenge decides");
    }
}

#[test]
fn a_udp_flow_is_forgotten_when_its_endpoint_no_longer_serves() {
    for a in families() {
        let mut programs = load(|_| {});
        let placed =
            programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true), (a.backends[1], true)]);
        programs.switch(&placed, &[0]);
        let between = pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        pass(&programs, Egress, &reply_to(Udp, &between));
        programs.switch(&placed, &[1]);
        programs.stop_serving(&placed, 0);
        let next = pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        assert_eq!(next.dst, a.backends[1]);
        assert_eq!(programs.count(Outcome::Forgotten), 1);
        programs.switch(&placed, &[]);
        programs.stop_serving(&placed, 1);
        refused(&programs, Ingress, &opening(Udp, a.client, a.vip));
        assert_eq!(programs.count(Outcome::NoEndpoint), 1);
    }
}

#[test]
fn a_syn_that_nobody_answered_is_retried_elsewhere_when_its_endpoint_is_gone() {
    let (a, mut programs) = (v4(), load(|_| {}));
    let placed = programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true), (a.backends[1], true)]);
    programs.switch(&placed, &[0]);
    pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
    programs.switch(&placed, &[1]);
    programs.stop_serving(&placed, 0);
    let retry = pass(&programs, Ingress, &opening(Tcp, a.client, a.vip));
    assert_eq!(retry.dst, a.backends[1]);
}

#[test]
fn flows_expire_without_the_agent_and_by_the_sweep() {
    for a in families() {
        let mut programs = load(|options| options.timeouts.udp_opening = 0);
        programs.cluster_ip(a.vip, Udp, &[(a.backends[0], true)]);
        pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        // The clock of the programs has the resolution of a timer tick.
        wait("a packet finds its flow expired", || {
            pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
            programs.count(Outcome::Expired) > 0
        });
        let before = programs.count(Outcome::Expired);
        wait("the sweep frees the flow", || {
            let _ = programs.sweep();
            programs.count(Outcome::Expired) > before
        });
    }
}

#[test]
fn a_full_table_evicts_flows_without_a_reply_and_never_established_ones() {
    for a in families() {
        let mut programs = load(|options| options.sizes.flows = 64);
        programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
        let clients: Vec<_> = (1000..1032).map(|sport| port(a.client, sport)).collect();
        for client in &clients {
            establish(&programs, Tcp, *client, a.vip);
        }
        for sport in 2000..3000 {
            programs.run(Ingress, &opening(Tcp, port(a.client, sport), a.vip));
        }
        assert!(programs.count(Outcome::Evicted) > 500);
        for client in clients {
            go_on(&programs, Tcp, client, a.vip, a.backends[0]);
        }
    }
}

#[test]
fn a_table_full_of_established_flows_refuses_new_ones_by_name() {
    let (a, mut programs) = (v4(), load(|options| options.sizes.flows = 64));
    programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
    for sport in 1000..1064 {
        establish(&programs, Tcp, port(a.client, sport), a.vip);
    }
    dropped(&programs, Ingress, &opening(Tcp, port(a.client, 2000), a.vip));
    assert_eq!(programs.count(Outcome::FlowTableFull), 1);
    // One connection ends: the next finds its record within a turn of the hand.
    pass(&programs, Ingress, &segment(port(a.client, 1000), a.vip, flags::RST));
    let turns = (0..64).take_while(|i| {
        let client = port(a.client, 3000 + i);
        programs.run(Ingress, &opening(Tcp, client, a.vip)).0 == Action::Drop
    });
    assert!(turns.count() < 8);
}

#[test]
fn masquerade_ports_are_exhausted_by_name_and_recover() {
    for a in families() {
        let mut programs = load(|options| options.masquerade_ports = 10_240..=10_255);
        programs.node_port(a.node, Tcp, &[(a.backends[2], false)]);
        let mut ports: Vec<u16> = (0..16)
            .filter_map(|i| {
                let (client, sent) =
                    (port(a.other_client, 5000 + i), masqueraded(&mut programs, &a, 5000 + i));
                // The second time, the client goes on after an answer.
                for _ in 0..2 {
                    go_on(&programs, Tcp, client, a.node, a.backends[2]);
                }
                sent
            })
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, (10_240..10_256).collect::<Vec<_>>(), "each port once");
        assert_eq!(masqueraded(&mut programs, &a, 6000), None);
        assert_eq!(programs.count(Outcome::NoMasqPort), 1);
        // A connection that has ended gives its port back at once.
        let client = port(a.other_client, 5003);
        pass(&programs, Ingress, &segment(client, a.node, flags::RST));
        assert!(masqueraded(&mut programs, &a, 6000).is_some());
    }
}

#[test]
fn without_an_address_to_masquerade_with_nothing_goes_out_wrong() {
    let (a, mut programs) = (v4(), load(|_| {}));
    // A hairpin on a node whose addresses are not known yet.
    programs.cluster_ip(a.vip, Tcp, &[(a.backends[0], true)]);
    let client = port(a.backends[0], 50_000);
    let between = pass(&programs, Ingress, &opening(Tcp, client, a.vip));
    dropped(&programs, Egress, &opening(Tcp, between.src, between.dst));
    assert_eq!(programs.count(Outcome::NoMasqAddress), 1);
}
