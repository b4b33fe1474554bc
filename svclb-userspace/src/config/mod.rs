//! The agent's configuration: defaults, under a file, under the command line.
//!
//! Each option is declared once, in `sections`: that is its flag, its field in the file, its
//! default and its help. An option `some_thing` of the section `part` is the flag `--some-thing`
//! and the field `part.someThing`.

mod conflict;
mod file;
mod print;
mod section;
mod sections;
mod values;
mod whose;

use std::{collections::BTreeMap, path::Path};

use clap::Command;
use serde_json::Value;

pub use conflict::{Conflict, HostPorts};
pub use file::{API_VERSION, FileError, KIND, read};
pub use sections::{Agent, Allocation, Flows, Logs, Maps, Observability, Source, Traffic};
pub use values::{DetectLocal, Listen, PerService, PortRange, PowerOfTwo, Servers};
pub use whose::{Cidrs, InterfacePrefix};

use section::configuration;

/// One section: its options, and how a layer wins over them.
trait Section {
    type Layer;

    /// Takes what a layer decides, and tells each option's name.
    fn take(&mut self, layer: Self::Layer, taken: impl FnMut(&'static str));

    /// The options by name, in order; null where there is no value.
    fn options(&self) -> serde_json::Result<Vec<(&'static str, Value)>>;
}

configuration! {
    /// The agent on its node.
    agent: Agent;
    /// Where the cluster's objects come from.
    source: Source;
    /// What Services of manifests get that come without.
    allocation: Allocation;
    /// Whose addresses are whose.
    traffic: Traffic;
    /// Flows: how long they live, and their ports.
    flows: Flows;
    /// Sizes of maps that are not pinned yet.
    maps: Maps;
    /// What is logged, and how.
    logs: Logs;
    /// What the agent tells about itself over HTTP.
    observability: Observability;
}

/// Who has decided an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody.
    Default,
    /// The file.
    File,
    /// A flag, or the environment variable that stands for one.
    Flag,
}

/// The configuration, and where each of its values comes from.
#[derive(Clone, Default, Debug)]
pub struct Resolved {
    /// The values.
    pub config: Config,
    /// What is not here is a default.
    origins: BTreeMap<&'static str, Origin>,
}

impl Resolved {
    /// The defaults, under the file, under `flags`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or says something that cannot be; the field is named.
    pub fn new(file: Option<&Path>, flags: Layer) -> Result<Self, FileError> {
        let mut resolved = Self::default();
        if let Some(path) = file {
            resolved.take(read(path)?, Origin::File);
        }
        resolved.take(flags, Origin::Flag);
        Ok(resolved)
    }

    /// Who has decided the option of this name.
    pub fn origin(&self, option: &str) -> Origin {
        self.origins.get(option).copied().unwrap_or(Origin::Default)
    }

    fn take(&mut self, layer: Layer, origin: Origin) {
        self.config.take(layer, |option| {
            self.origins.insert(option, origin);
        });
    }
}

/// Adds the defaults to the help of a command that has the flags of [`Layer`].
///
/// # Errors
///
/// A default cannot be written.
pub fn show_defaults(command: Command) -> serde_json::Result<Command> {
    let sections = Config::default().sections()?;
    let defaults: BTreeMap<_, _> = sections.into_iter().flat_map(|(_, options)| options).collect();
    Ok(command.mut_args(|arg| {
        let default = defaults.get(arg.get_id().as_str()).map(text).unwrap_or_default();
        match arg.get_help() {
            Some(help) if !default.is_empty() => {
                let help = format!("{help} [default: {default}]");
                arg.help(help)
            }
            _ => arg,
        }
    }))
}

/// A value as the command line writes it; nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The name of an option or section as the file writes it: `some_thing` is `someThing`.
fn field(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |field, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        field + &head.to_ascii_uppercase() + tail
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Args, FromArgMatches};

    use super::*;

    fn flags(arguments: &[&str]) -> Layer {
        let command = Layer::augment_args(Command::new("run").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).expect("valid flags");
        Layer::from_arg_matches(&matches).expect("a layer")
    }

    fn options() -> Vec<&'static str> {
        let sections = Config::default().sections().expect("defaults can be written");
        sections.into_iter().flat_map(|(_, options)| options).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_flag_is_an_option_and_every_option_a_flag() {
        let command = Layer::augment_args(Command::new("run"));
        let flags: BTreeSet<_> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        assert_eq!(flags, options().into_iter().collect());
        assert_eq!(flags.len(), options().len(), "an option's name is its flag: it is unique");
    }

    #[test]
    fn the_documentation_lists_every_option_with_its_default() {
        const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");
        for (section, options) in Config::default().sections().expect("defaults can be written") {
            for (name, value) in options {
                let default = match text(&value) {
                    empty if empty.is_empty() => String::new(),
                    value => format!("`{value}`"),
                };
                let flag = name.replace('_', "-");
                let row =
                    format!("| `--{flag}` | `{}.{}` | {default}", field(section), field(name));
                assert!(DOCUMENTATION.contains(row.trim_end()), "missing: {row}");
            }
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let text = "apiVersion: svclb.io/v1alpha1\nkind: SvclbConfiguration\n\
                    flows: {tcpClosedTimeout: 5, udpOpeningTimeout: 6}\n";
        let mut resolved = Resolved::default();
        resolved.take(file::parse(text).expect("valid"), Origin::File);
        resolved.take(flags(&["--udp-opening-timeout", "7", "--node-name", "n"]), Origin::Flag);
        let Config { flows, agent, .. } = &resolved.config;
        assert_eq!((flows.tcp_closed_timeout, flows.udp_opening_timeout), (5, 7));
        assert_eq!(flows.tcp_closing_timeout, Flows::default().tcp_closing_timeout);
        assert_eq!(agent.node_name.as_deref(), Some("n"));
        let origin = |option| resolved.origin(option);
        assert_eq!(origin("tcp_closed_timeout"), Origin::File);
        assert_eq!(origin("udp_opening_timeout"), Origin::Flag);
        assert_eq!(origin("tcp_closing_timeout"), Origin::Default);
    }

    #[test]
    fn the_help_says_the_defaults() {
        let command = Layer::augment_args(Command::new("run"));
        let help = show_defaults(command).expect("defaults").render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("[default: 10240-29999]"), "{help}");
        assert!(help.contains("[default: 0.0.0.0:10256,[::]:10256]"), "{help}");
    }

    #[test]
    fn names_are_written_as_the_file_has_them() {
        assert_eq!(field("cluster_cidr_v4"), "clusterCidrV4");
        assert_eq!(field("flows"), "flows");
    }
}
