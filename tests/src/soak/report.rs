//! What came of a soak, and the page about it.

use std::{collections::BTreeMap, fmt};

use super::{
    Options,
    left::Left,
    memory::Growth,
    tally::{Counts, Kind},
};

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Questions and answers, by kind and family.
    pub(super) counts: BTreeMap<(Kind, &'static str), Counts>,
    /// Changes of endpoints that were written.
    pub(super) changes: u64,
    /// Changes of slices that each agent has noticed.
    pub(super) noticed: Vec<u64>,
    /// Resident memory of each agent.
    pub(super) agents: Vec<Option<Growth>>,
    /// Bytes of each node's maps before the traffic, and when it was over.
    pub(super) maps: Vec<(u64, u64)>,
    /// Entries of each node's maps when all flows were over.
    pub(super) left: Vec<Left>,
    /// Endpoints that each node's maps should have.
    pub(super) backends: usize,
    /// Packets dropped and refused on all nodes, by reason.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Warnings and errors in the agents' logs.
    pub(super) logged: Vec<String>,
}

/// Bytes by which maps may have grown: entries that are kept for a while.
const SLACK: u64 = 64 << 10;

impl Report {
    /// What is not as it should be; nothing, if all is well.
    pub fn complaints(&self) -> Vec<String> {
        let traffic = self.counts.iter().filter(|(_, counts)| !counts.is_good());
        let traffic = traffic.map(|((kind, family), counts)| {
            format!(
                "{} over {family}: {} lost, wrong: {:?}",
                kind.name(),
                counts.lost,
                counts.wrong
            )
        });
        let agents = self.agents.iter().filter(|growth| !growth.is_some_and(Growth::is_flat));
        let agents = agents.map(|growth| format!("an agent's memory: {growth:?}"));
        let maps = self.maps.iter().filter(|(before, after)| *after > before + SLACK);
        let maps = maps.map(|(before, after)| format!("maps: {before} bytes, then {after}"));
        let nothing = Left { flows: 0, tuples: 0, backends: self.backends };
        let left = self.left.iter().filter(|left| **left != nothing);
        let left = left.map(|left| format!("left: {left:?} instead of {nothing:?}"));
        let logged = self.logged.iter().map(|line| format!("logged: {line}"));
        traffic.chain(agents).chain(maps).chain(left).chain(logged).collect()
    }

    /// The page about it.
    pub fn page(&self, options: &Options, machine: &str) -> String {
        format!("{INTRODUCTION}{}\n{machine}\n\n{self}", options.line())
    }
}

const INTRODUCTION: &str = "\
# The soak

`cargo xtask soak` lets svclb work for long: three nodes with an agent each, twelve pods, sixteen
Services with ClusterIPs and NodePorts in both families. Clients in pods and outside ask all the time
while endpoints come and go; towards endpoints on other nodes, those outside are masqueraded. Each
message says who asked whom and is checked byte for byte by whoever receives it, its order too. It
writes this page if nothing is wrong; `--minutes`, `--changes` and `--without fragments,errors` make
it another run, which writes a page where `--write` says.

| traffic | |
|---|---|
| tcp | connections of three questions, 60 bytes to 4 KB |
| long | connections of 45 seconds, questions of 60 bytes to 60 KB |
| udp | sockets of four questions of 300 bytes |
| fragments | sockets of four questions of 4 to 60 KB, answers alike |
| errors | closed ports, a Service of nobody, datagrams that die at each hop: by ICMP, ICMPv6 or reset |

The agents follow a folder. While it is never quiet they read it twice a second: so many changes
come at once.

An endpoint that was taken away may reset its connections, and one datagram in two hundred may be
lost to one: both are counted apart. Nothing may fail towards an endpoint that stayed, and nobody may
receive what was not sent to him. At the end memory must be as it was, and when the time-outs have
passed no flow, no index entry (and so no masquerade port) and no endpoint may be left over.

## The last run

";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = "asked | answered | reset with their endpoint | lost with it | wrong";
        writeln!(f, "| traffic | family | {head} |\n|---|---|---:|---:|---:|---:|---:|")?;
        for ((kind, family), counts) in &self.counts {
            let Counts { asked, answered, reset, lost, wrong } = counts;
            let wrong: u64 = wrong.values().sum();
            let kind = kind.name();
            writeln!(
                f,
                "| {kind} | {family} | {asked} | {answered} | {reset} | {lost} | {wrong} |"
            )?;
        }
        writeln!(f, "\n| | node 1 | node 2 | node 3 |\n|---|---:|---:|---:|")?;
        for (what, values) in self.of_nodes() {
            writeln!(f, "| {what} | {} |", values.join(" | "))?;
        }
        let outcomes = self.outcomes.iter().map(|(name, count)| format!("{name} {count}"));
        let outcomes: Vec<_> = outcomes.collect();
        let outcomes = if outcomes.is_empty() { "nothing".into() } else { outcomes.join(", ") };
        writeln!(f, "\nEndpoints changed {} times. Dropped or refused: {outcomes}.", self.changes)
    }
}

impl Report {
    /// Rows with a value for each node.
    fn of_nodes(&self) -> Vec<(&'static str, Vec<String>)> {
        let growth = |part: fn(Growth) -> u64| {
            let each = self.agents.iter().map(move |growth| growth.map_or(0, part));
            each.map(mebibytes).collect()
        };
        let left = |part: fn(&Left) -> usize| {
            self.left.iter().map(|left| part(left).to_string()).collect()
        };
        vec![
            ("changes of slices noticed", self.noticed.iter().map(u64::to_string).collect()),
            ("agent's memory at first, MiB", growth(|growth| growth.early)),
            ("at last", growth(|growth| growth.late)),
            ("maps before, MiB", self.maps.iter().map(|(before, _)| mebibytes(*before)).collect()),
            ("after", self.maps.iter().map(|(_, after)| mebibytes(*after)).collect()),
            ("flows left", left(|left| left.flows)),
            ("index entries left", left(|left| left.tuples)),
            ("endpoints, as they should be", left(|left| left.backends)),
        ]
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        let counts = Counts { asked: 10, answered: 10, ..Counts::default() };
        let left = Left { flows: 0, tuples: 0, backends: 4 };
        Report {
            counts: [((Kind::Tcp, "IPv4"), counts)].into(),
            agents: vec![Some(Growth { early: 1, late: 1 })],
            maps: vec![(5, 5)],
            left: vec![left],
            backends: 4,
            ..Report::default()
        }
    }

    #[test]
    fn whatever_is_wrong_is_complained_of() {
        assert_eq!(good().complaints(), [""; 0]);
        let left = |flows, tuples, backends| Report {
            left: vec![Left { flows, tuples, backends }],
            ..good()
        };
        let wrong = [
            Report { agents: vec![None], ..good() },
            Report { agents: vec![Some(Growth { early: 1 << 20, late: 9 << 20 })], ..good() },
            Report { maps: vec![(5, 1 << 20)], ..good() },
            Report { logged: vec!["WARN".to_owned()], ..good() },
            Report { counts: [((Kind::Udp, "IPv6"), Counts::default())].into(), ..good() },
            left(1, 0, 4),
            left(0, 1, 4),
            left(0, 0, 5),
        ];
        for report in wrong {
            assert_eq!(report.complaints().len(), 1, "{report:?}");
        }
    }
}
