//! The lab that the scenarios of a preset share.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use svclb_tests::lab::{Lab, Pod, Preset};

/// Where every server listens.
pub(crate) const PORT: u16 = 8080;

/// A lab with two pods a node, and on each node a process in its own namespace.
pub(crate) struct World {
    pub(crate) lab: Lab,
}

impl World {
    fn build(preset: &Preset) -> Result<Self> {
        let mut lab = Lab::new(preset)?;
        for (node, pods) in [(1, ["web-1", "web-2"]), (2, ["web-3", "web-4"])] {
            for pod in pods {
                lab.node_mut(node).add_pod(pod, &[PORT])?;
            }
            lab.node_mut(node).add_host_process(&format!("host-{node}"), &[PORT])?;
        }
        Ok(Self { lab })
    }

    /// The server of that name.
    pub(crate) fn pod(&self, name: &str) -> Result<&Pod> {
        let pods = self.lab.nodes.iter().flat_map(|node| &node.pods);
        pods.into_iter().find(|pod| pod.name == name).with_context(|| format!("no pod {name}"))
    }
}

/// The world of the preset whose scenarios run now.
static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// Runs `f` in the world of `preset`; that of another preset makes room first.
pub(crate) fn within<T>(preset: Preset, f: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
    let mut slot = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_some_and(|world| world.lab.preset != preset) {
        *slot = None;
    }
    let world = match &mut *slot {
        Some(world) => world,
        None => slot.insert(World::build(&preset).with_context(|| format!("lab {preset}"))?),
    };
    f(world)
}

/// Removes the last world.
pub(crate) fn leave() {
    *WORLD.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
