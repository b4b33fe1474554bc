//! The agent behind a real control plane: what it takes, and how fast it follows.

mod changes;
mod cluster;
mod cost;
mod measured;
mod objects;
mod pinned;
mod world;

use std::time::Duration;

use anyhow::{Result, ensure};
use svclb_tests::control_plane::Programs;

use objects::Size;
use world::World;

/// What `--help` says below the options.
pub(crate) const METHOD: &str = "\
etcd, kube-apiserver and kube-controller-manager run on a machine of the lab, svclb on a node of it.
Services and EndpointSlices are written through the API; slices without the controller, which would
need a Pod for each endpoint. docs/performance.md says what each row means.";

/// How much of everything.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Services, of one port and one EndpointSlice each
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = positive(10_000))]
    services: u32,
    /// Endpoints of each Service
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive(100))]
    endpoints: u32,
    /// Changes of endpoints a second; each is in another Service than the changes of the last second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = positive(1_000))]
    rate: u32,
    /// Seconds of changes, and before them of nothing
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = positive(1_800))]
    seconds: u32,
    /// Changes of Pods, which reach their slices through the controller
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = positive(100_000))]
    pod_changes: u32,
}

fn positive(most: u32) -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=i64::from(most))
}

impl Options {
    fn size(&self) -> Size {
        Size { services: self.services, endpoints: self.endpoints }
    }
}

/// Measures, and prints each row when it is known.
///
/// # Errors
/// The control plane or the agent does not run, or the maps are not what they should be.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.rate <= options.services,
        "--rate {}: there are {} services, and each changes once a second at most",
        options.rate,
        options.services
    );
    let programs = Programs::find()?;
    let mut world = World::build(programs, options.size())?;
    println!("{}", World::machine()?);
    println!("{}", world.fill()?);
    println!("{}", world.start()?);
    println!("{}", world.memory()?);
    println!("{}", world.idle(Duration::from_secs(options.seconds.into()))?);
    println!("{}", world.change_endpoints(options.rate, options.seconds)?);
    println!("{}", world.change_pods(options.pod_changes)?);
    println!("{}", world.memory()?);
    println!("{}", world.restart()?);
    println!("{}", world.memory()?);
    Ok(())
}
