//! The programs and the model of the contract agree.

use std::collections::BTreeSet;

use svclb_tests::differential::run;

/// The seeds of the short run; `SVCLB_DIFFERENTIAL_SEED` names another.
const SEEDS: [u64; 3] = [1, 2_000, 3_000_000];
/// Packets of each.
const PACKETS: u64 = 10_000;
/// What they must have met, or they say little.
const MET: &[&str] = &[
    "request",
    "reply",
    "masqueraded",
    "returned",
    "truncated",
    "malformed",
    "fragment",
    "fragment_held",
    "fragment_dropped",
    "ipv6_extensions",
    "no_endpoint",
    "no_local_endpoint",
    "source_range",
    "tcp_no_flow",
    "sctp_no_flow",
    "flow_opened",
    "closed_flow_reused",
    "flow_forgotten",
    "direct_moved",
    "between_port_moved",
    "error_translated",
    "quote_truncated",
    "quote_malformed",
    "quote_fragment",
    "quote_extensions",
];

#[test]
fn the_programs_do_what_the_model_says() {
    let named = std::env::var("SVCLB_DIFFERENTIAL_SEED").ok();
    let named = named.map(|seed| seed.parse().expect("SVCLB_DIFFERENTIAL_SEED is a number"));
    let mut met = BTreeSet::new();
    for seed in named.map_or(SEEDS.to_vec(), |seed| vec![seed]) {
        let tally = run(seed, PACKETS).unwrap_or_else(|difference| panic!("{difference:#}"));
        assert_eq!(tally.packets, PACKETS);
        met.extend(tally.outcomes.into_keys());
    }
    for name in MET {
        assert!(met.contains(name), "no packet came to {name}");
    }
}
