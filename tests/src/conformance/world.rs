//! The cluster in which both proxies run, one after the other.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    elsewhere::Elsewhere,
    objects::{self, Addresses, TARGET},
    proxy::{Proxy, Running},
    scenario::{Endpoint, Frontend, Scenario},
    scenarios::SENTINEL,
    seen::Seen,
};
use crate::{
    control_plane::{ControlPlane, Programs},
    lab::{Dual, Family, Lab, Preset, manifests, wait_for},
    traffic::{
        conversation::Conversation,
        probe::{self, Protocol},
    },
};

/// The pod that asks.
pub(super) const CLIENT: &str = "client";

/// How long a proxy may take to program the last Service once it says that it is well.
const PROGRAMMED_WITHIN: Duration = Duration::from_secs(30);

/// No limit on ICMP errors to one peer.
const UNLIMITED_ICMP: &[(&str, &str)] =
    &[("net/ipv4/icmp_ratelimit", "0"), ("net/ipv6/icmp/ratelimit", "0")];

/// Conversations that are open, by the number of their scenario.
type Held = BTreeMap<(u8, Protocol, &'static str), Conversation>;

/// A control plane that knows all scenarios' objects, and two nodes with clients and servers.
pub(super) struct World {
    cluster: ControlPlane,
    held: Mutex<Held>,
    _elsewhere: Elsewhere,
    // After what runs in it.
    pub(super) lab: Lab,
}

impl World {
    /// Builds it, without a proxy.
    ///
    /// # Errors
    /// The lab or the control plane cannot be built, or the API server refuses an object.
    pub(super) fn build(programs: Programs, scenarios: &[&'static Scenario]) -> Result<Self> {
        let mut lab = Lab::new(&Preset::ROUTED)?;
        lab.node_mut(1).add_client_pod(CLIENT)?;
        for (name, node) in objects::servers() {
            lab.node_mut(node).add_pod(name, &[TARGET])?;
        }
        // Sockets for pings are for nobody otherwise.
        for client in [lab.node(1).netns(), lab.node(1).pod(CLIENT)?.netns()?, lab.on_lan().netns()]
        {
            client.sysctls(&[("net/ipv4/ping_group_range", "0 0")])?;
        }
        // Refusals must not be a matter of how many there were before.
        lab.node(1).netns().sysctls(UNLIMITED_ICMP)?;
        let elsewhere = Elsewhere::join(&lab, &asked(scenarios)).context("elsewhere")?;
        let cluster = ControlPlane::start(&lab, programs).context("control plane")?;
        let world = Self { cluster, held: Mutex::default(), _elsewhere: elsewhere, lab };
        world.write(scenarios).context("objects of the scenarios")?;
        Ok(world)
    }

    /// Conversations that a change may end.
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, scenarios: &[&'static Scenario]) -> Result<()> {
        let api = self.cluster.api();
        for node in &self.lab.nodes {
            api.apply(&manifests::node(node))?;
            api.merge("v1", "Node", &node.name, &objects::zone(node.number))?;
        }
        for (number, scenario) in numbered(scenarios).chain([SENTINEL]) {
            api.apply(&objects::service(scenario, number).to_string())?;
            self.put(scenario, scenario.endpoints, number)?;
        }
        Ok(())
    }

    /// Gives a scenario's Service these endpoints.
    fn put(&self, scenario: &Scenario, endpoints: &[Endpoint], number: u8) -> Result<()> {
        let slices = objects::slices(scenario, endpoints, number, &self.lab);
        slices.iter().try_for_each(|slice| self.cluster.api().apply(&slice.to_string()))
    }

    /// Starts a proxy on both nodes, sees what becomes of each scenario, and takes the proxy away.
    ///
    /// # Errors
    /// It does not start, or does not serve what it must.
    pub(super) fn observe(
        &mut self,
        proxy: Proxy,
        scenarios: &[&'static Scenario],
    ) -> Result<Vec<Seen>> {
        let running: Result<Vec<Running>> =
            self.lab.nodes.iter().map(|node| proxy.start(node, &self.cluster)).collect();
        let running = running.with_context(|| format!("{proxy:?}"))?;
        let seen = self.see_all(scenarios).with_context(|| format!("{proxy:?}"))?;
        for (node, running) in self.lab.nodes.iter().zip(running) {
            running.stop(node)?;
        }
        self.change(scenarios, |scenario| Some(scenario.endpoints))?;
        Ok(seen)
    }

    /// Those that change are asked twice.
    fn see_all(&self, scenarios: &[&'static Scenario]) -> Result<Vec<Seen>> {
        self.wait_for_proxy()?;
        let see = |(number, scenario)| self.see(scenario, number);
        let mut all = numbered(scenarios).map(see).collect::<Result<Vec<Seen>>>()?;
        self.change(scenarios, |scenario| scenario.then)?;
        self.wait_for_proxy()?;
        for ((number, scenario), seen) in numbered(scenarios).zip(&mut all) {
            if scenario.then.is_some() {
                *seen = self.see(scenario, number)?;
            }
        }
        Ok(all)
    }

    /// Gives other endpoints to the scenarios that change.
    fn change(
        &self,
        scenarios: &[&'static Scenario],
        to: impl Fn(&Scenario) -> Option<&'static [Endpoint]>,
    ) -> Result<()> {
        for (number, scenario) in numbered(scenarios) {
            let changes = scenario.then.and_then(|_| to(scenario));
            changes.map_or(Ok(()), |endpoints| self.put(scenario, endpoints, number))?;
        }
        Ok(())
    }

    /// Waits until the proxy has done all that was written.
    ///
    /// A change that is written last comes into force with those before it, but not after each of
    /// them: the proxy may still be at it. The next change has to wait for its end.
    fn wait_for_proxy(&self) -> Result<()> {
        [Endpoint::FAR, Endpoint::NEAR].into_iter().try_for_each(|to| self.move_sentinel(to))
    }

    /// Gives the sentinel this endpoint, and waits until a pod that asks gets there.
    fn move_sentinel(&self, to: Endpoint) -> Result<()> {
        let ((number, sentinel), (name, _)) = (SENTINEL, to.pod.place());
        self.put(sentinel, &[to], number)?;
        let pod = self.lab.node(1).pod(CLIENT)?.netns()?;
        for family in Family::BOTH {
            let dst = self.address(number, Frontend::ClusterIp, family);
            wait_for(sentinel.name, PROGRAMMED_WITHIN, || {
                let told = pod.run(|| probe::ask(Protocol::Tcp, dst, 1)).ok()?;
                told.iter().any(|told| told.is_of(name)).then_some(())
            })?;
        }
        Ok(())
    }
}

/// Scenarios with the numbers of their Services.
fn numbered(scenarios: &[&'static Scenario]) -> impl Iterator<Item = (u8, &'static Scenario)> {
    (1..).zip(scenarios.iter().copied())
}

/// Everything that is asked and no node's own.
fn asked(scenarios: &[&'static Scenario]) -> Vec<(Dual, u16)> {
    let of = |(number, scenario): (u8, &'static Scenario)| {
        scenario.to.iter().filter_map(move |to| Addresses::of(number).at(*to))
    };
    numbered(scenarios).flat_map(of).collect()
}
