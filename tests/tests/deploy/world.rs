//! What the agent of the base finds: a cluster that the base was applied to, and a Service.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use svclb_tests::{
    control_plane::ControlPlane,
    lab::{
        Dual, Family, Lab, Preset, Process,
        manifests::{self, ServicePort},
        wait_for,
    },
    traffic::{http, load::Load, peer::How, report::Report, udp},
};

use crate::cluster::{ACCOUNT, NAMESPACE, apply, cluster};

/// The port of the Service on every node.
pub(crate) const NODE_PORT: u16 = 30_081;
const POD_PORT: u16 = 8080;

/// How long until what the API holds is served: the controller makes the slices first, and a
/// container is unpacked.
pub(crate) const SERVED_WITHIN: Duration = Duration::from_secs(60);

/// A cluster that the base was applied to, with a Service `web` over HTTP and UDP of a pod on each
/// node.
pub(crate) struct World {
    // Before the machines that it runs on.
    pub(crate) cluster: ControlPlane,
    pub(crate) lab: Lab,
}

impl World {
    /// Starts it.
    ///
    /// # Errors
    /// Something does not start, or the API server refuses an object.
    pub(crate) fn new() -> Result<Self> {
        let mut lab = Lab::new(&Preset::ROUTED)?;
        for (node, pod) in [(1, "web-1"), (2, "web-2")] {
            lab.node_mut(node).add_pod(pod, &[POD_PORT])?;
        }
        let cluster = cluster(&lab)?;
        apply(&cluster, &[])?;
        for node in &lab.nodes {
            let mut pods = node.pods.iter().map(|pod| manifests::pod(pod, &node.name, "web"));
            pods.try_for_each(|pod| cluster.api().apply(&pod))?;
        }
        let port = |name, protocol| ServicePort {
            name,
            protocol,
            port: 80,
            target: name,
            node_port: Some(NODE_PORT),
        };
        let ports = [port("http", "TCP"), port("echo", "UDP")];
        cluster.api().apply(&manifests::service("web", cluster_ip(), &ports, Some("web")))?;
        Ok(Self { cluster, lab })
    }

    /// A new token of the base's account.
    ///
    /// # Errors
    /// The API server does not give one.
    pub(crate) fn token(&self) -> Result<String> {
        let arguments = ["create", "token", ACCOUNT, "--namespace", NAMESPACE];
        Ok(self.cluster.kubectl(&arguments, "")?.trim().to_owned())
    }

    /// Both pods answer, whoever asks, over HTTP and UDP, in both families.
    ///
    /// # Errors
    /// They do not in time, or the agent of node 1 has ended; the message holds its log.
    pub(crate) fn is_served(&self, agent: &mut Process) -> Result<()> {
        let served = Family::BOTH.iter().try_for_each(|family| self.serves(*family, agent));
        served.with_context(|| agent.log_tail(20))
    }

    fn serves(&self, family: Family, agent: &mut Process) -> Result<()> {
        let outside = self.lab.node(1).ip.socket(family, NODE_PORT);
        let inside = cluster_ip().socket(family, 80);
        let report = self.lab.external().netns().run(|| {
            wait_for(&format!("an answer at {outside}"), SERVED_WITHIN, || {
                agent.must_run().err().map(Err).or(http::who(outside).ok().map(|_| Ok(())))
            })
            .flatten()?;
            udp::who(outside)?;
            Load::http(outside, 100).run()
        })?;
        both_answer(&report)?;
        let pod = self.lab.node(1).pod("web-1")?.netns()?;
        both_answer(&pod.run(|| Load::http(inside, 200).run())?)?;
        // The node's own processes, by the control group that the agent has been given.
        How::ALL.iter().try_for_each(|how| self.lab.node(1).ask(*how, &[inside]).map(drop))
    }
}

fn both_answer(report: &Report) -> Result<()> {
    report.must_be_clean()?;
    ensure!(report.by_pod.len() == 2, "not every pod answers: {:?}", report.by_pod);
    Ok(())
}

fn cluster_ip() -> Dual {
    Dual {
        v4: Ipv4Addr::new(10, 96, 0, 81),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0x81),
    }
}
