//! A sample as metric families.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use svclb_common::{counters::Traffic, flow::State};

use super::sample::Sample;
use crate::plan::operation::ServicePort;

type Result = fmt::Result;

/// Name and value of a label.
type Label = (&'static str, String);

impl Collector for Sample {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result {
        self.encode_outcomes(&mut encoder)?;
        self.encode_flow_tables(&mut encoder)?;
        self.encode_maps(&mut encoder)?;
        if !self.services.is_empty() {
            let services = self.services.iter();
            let services = services.map(|(owner, port, traffic)| (labels(owner, *port), *traffic));
            encode_traffic(&mut encoder, "service", &services.collect::<Vec<_>>())?;
        }
        if !self.backends.is_empty() {
            let backends: Vec<_> = self.labelled_backends().collect();
            encode_traffic(&mut encoder, "backend", &backends)?;
        }
        Ok(())
    }
}

impl Sample {
    fn encode_outcomes(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let help = "What became of packets and sockets' calls, and notes about flows";
        let outcomes = self.outcomes.iter().map(|(outcome, count)| {
            ([("kind", outcome.kind().name()), ("outcome", outcome.name())], *count)
        });
        counters(encoder, "svclb_outcomes", help, outcomes)
    }

    fn encode_flow_tables(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let states = self.flow_tables.iter().flat_map(|table| {
            let state = |state: State| {
                let labels = [("family", table.family.to_string()), ("state", state.name().into())];
                (labels, table.occupancy.of(state))
            };
            State::ALL.map(state)
        });
        gauges(encoder, "svclb_flows", "Flows at the last sweep", states)?;
        let limit = self
            .flow_tables
            .iter()
            .map(|table| ([("family", table.family.to_string())], u64::from(table.size)));
        gauges(encoder, "svclb_flows_limit", "Flows that fit", limit)
    }

    fn encode_maps(&self, encoder: &mut DescriptorEncoder<'_>) -> Result {
        let used = self.maps.iter().map(|(map, _)| ([("map", map.map)], map.used as u64));
        gauges(encoder, "svclb_map_entries", "Entries of a map in use", used)?;
        let limit = self.maps.iter().map(|(map, size)| ([("map", map.map)], u64::from(*size)));
        gauges(encoder, "svclb_map_entries_limit", "Entries that a map has room for", limit)
    }

    fn labelled_backends(&self) -> impl Iterator<Item = (Vec<Label>, Traffic)> {
        self.backends.iter().filter_map(|(address, place, traffic)| {
            let (owner, port, _) = self.services.get(*place)?;
            let mut labels = labels(owner, *port);
            labels.push(("backend", address.to_string()));
            Some((labels, *traffic))
        })
    }
}

fn labels(owner: &ServicePort, port: u16) -> Vec<Label> {
    vec![
        ("namespace", owner.namespace.clone()),
        ("service", owner.name.clone()),
        ("port", port.to_string()),
        ("port_name", owner.port_name.clone()),
        ("protocol", owner.protocol.to_string()),
        ("family", owner.family.to_string()),
    ]
}

/// Flows, packets and bytes of services or backends.
fn encode_traffic(
    encoder: &mut DescriptorEncoder<'_>,
    whose: &str,
    all: &[(Vec<Label>, Traffic)],
) -> Result {
    let flows = all.iter().map(|(labels, traffic)| (labels.clone(), traffic.flows));
    counters(encoder, &format!("svclb_{whose}_flows"), "Flows opened", flows)?;
    let packets = |traffic: &Traffic| [traffic.packets, traffic.reply_packets];
    let help = "Packets from clients and to them";
    counters(encoder, &format!("svclb_{whose}_packets"), help, directed(all, packets))?;
    let bytes = |traffic: &Traffic| [traffic.bytes, traffic.reply_bytes];
    let help = "Bytes from clients and to them, from the network header on";
    counters(encoder, &format!("svclb_{whose}_bytes"), help, directed(all, bytes))
}

/// Requests and replies as two series.
fn directed(
    all: &[(Vec<Label>, Traffic)],
    values: impl Fn(&Traffic) -> [u64; 2],
) -> impl Iterator<Item = (Vec<Label>, u64)> {
    all.iter().flat_map(move |(labels, traffic)| {
        ["request", "reply"].into_iter().zip(values(traffic)).map(|(direction, value)| {
            let mut labels = labels.clone();
            labels.push(("direction", direction.to_owned()));
            (labels, value)
        })
    })
}

fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (L, u64)>,
) -> Result {
    let mut family = descriptor(encoder, name, help, MetricType::Counter)?;
    each(&mut family, series, |mut one, value| {
        one.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    })
}

fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (L, u64)>,
) -> Result {
    let mut family = descriptor(encoder, name, help, MetricType::Gauge)?;
    each(&mut family, series, |mut one, value| one.encode_gauge(&value))
}

/// The head of a family; its help ends as the registry's do.
fn descriptor<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> std::result::Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, &format!("{help}."), None, kind)
}

fn each<L: EncodeLabelSet>(
    family: &mut MetricEncoder<'_>,
    mut series: impl Iterator<Item = (L, u64)>,
    encode: impl Fn(MetricEncoder<'_>, u64) -> Result,
) -> Result {
    series.try_for_each(|(labels, value)| encode(family.encode_family(&labels)?, value))
}
