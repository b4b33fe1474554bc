//! The programs and the model of the contract agree.

use svclb_tests::differential::run;

/// The seeds of the short run; `SVCLB_DIFFERENTIAL_SEED` names another.
const SEEDS: [u64; 3] = [1, 2_000, 3_000_000];
/// Packets of each.
const PACKETS: u64 = 4_000;

#[test]
fn the_programs_do_what_the_model_says() {
    let named = std::env::var("SVCLB_DIFFERENTIAL_SEED").ok();
    let named = named.map(|seed| seed.parse().expect("SVCLB_DIFFERENTIAL_SEED is a number"));
    for seed in named.map_or(SEEDS.to_vec(), |seed| vec![seed]) {
        let tally = run(seed, PACKETS).unwrap_or_else(|difference| panic!("{difference:#}"));
        assert_eq!(tally.packets, PACKETS);
        assert!(tally.passed > PACKETS / 2, "{tally:?}");
    }
}
