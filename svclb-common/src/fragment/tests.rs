use super::*;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000 * SECOND;

fn key(id: u32) -> DatagramKey<V4> {
    let (src, dst) = (V4 { ip: [192, 0, 2, 1] }, V4 { ip: [10, 96, 0, 1] });
    DatagramKey { src, dst, id, ifindex: 2, protocol: 17, side: 1, pad: [0; 2] }
}

fn empty() -> Bucket<V4> {
    let fate = Fate {
        src: V4::ANY,
        dst: V4::ANY,
        service: 0,
        backend_id: 0,
        mac: [0; 6],
        state: state::NONE,
        counted: counted::NOT,
    };
    let none = Datagram {
        since_ns: 0,
        held: 0,
        coverage: Coverage::default(),
        key: key(0),
        fate,
        pad: [0; 4],
    };
    Bucket { lock: 0, datagrams: [none; WAYS] }
}

fn part(offset: u32, len: u32, more: bool) -> Part {
    Part { id: 1, offset, len, more: more.into() }
}

/// The parts of a datagram of `total` bytes.
fn parts(total: u32, size: u32) -> Vec<Part> {
    let cut = (0..total).step_by(size as usize);
    cut.map(|at| part(at, size.min(total - at), at + size < total)).collect()
}

#[test]
fn a_datagram_is_complete_with_its_last_byte_in_any_order() {
    for (total, size) in [(4_008, 1_480), (60_008, 1_480), (65_515, 1_232), (60_008, 552)] {
        let parts = parts(total, size);
        for shift in 0..parts.len() {
            let mut coverage = Coverage::default();
            let order = (0..parts.len()).map(|i| parts[(i + shift) % parts.len()]);
            let complete: Vec<bool> = order.map(|part| coverage.add(&part)).collect();
            let at = complete.iter().position(|complete| *complete);
            assert_eq!(at, Some(parts.len() - 1), "{total} bytes from fragment {shift} on");
        }
    }
}

#[test]
fn what_comes_twice_is_counted_once() {
    let mut coverage = Coverage::default();
    let parts = parts(4_008, 1_480);
    for part in [parts[0], parts[1], parts[1], parts[0], parts[1]] {
        assert!(!coverage.add(&part));
    }
    assert!(coverage.add(&parts[2]));
}

#[test]
fn tiny_fragments_never_make_a_datagram_complete_too_early() {
    let mut coverage = Coverage::default();
    for part in parts(400, 8) {
        assert!(!coverage.add(&part));
    }
}

#[test]
fn contradictions_are_seen() {
    assert!(part(1_480, 1_480, true).is_sound());
    assert!(part(1_480, 1, false).is_sound());
    assert!(part(65_528, 7, false).is_sound());
    assert!(!part(1_480, 1_481, true).is_sound(), "only the last may be of any length");
    assert!(!part(1_480, 0, false).is_sound());
    assert!(!part(65_528, 8, false).is_sound(), "longer than any datagram");
    assert!(!Part::WHOLE.is_part() && part(0, 8, true).is_part() && part(8, 8, false).is_part());
}

#[test]
fn a_datagram_is_found_until_it_is_too_old() {
    let mut bucket = empty();
    assert_eq!(bucket.find(&key(0), NOW), WAYS, "what is empty has no key");
    bucket.datagrams[2].begin(&key(7), NOW);
    assert_eq!(bucket.find(&key(7), NOW), 2);
    assert_eq!(bucket.find(&key(8), NOW), WAYS);
    assert_eq!(bucket.find(&key(7), NOW + 30 * SECOND), 2);
    assert_eq!(bucket.find(&key(7), NOW + 31 * SECOND), WAYS);
    assert_eq!(bucket.find(&key(7), NOW - 1), 2, "another CPU's clock may be behind");
}

#[test]
fn a_new_datagram_takes_a_free_place_or_the_oldest() {
    let mut bucket = empty();
    let mut taken = Vec::new();
    for id in 0..WAYS as u32 {
        let place = bucket.place(NOW);
        bucket.datagrams[place].begin(&key(id), NOW + u64::from(id));
        taken.push(place);
    }
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2, 3], "each a place of its own");
    let oldest = bucket.find(&key(0), NOW);
    assert_eq!(bucket.place(NOW + SECOND), oldest);
    bucket.datagrams[oldest].since_ns = NOW + SECOND;
    let expired = bucket.find(&key(1), NOW);
    bucket.datagrams[expired].since_ns = NOW - 31 * SECOND;
    assert_eq!(bucket.place(NOW + SECOND), expired);
}

#[test]
fn each_member_of_a_key_changes_its_bucket() {
    let own = key(1);
    let others = [
        DatagramKey { src: own.dst, dst: own.src, ..own },
        DatagramKey { id: 2, ..own },
        DatagramKey { ifindex: 3, ..own },
        DatagramKey { protocol: 6, ..own },
        DatagramKey { side: 2, ..own },
    ];
    for other in others {
        assert_ne!(own.hash(0), other.hash(0), "{other:?}");
    }
}
