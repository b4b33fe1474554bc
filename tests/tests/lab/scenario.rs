//! A scenario as a value, and its trials.

use anyhow::Result;
use libtest_mimic::{Failed, Trial};
use svclb_tests::lab::{Family, Preset, Transport};

use crate::world::{self, World};

/// What a scenario does.
#[derive(Clone, Copy)]
enum Run {
    /// Once for each family.
    PerFamily(fn(&mut World, Family) -> Result<()>),
    /// Once.
    Once(fn(&mut World) -> Result<()>),
}

/// One thing that must work under every preset.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    name: &'static str,
    run: Run,
    /// Whether agents run on the nodes.
    balanced: bool,
    applies: fn(&Preset) -> bool,
}

impl Scenario {
    /// Once for each family, with svclb.
    pub(crate) const fn per_family(
        name: &'static str,
        run: fn(&mut World, Family) -> Result<()>,
    ) -> Self {
        Self { name, run: Run::PerFamily(run), balanced: true, applies: |_| true }
    }

    /// Once, with svclb.
    pub(crate) const fn once(name: &'static str, run: fn(&mut World) -> Result<()>) -> Self {
        Self { name, run: Run::Once(run), balanced: true, applies: |_| true }
    }

    /// On nodes without svclb.
    pub(crate) const fn bare(self) -> Self {
        Self { balanced: false, ..self }
    }

    /// Only under some presets.
    pub(crate) const fn only(self, applies: fn(&Preset) -> bool) -> Self {
        Self { applies, ..self }
    }

    /// Only under a plain preset and one of the most hostile: what it shows is decided before pods'
    /// links and routes matter.
    pub(crate) const fn few(self) -> Self {
        self.only(|preset| {
            let hostile = preset.hostile.is_some() && preset.transport == Transport::Vxlan;
            *preset == Preset::ROUTED || hostile && !preset.needs_bridge_netfilter()
        })
    }

    pub(crate) fn trials(&self, preset: Preset) -> Vec<Trial> {
        let (name, balanced) = (self.name, self.balanced);
        if !(self.applies)(&preset) {
            return Vec::new();
        }
        match self.run {
            Run::Once(run) => vec![trial(format!("{preset}::{name}"), preset, balanced, run)],
            Run::PerFamily(run) => Family::BOTH
                .map(|family| {
                    let name = format!("{preset}::{name}::{}", family.name());
                    trial(name, preset, balanced, move |world: &mut World| run(world, family))
                })
                .into(),
        }
    }
}

fn trial(
    name: String,
    preset: Preset,
    balanced: bool,
    run: impl FnOnce(&mut World) -> Result<()> + Send + 'static,
) -> Trial {
    let checked = move |world: &mut World| {
        if balanced {
            world.balance()?;
        }
        run(world)
    };
    Trial::test(name, move || {
        world::within(preset, checked).map_err(|error| Failed::from(format!("{error:#}")))
    })
}
