//! Addresses and NodePorts that manifests leave open: stable, and out of the way of those they ask
//! for.

use std::{fs, path::Path, time::Instant};

use svclb::{
    plan::{Limits, kernel::KernelState},
    source::manifests::{Cluster, FileChange, InUse, Ranges},
    writer::memory::MemoryWriter,
};
use svclb_common::frontend::frontend_flags;

use crate::{invariants::CheckedWriter, support::engine};

/// A control plane and the maps that follow it.
struct Run {
    cluster: Cluster,
    engine: svclb::state::Engine<CheckedWriter>,
    now: Instant,
}

impl Run {
    fn start(in_use: InUse, ranges: Ranges, files: &[(&str, &str)]) -> Self {
        let now = Instant::now();
        let engine = engine(Limits::default(), MemoryWriter::default(), now);
        let mut run = Self { cluster: Cluster::new(ranges, in_use), engine, now };
        let files = files.iter().map(|(name, text)| (*name, FileChange::Contents((*text).into())));
        run.change(files);
        run
    }

    fn change<'a>(&mut self, files: impl IntoIterator<Item = (&'a str, FileChange)>) {
        let files = files.into_iter().map(|(name, change)| (name.to_owned(), change));
        let batch = self.cluster.update(files);
        assert_eq!(batch.problems, []);
        self.engine.apply(batch.changes, self.now);
    }

    fn set(&mut self, name: &str, text: &str) {
        self.change([(name, FileChange::Contents(text.into()))]);
    }

    fn kernel(&self) -> &KernelState {
        self.engine.kernel()
    }

    /// Where a Service is reached, as `address:port` and NodePort.
    fn frontends(&self, name: &str) -> Vec<String> {
        let state = self.kernel();
        let of = |service| state.names.get(&service).is_some_and(|(owner, _)| owner.name == name);
        let found = state.frontends.iter().filter(|(_, frontend)| of(frontend.service));
        found.map(|(address, _)| address.to_string()).collect()
    }
}

const OPEN: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: open}\n\
                    spec: {type: NodePort, ports: [{port: 80}]}\n";

/// A Service that insists on the frontends of another one.
fn thief(frontends: &[String]) -> String {
    let ip = frontends[0].split(':').next().unwrap();
    let port = frontends[1].split([' ', '/']).nth(1).unwrap();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: thief}}\n\
         spec: {{type: NodePort, clusterIP: {ip}, ports: [{{port: 80, nodePort: {port}}}]}}\n"
    )
}

#[test]
fn a_service_moves_for_one_that_insists_and_stays_over_restarts() {
    let mut first = Run::start(InUse::default(), Ranges::default(), &[("a.yaml", OPEN)]);
    let preferred = first.frontends("open");
    assert_eq!(preferred.len(), 3, "{preferred:?}");
    first.set("b.yaml", &thief(&preferred));
    assert_eq!(first.frontends("thief"), preferred);
    let second_choice = first.frontends("open");
    assert!(second_choice.len() == 3 && second_choice.iter().all(|at| !preferred.contains(at)));

    let in_use = || InUse::of(first.kernel());
    let again = Run::start(in_use(), Ranges::default(), &[("a.yaml", OPEN)]);
    assert_eq!(again.frontends("open"), second_choice, "what it has, not what it prefers");
    let fresh = Run::start(InUse::default(), Ranges::default(), &[("a.yaml", OPEN)]);
    assert_eq!(fresh.frontends("open"), preferred);

    let thief = thief(&second_choice);
    let files = [("a.yaml", OPEN), ("b.yaml", thief.as_str())];
    let taken = Run::start(in_use(), Ranges::default(), &files);
    assert_eq!(taken.frontends("open"), preferred, "what it had is another's now");
}

#[test]
fn what_is_no_longer_in_range_is_given_up() {
    let first = Run::start(InUse::default(), Ranges::default(), &[("a.yaml", OPEN)]);
    let ranges = Ranges {
        ipv4: Some("172.16.0.0/24".parse().unwrap()),
        node_ports: 31_000..=31_000,
        ..Ranges::default()
    };
    let second = Run::start(InUse::of(first.kernel()), ranges, &[("a.yaml", OPEN)]);
    let found = second.frontends("open");
    assert!(found[0].starts_with("172.16.0."), "{found:?}");
    assert_eq!(found[1], "NodePort 31000/TCP IPv4");
}

#[test]
fn the_last_address_is_given_once() {
    let ranges =
        Ranges { ipv4: Some("172.16.0.0/30".parse().unwrap()), ipv6: None, ..Ranges::default() };
    let service = |i: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{i}}}\nspec: {{ports: [{{port: 80}}]}}\n---\n"
        )
    };
    let mut cluster = Cluster::new(ranges, InUse::default());
    let text: String = (0..3).map(service).collect();
    let batch = cluster.update([("a.yaml".to_owned(), FileChange::Contents(text.into()))]);
    let problems: Vec<_> = batch.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["a.yaml, document 3, Service default/s2, spec.clusterIPs: no IPv4 address is left for it"]
    );
}

#[test]
fn the_examples_are_served_in_both_families() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = entries
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let run = Run::start(InUse::default(), Ranges::default(), &files);
    let state = run.kernel();
    assert!(!state.names.is_empty());
    for (id, (owner, _)) in &state.names {
        assert!(state.service(*id).slots >= 2, "{owner} has endpoints on both nodes");
        assert!(state.frontends.values().any(|frontend| frontend.service == *id), "{owner}");
    }
    let external = |flags: u32| flags & frontend_flags::EXTERNAL != 0;
    assert!(state.frontends.values().any(|frontend| external(frontend.flags)), "a NodePort");
}
