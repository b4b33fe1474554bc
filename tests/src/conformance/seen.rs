//! What was seen, in words that are the same in every run.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    lab::Family,
    traffic::probe::{Outcome, Protocol},
};

/// The outcomes of a scenario, for each protocol and family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen(BTreeMap<(Protocol, &'static str), String>);

/// Names of addresses.
pub(super) type Names = BTreeMap<IpAddr, String>;

impl Seen {
    /// Adds the outcomes of one protocol and family; `pinned` makes one answer's name "one of them".
    pub(super) fn add(
        &mut self,
        protocol: Protocol,
        family: Family,
        outcomes: &BTreeSet<Outcome>,
        pinned: bool,
        names: &Names,
    ) {
        let text = phrase(outcomes, pinned, names);
        self.0.insert((protocol, family.name()), text);
    }
}

impl std::fmt::Display for Seen {
    /// One phrase if all are alike, else one for each protocol or family, else that of most and
    /// what differs from it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.0.iter();
        let by = |label: fn(&(Protocol, &str)) -> String| grouped(all.clone(), label);
        let text = by(|_| String::new())
            .or_else(|| by(|(protocol, _)| upper(*protocol)))
            .or_else(|| by(|(_, family)| (*family).to_owned()))
            .unwrap_or_else(|| self.exceptions());
        f.write_str(&text)
    }
}

impl Seen {
    /// The phrase of most, then those that differ, with protocol and family.
    fn exceptions(&self) -> String {
        let often = |text: &&String| self.0.values().filter(|other| other == text).count();
        // The first of those that are equally frequent.
        let usual = self.0.values().rev().max_by_key(often);
        let others = self.0.iter().filter(|(_, text)| Some(*text) != usual);
        let others = others
            .map(|((protocol, family), text)| format!("{} {family}: {text}", upper(*protocol)));
        usual.cloned().into_iter().chain(others).collect::<Vec<_>>().join("; ")
    }
}

/// The phrases by label, unless two that differ have the same label.
fn grouped<'a>(
    all: impl Iterator<Item = (&'a (Protocol, &'static str), &'a String)>,
    label: impl Fn(&(Protocol, &str)) -> String,
) -> Option<String> {
    let mut groups: BTreeMap<String, &String> = BTreeMap::new();
    for (key, text) in all {
        if *groups.entry(label(key)).or_insert(text) != text {
            return None;
        }
    }
    let one = |(label, text): (&String, &&String)| match label.as_str() {
        "" => (*text).clone(),
        _ => format!("{label}: {text}"),
    };
    Some(groups.iter().map(one).collect::<Vec<_>>().join("; "))
}

fn upper(protocol: Protocol) -> String {
    protocol.name().to_uppercase()
}

/// Who answered and whom they saw, or what else came of it; several are joined with "or".
fn phrase(outcomes: &BTreeSet<Outcome>, pinned: bool, names: &Names) -> String {
    let mut by_client: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, client) in outcomes.iter().filter_map(answer) {
        let client = names.get(&client).map_or_else(|| client.to_string(), String::clone);
        by_client.entry(client).or_default().insert(name);
    }
    let who = if pinned { pin(&by_client) } else { spread(&by_client) };
    let answers = (!by_client.is_empty()).then_some(who);
    let others = outcomes.iter().filter_map(other).map(str::to_owned);
    answers.into_iter().chain(others).collect::<Vec<_>>().join(" or ")
}

/// Whether one endpoint has answered all, whoever the client was to it.
fn pin(by_client: &BTreeMap<String, BTreeSet<&str>>) -> String {
    let names: BTreeSet<&str> = by_client.values().flatten().copied().collect();
    if names.len() == 1 { "always the same".to_owned() } else { join(&names) }
}

fn spread(by_client: &BTreeMap<String, BTreeSet<&str>>) -> String {
    let one = |(client, names): (&String, &BTreeSet<&str>)| format!("{} as {client}", join(names));
    by_client.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

fn answer(outcome: &Outcome) -> Option<(&str, IpAddr)> {
    match outcome {
        Outcome::Answered { name, client } => Some((name, *client)),
        _ => None,
    }
}

fn other(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Answered { .. } => None,
        Outcome::Echoed => Some("answered"),
        Outcome::Healthy(text) => Some(text),
        Outcome::Refused => Some("refused"),
        Outcome::RefusedLate => Some("refused after a second"),
        Outcome::Reset => Some("reset"),
        Outcome::Unreachable => Some("unreachable"),
        Outcome::Forbidden => Some("not permitted"),
        Outcome::Silent => Some("no answer"),
        Outcome::Failed(text) => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn answered(name: &str, client: u8) -> Outcome {
        Outcome::Answered { name: name.to_owned(), client: Ipv4Addr::new(192, 0, 2, client).into() }
    }

    fn seen(outcomes: [&[Outcome]; 4], pinned: bool) -> String {
        let names = Names::from([(Ipv4Addr::new(192, 0, 2, 1).into(), "node1".into())]);
        let mut seen = Seen::default();
        let mut outcomes = outcomes.iter();
        for protocol in Protocol::SERVED {
            for family in Family::BOTH {
                let outcomes = outcomes.next().unwrap().iter().cloned().collect();
                seen.add(*protocol, family, &outcomes, pinned, &names);
            }
        }
        seen.to_string()
    }

    #[test]
    fn what_is_alike_is_said_once() {
        let refused = &[Outcome::Refused][..];
        assert_eq!(seen([refused; 4], false), "refused");
        let late = &[Outcome::RefusedLate][..];
        let silent = &[Outcome::Silent][..];
        assert_eq!(seen([refused, refused, silent, silent], false), "TCP: refused; UDP: no answer");
        assert_eq!(
            seen([refused, late, refused, late], false),
            "IPv4: refused; IPv6: refused after a second"
        );
        assert_eq!(
            seen([refused, late, refused, refused], false),
            "refused; TCP IPv6: refused after a second"
        );
    }

    #[test]
    fn answers_are_grouped_by_the_client_that_was_seen() {
        let both = &[answered("a", 1), answered("b", 1)][..];
        assert_eq!(seen([both; 4], false), "a, b as node1");
        assert_eq!(seen([both; 4], true), "a, b");
        let one = &[answered("a", 1), answered("a", 7)][..];
        assert_eq!(seen([one; 4], true), "always the same");
        let mixed = &[answered("a", 7), answered("b", 1), Outcome::Silent][..];
        assert_eq!(seen([mixed; 4], false), "a as 192.0.2.7, b as node1 or no answer");
    }
}
