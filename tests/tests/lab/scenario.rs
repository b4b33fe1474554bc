//! A scenario as a value, and its trials.

use anyhow::Result;
use libtest_mimic::{Failed, Trial};
use svclb_tests::lab::{Family, Preset};

use crate::world::{self, World};

/// What a scenario does.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Once for each family.
    PerFamily(fn(&mut World, Family) -> Result<()>),
    /// Once.
    Once(fn(&mut World) -> Result<()>),
}

/// One thing that must work under every preset.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

impl Scenario {
    pub(crate) const fn per_family(
        name: &'static str,
        run: fn(&mut World, Family) -> Result<()>,
    ) -> Self {
        Self { name, run: Run::PerFamily(run) }
    }

    pub(crate) const fn once(name: &'static str, run: fn(&mut World) -> Result<()>) -> Self {
        Self { name, run: Run::Once(run) }
    }

    pub(crate) fn trials(&self, preset: Preset) -> Vec<Trial> {
        let name = self.name;
        match self.run {
            Run::Once(run) => vec![trial(format!("{preset}::{name}"), preset, run)],
            Run::PerFamily(run) => Family::BOTH
                .map(|family| {
                    let name = format!("{preset}::{name}::{}", family.name());
                    trial(name, preset, move |world: &mut World| run(world, family))
                })
                .into(),
        }
    }
}

fn trial(
    name: String,
    preset: Preset,
    run: impl FnOnce(&mut World) -> Result<()> + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        world::within(preset, run).map_err(|error| Failed::from(format!("{error:#}")))
    })
}
