//! The state's way from manifests to maps, in memory.
#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod addresses;
mod adopt;
mod any;
mod asked;
mod converge;
mod golden;
mod health;
mod invariants;
mod policies;
mod ranges;
mod render;
mod scale;
mod shortage;
mod support;
mod vanish;
