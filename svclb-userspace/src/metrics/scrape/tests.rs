//! The exposition, line by line.

use svclb_common::{
    counters::{Occupancy, Traffic},
    outcome::Outcome,
};

use super::*;
use crate::{
    metrics::{FlowTable, MapUse},
    plan::operation::{Family, Protocol, ServicePort},
    state::WithoutLocal,
};

fn owner() -> ServicePort {
    ServicePort {
        namespace: "shop".into(),
        name: "web".into(),
        port_name: "http".into(),
        protocol: Protocol::Tcp,
        family: Family::V4,
    }
}

fn sample() -> Sample {
    let traffic = Traffic { flows: 1, packets: 2, bytes: 3, reply_packets: 4, reply_bytes: 5 };
    let occupancy = Occupancy {
        opening: 2,
        answered: 1,
        established: 4,
        closing: 0,
        closed: 3,
        expired: 0,
        at_ns: 1,
    };
    Sample {
        outcomes: vec![(Outcome::Request, 9), (Outcome::NoEndpoint, 8)],
        flow_tables: vec![FlowTable { family: Family::V6, size: 1024, occupancy }],
        maps: vec![(MapUse { map: "slots", used: 3 }, 64)],
        services: vec![(owner(), 80, traffic)],
        backends: vec![("[fd00::1]:8080".parse().expect("address"), 0, traffic)],
    }
}

#[test]
fn a_sample_is_told_line_by_line() {
    let text = exposition(&Metrics::new(100), sample()).expect("encoded");
    let from = text.find("# HELP svclb_outcomes").expect("the sample's part");
    assert_eq!(&text[from..], include_str!("golden.txt"));
}

#[test]
fn what_happened_is_counted_and_measured() {
    let metrics = Metrics::new(100);
    metrics.programmed(Duration::from_micros(300));
    metrics.attached(Duration::from_millis(1));
    let kube_proxy = &metrics.kube_proxy;
    kube_proxy.services.noticed(2);
    kube_proxy.endpoints.noticed(3);
    kube_proxy.synced(Duration::from_millis(3));
    kube_proxy.healthz(503);
    kube_proxy.livez(200);
    kube_proxy.without_local(WithoutLocal { internal: 4, external: 0 });
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1000);
    kube_proxy.queued(now);
    kube_proxy.programmed(now, now + Duration::from_millis(1500));
    let text = exposition(&metrics, sample()).expect("encoded");
    for line in [
        concat!("svclb_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "svclb_masquerade_ports 100",
        "svclb_programming_duration_seconds_count 1",
        "svclb_attach_duration_seconds_bucket{le=\"0.001\"} 1",
        "kubeproxy_sync_proxy_rules_service_changes_total 2",
        "kubeproxy_sync_proxy_rules_service_changes_pending 2",
        "kubeproxy_sync_proxy_rules_endpoint_changes_total 3",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{le=\"0.002\"} 0",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{le=\"0.004\"} 1",
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 1000.0",
        "kubeproxy_network_programming_duration_seconds_bucket{le=\"1.0\"} 0",
        "kubeproxy_network_programming_duration_seconds_bucket{le=\"2.0\"} 1",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"internal\"} 4",
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"external\"} 0",
        "kubeproxy_proxy_healthz_total{code=\"503\"} 1",
        "kubeproxy_proxy_livez_total{code=\"200\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "missing {line} in\n{text}");
    }
    kube_proxy.settled(now);
    let text = exposition(&metrics, sample()).expect("encoded");
    for line in [
        "kubeproxy_sync_proxy_rules_service_changes_pending 0",
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending 0",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds 1000.0",
    ] {
        assert!(text.lines().any(|found| found == line), "missing {line} in\n{text}");
    }
}

#[test]
fn every_metric_is_documented_with_its_type() {
    const DOCUMENTATION: &str = include_str!("../../../../docs/metrics.md");
    let metrics = Metrics::new(1);
    metrics.kube_proxy.healthz(200);
    metrics.kube_proxy.livez(200);
    metrics.kube_proxy.without_local(WithoutLocal::default());
    metrics.watches.begin("services");
    metrics.watches.connected("services");
    metrics.watches.event("written");
    let text = exposition(&metrics, sample()).expect("encoded");
    let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.len() > 20, "{text}");
    for family in families {
        let (name, kind) = family.split_once(' ').expect("name and type");
        let row = format!("| `{name}` | {kind} | ");
        assert!(DOCUMENTATION.contains(&row), "docs/metrics.md has no `{row}`");
    }
    let rows = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `svclb_") || line.starts_with("| `kubeproxy_"));
    for row in rows {
        let name = row.split('`').nth(1).expect("a name");
        assert!(
            text.contains(&format!("# TYPE {name} ")),
            "{name} is documented, but is not there"
        );
    }
}
