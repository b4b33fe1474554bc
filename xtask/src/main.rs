//! Every task of a developer as a documented verb.

fn main() {}
