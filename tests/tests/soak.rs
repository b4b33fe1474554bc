//! A short soak: what takes hours to go wrong is for `cargo xtask soak`.
#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use std::time::Duration;

use svclb_tests::soak::{self, Kind, Options};

#[test]
fn endpoints_come_and_go_and_nothing_is_wrong_or_left() {
    let kinds = Kind::ALL.to_vec();
    let options = Options { time: Duration::from_secs(20), changes: 10, kinds, seed: 1 };
    let report = soak::run(&options).unwrap();
    assert_eq!(report.complaints(), [""; 0], "{report}");
}
