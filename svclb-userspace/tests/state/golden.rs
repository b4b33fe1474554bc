//! Golden files: manifests in, map contents out.
//!
//! A case is a file of sections, each begun by a line `=== VERB ARGUMENT`:
//!
//! - `set FILE`: the manifest gets the contents that follow;
//! - `remove FILE`;
//! - `release`: the grace time passes and no flow is left;
//! - `maps`, `problems`, `operations`: what follows is what the maps hold, what was reported since
//!   the last such section, and the operations it took;
//! - `then`: prose.
//!
//! `SVCLB_BLESS=1 cargo test` writes what was found into the files.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use svclb::{
    plan::{Limits, LiveFlows},
    problem::Problem,
    snapshot::Change,
    source::manifests::{Cluster, FileChange, InUse, Ranges},
    state::Engine,
    writer::memory::MemoryWriter,
};

use crate::{
    invariants::CheckedWriter,
    render,
    support::{GRACE, engine},
};

#[test]
fn golden_files() {
    let cases = cases();
    assert!(!cases.is_empty());
    for path in cases {
        let expected = fs::read_to_string(&path).unwrap();
        let found = run(&expected);
        if env::var_os("SVCLB_BLESS").is_some() {
            fs::write(&path, found).unwrap();
        } else {
            let differs = |(_, (expected, found)): &(usize, (&str, &str))| expected != found;
            let lines = expected.lines().chain([""]).zip(found.lines().chain([""]));
            let first = (1..).zip(lines).find(differs);
            assert_eq!(first, None, "{}: line, (expected, found)", path.display());
            assert_eq!(expected, found);
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Runs the sections of a case; returns them with what was found in place of what is expected.
fn run(case: &str) -> String {
    let mut stage = Stage::new();
    let mut found = String::new();
    for section in case.split_inclusive('\n').fold(Vec::new(), into_sections) {
        let (head, body) = section.split_once('\n').unwrap();
        let words: Vec<_> = head.split_whitespace().collect();
        let body = match words[..] {
            ["===", "set", name] => {
                stage.change(name, FileChange::Contents(body.into()));
                body.to_owned()
            }
            ["===", "remove", name] => {
                stage.change(name, FileChange::Removed);
                body.to_owned()
            }
            ["===", "release"] => {
                stage.release();
                body.to_owned()
            }
            ["===", "maps"] => render::with_ids(stage.engine.kernel()),
            ["===", "problems"] => stage.take_problems(),
            ["===", "operations"] => stage.take_operations(),
            _ => body.to_owned(),
        };
        found += &format!("{head}\n{body}");
    }
    found
}

fn into_sections(mut sections: Vec<String>, line: &str) -> Vec<String> {
    match sections.last_mut() {
        Some(last) if !line.starts_with("===") => last.push_str(line),
        _ => sections.push(line.to_owned()),
    }
    sections
}

/// The whole way, on one node.
struct Stage {
    cluster: Cluster,
    engine: Engine<CheckedWriter>,
    now: Instant,
    problems: Vec<Problem>,
}

impl Stage {
    fn new() -> Self {
        let now = Instant::now();
        let mut engine = engine(Limits::default(), MemoryWriter::default(), now);
        engine.writer().strict = true;
        Self {
            cluster: Cluster::new(Ranges::default(), InUse::default()),
            engine,
            now,
            problems: Vec::new(),
        }
    }

    fn change(&mut self, name: &str, change: FileChange) {
        let batch = self.cluster.update([(name.to_owned(), change)]);
        self.problems.extend(batch.problems);
        let outcome = self.engine.apply(batch.changes, self.now);
        self.problems.extend(outcome.problems);
        self.check();
    }

    fn release(&mut self) {
        self.now += GRACE;
        let outcome = self.engine.release(self.now, &LiveFlows::default());
        self.problems.extend(outcome.problems);
        self.check();
    }

    fn check(&mut self) {
        assert!(self.engine.is_settled());
        let again = self.engine.apply([Change::Listed], self.now);
        assert_eq!(again.operations, 0, "what is as it should be is not written again");
        let kernel = self.engine.kernel().clone();
        assert_eq!(&kernel, self.engine.writer().maps.state());
    }

    fn take_problems(&mut self) -> String {
        self.problems.drain(..).map(|problem| format!("{problem}\n")).collect()
    }

    fn take_operations(&mut self) -> String {
        let log = self.engine.writer().maps.take_log();
        log.iter().map(|operation| format!("{operation:?}\n")).collect()
    }
}
