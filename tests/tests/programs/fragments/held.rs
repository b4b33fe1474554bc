//! Fragments that come before their first one.

use aya::maps::Array;
use svclb::plan::operation::Protocol::Udp;
use svclb_common::{fragment::Held, layout::size, outcome::Outcome};
use svclb_tests::programs::{
    Action, Cable,
    Hook::{self, Egress, Ingress},
    Programs,
};

use super::{SIZE, fragments, load, remembered, through, udp};
use crate::{
    addresses::{families, v4},
    dropped, opening, pass, refused,
};

/// Runs frames at a device, the first of the datagram last, and then what the hook sends again.
fn reversed(hook: Hook, programs: &Programs, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let device = Cable::new(programs).expect("a device can be made");
    let (first, later) = frames.split_first().expect("a fragment");
    for frame in later.iter().rev() {
        assert_eq!(device.run(programs, hook, frame).0, Action::Drop);
    }
    assert_eq!(programs.count(Outcome::FragmentHeld), later.len() as u64);
    assert_eq!(remembered(programs), (1, later.len()));
    let (action, out) = device.run(programs, hook, first);
    assert_eq!(action, Action::Next);
    let mut again = device.sent_again(hook, later.len()).expect("they are sent again");
    assert_eq!(remembered(programs), (1, 0));
    again.sort_by_key(|frame| later.iter().position(|known| known == frame));
    assert_eq!(again, later, "sent again as they came");
    let mut all = vec![out];
    for frame in again {
        let (action, out) = device.run(programs, hook, &frame);
        assert_eq!(action, Action::Next);
        all.push(out);
    }
    all
}

#[test]
fn fragments_that_come_before_their_first_one_are_held_until_it_comes() {
    for a in families() {
        let programs = load(&a);
        let out = reversed(Ingress, &programs, &fragments(a.client, a.vip));
        assert_eq!(out, fragments(a.client, a.backends[0]));
        assert_eq!(remembered(&programs), (0, 0));
    }
}

#[test]
fn fragments_of_answers_are_held_at_egress() {
    for a in families() {
        let programs = load(&a);
        pass(&programs, Ingress, &opening(Udp, a.client, a.vip));
        let out = reversed(Egress, &programs, &fragments(a.backends[0], a.client));
        assert_eq!(out, fragments(a.vip, a.client));
        assert_eq!(remembered(&programs), (0, 0));
    }
}

#[test]
fn held_fragments_are_given_up_when_they_are_too_old() {
    for a in families() {
        let programs = load(&a);
        let frames = fragments(a.client, a.vip);
        dropped(&programs, Ingress, &frames[1]);
        programs.sweep();
        assert_eq!(remembered(&programs), (1, 1), "it is still worth something");
        age(&programs);
        programs.sweep();
        assert_eq!(programs.count(Outcome::FragmentGivenUp), 1);
        assert_eq!(remembered(&programs).1, 0);
    }
}

/// Makes what is held too old.
fn age(programs: &Programs) {
    let mut held: Array<_, Held> = programs.pins().map("held").expect("is pinned");
    for place in 0..size::HELD {
        let mut fragment = held.get(&place, 0).expect("is readable");
        fragment.until_ns = 0;
        held.set(place, fragment, 0).expect("is writable");
    }
}

#[test]
fn a_first_one_that_comes_too_late_sends_nothing_on() {
    for a in families() {
        let programs = load(&a);
        let frames = fragments(a.client, a.vip);
        dropped(&programs, Ingress, &frames[1]);
        age(&programs);
        assert_eq!(
            through(&programs, Ingress, &frames[..1]),
            fragments(a.client, a.backends[0])[..1]
        );
        assert_eq!(programs.count(Outcome::FragmentGivenUp), 1);
        assert_eq!(remembered(&programs), (1, 0));
    }
}

#[test]
fn what_was_held_longest_makes_room() {
    let a = v4();
    let programs = load(&a);
    let later = |id| udp(a.client, a.vip).id(id).fragments(SIZE)[1].clone();
    for id in 0..size::HELD {
        dropped(&programs, Ingress, &later(id));
    }
    assert_eq!(programs.count(Outcome::FragmentGivenUp), 0);
    assert_eq!(remembered(&programs).1, size::HELD as usize);
    dropped(&programs, Ingress, &later(size::HELD));
    assert_eq!(programs.count(Outcome::FragmentGivenUp), 1);
    assert_eq!(remembered(&programs).1, size::HELD as usize);
    // The first one of the datagram that had to make room finds nothing, the next one's does.
    through(&programs, Ingress, &udp(a.client, a.vip).id(0).fragments(SIZE)[..1]);
    assert_eq!(remembered(&programs).1, size::HELD as usize);
    through(&programs, Ingress, &udp(a.client, a.vip).id(1).fragments(SIZE)[..1]);
    assert_eq!(remembered(&programs).1, size::HELD as usize - 1);
}

#[test]
fn the_others_of_a_refused_datagram_are_dropped_before_and_after_it() {
    for a in families() {
        let mut programs = load(&a);
        programs.cluster_ip(a.other_vip, Udp, &[]);
        let frames = fragments(a.client, a.other_vip);
        dropped(&programs, Ingress, &frames[2]);
        dropped(&programs, Ingress, &frames[1]);
        assert_eq!(remembered(&programs).1, 2);
        refused(&programs, Ingress, &frames[0]);
        assert_eq!(programs.count(Outcome::FragmentDropped), 2);
        assert_eq!(remembered(&programs).1, 0);
        dropped(&programs, Ingress, &frames[3]);
        assert_eq!(programs.count(Outcome::FragmentDropped), 3);
    }
}
