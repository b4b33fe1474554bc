//! An explanation for people.

use svclb::{
    explain::{Endpoint, Explanation, Frontend, Sees},
    snapshot::TrafficPolicy,
};

use crate::cli::output::{Report, Row, Table};

impl Report for Explanation {
    fn tables(&self) -> Vec<Table> {
        let frontend = self.frontend.iter().map(|_| Rule(self)).collect::<Vec<_>>();
        let mut tables = vec![Table::of(&[Answer(self)])];
        if !frontend.is_empty() {
            tables.push(Table::of(&frontend));
        }
        if !self.endpoints.is_empty() {
            let endpoints: Vec<_> = self.endpoints.iter().map(|e| Judged(e, self)).collect();
            tables.push(Table::of(&endpoints));
        }
        tables
    }
}

/// Who asks whom, and what comes of it.
#[derive(serde::Serialize)]
struct Answer<'a>(&'a Explanation);

impl Row for Answer<'_> {
    const TITLES: &'static [&'static str] = &["CLIENT", "IS", "ASKS", "VERDICT", "ACTION"];

    fn cells(&self) -> Vec<String> {
        let Explanation { client, asked, protocol, verdict, action, .. } = self.0;
        vec![
            client.address.to_string(),
            client.is.name().to_owned(),
            format!("{asked}/{protocol}"),
            verdict.name().to_owned(),
            action.name().to_owned(),
        ]
    }
}

/// The frontend, and the rule by which it chooses.
#[derive(serde::Serialize)]
struct Rule<'a>(&'a Explanation);

impl Row for Rule<'_> {
    const TITLES: &'static [&'static str] =
        &["SERVICE", "FRONTEND", "POLICY", "ENDPOINTS", "TOPOLOGY", "AFFINITY", "SOURCE RANGES"];

    fn cells(&self) -> Vec<String> {
        let Some(frontend) = &self.0.frontend else { return Vec::new() };
        let Frontend { service, kind, policy, set, topology, affinity, source_ranges } = frontend;
        let set = match set {
            TrafficPolicy::Cluster => "of the cluster",
            TrafficPolicy::Local => "of this node",
        };
        let ranges: Vec<_> = source_ranges.iter().map(ToString::to_string).collect();
        vec![
            service.to_string(),
            kind.name().to_owned(),
            policy.name().to_owned(),
            set.to_owned(),
            topology.name().to_owned(),
            if *affinity == 0 { "-".to_owned() } else { format!("{affinity} s") },
            if ranges.is_empty() { "-".to_owned() } else { ranges.join(",") },
        ]
    }
}

/// An endpoint, and why it serves or does not.
#[derive(serde::Serialize)]
struct Judged<'a>(&'a Endpoint, &'a Explanation);

impl Row for Judged<'_> {
    const TITLES: &'static [&'static str] = &["ENDPOINT", "HERE", "SERVES", "WHY", "SEES"];

    fn cells(&self) -> Vec<String> {
        let Self(Endpoint { address, is_local, serves, reason, sees }, explanation) = self;
        let yes = |is: &bool| if *is { "yes" } else { "no" }.to_owned();
        let sees = match sees {
            Some(Sees::Client) => explanation.client.address.to_string(),
            Some(Sees::Node) => "this node".to_owned(),
            None => "-".to_owned(),
        };
        vec![address.to_string(), yes(is_local), yes(serves), reason.name().to_owned(), sees]
    }
}
