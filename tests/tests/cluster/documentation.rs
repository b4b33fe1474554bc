//! Manifests in the shapes that people know, applied with kubectl as they are.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{Scenario, probe::Change, world::World};

pub(crate) const SCENARIOS: &[Scenario] =
    &[("the_usual_manifests_work_as_they_are", usual_manifests)];

/// A target by the name of a Pod's port, several ports, a NodePort of the owner's choice, and a
/// load balancer whose controller is a cloud's.
const MANIFESTS: &str = "apiVersion: v1
kind: Service
metadata:
  name: by-name
spec:
  selector:
    app: usual
  ports:
  - name: web
    protocol: TCP
    port: 80
    targetPort: http
  - name: dns
    protocol: UDP
    port: 80
    targetPort: echo
---
apiVersion: v1
kind: Service
metadata:
  name: several
spec:
  selector:
    app: usual
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8081}
  - {name: http-udp, protocol: UDP, port: 80, targetPort: 8080}
  - {name: https-udp, protocol: UDP, port: 443, targetPort: 8081}
---
apiVersion: v1
kind: Service
metadata:
  name: chosen-node-port
spec:
  type: NodePort
  selector:
    app: usual
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 30007}
  - {name: udp, protocol: UDP, port: 80, targetPort: 8080, nodePort: 30007}
---
apiVersion: v1
kind: Service
metadata:
  name: balanced
spec:
  type: LoadBalancer
  selector:
    app: usual
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: udp, protocol: UDP, port: 80, targetPort: 8080}
";

fn usual_manifests(world: &mut World) -> Result<()> {
    world.balance()?;
    let pods = world.start_pods("usual", 0..3)?;
    let (applied, _) = Change::make("kubectl apply", "by-name", || {
        world.cluster.kubectl(&["apply", "-f", "-"], MANIFESTS)
    })?;
    // The controller of a cloud says where its balancer answers.
    let status = json!({ "loadBalancer": { "ingress": [{ "ip": "203.0.113.80" }] } }).to_string();
    let patch = format!("{{\"status\":{status}}}");
    let patch_status =
        ["patch", "service", "balanced", "--subresource=status", "--type=merge", "-p"];
    world.cluster.kubectl(&[&patch_status[..], &[patch.as_str()]].concat(), "")?;

    let mut inside: Vec<SocketAddr> = Vec::new();
    for (name, port) in [
        ("by-name", 80),
        ("several", 80),
        ("several", 443),
        ("chosen-node-port", 80),
        ("balanced", 80),
    ] {
        inside.extend(world.given(name)?.at(port));
    }
    applied.settles(world, world.client()?, &inside, &pods)?;
    let mut outside = world.nodes_at(30_007);
    let balanced = world.given("balanced")?;
    outside.extend(world.nodes_at(*balanced.node_ports.first().context("no NodePort")?));
    // Without a policy the Services have the cluster's first family.
    outside.retain(SocketAddr::is_ipv4);
    applied.settles(world, world.lab.external().netns(), &outside, &pods)?;

    world.cluster.kubectl(&["delete", "-f", "-"], MANIFESTS)?;
    world.stop_pods(&pods)?;
    world.remove_pods(&pods);
    Ok(())
}
