//! `cargo xtask kernels`: svclb on kernels that this machine does not run.
//!
//! Each is one of Debian's, emulated in software by QEMU (no hardware support is needed), and starts
//! into a tree of files made for it: svclb, the tests and what they run. There the verifier gets
//! every program, and the network lab its traffic.

mod archive;
mod emulator;
mod guest;
mod kernel;
mod report;

use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use archive::Archive;
use emulator::Emulator;
use kernel::Kernel;
use report::Report;

use crate::{build, paths, setup, shell::say};

/// The oldest that svclb supports, one with TCX, and whatever is the latest.
const VERSIONS: [&str; 3] = ["6.1", "6.12", kernel::NEWEST];

/// The network in which the scenarios run: pods behind bridges, an overlay between the nodes, rules
/// that drop what connection tracking calls invalid.
const PRESET: &str = "vxlan-hostile";

/// What to try.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Versions of Linux that Debian has, such as 6.12, or `newest` [default: 6.1 6.12 newest]
    #[arg(value_name = "VERSION")]
    versions: Vec<String>,
    /// Write docs/kernels.md
    #[arg(long)]
    save: bool,
    /// Options of the lab's tests, instead of those that leave out what loads the processor: part of
    /// a scenario's name, or --skip=NAME
    #[arg(last = true, value_name = "OPTION")]
    scenarios: Vec<String>,
}

/// Builds svclb and the tests, and runs them on each kernel.
///
/// # Errors
/// If something is missing or cannot be built, or a program does not load, or a scenario fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(env::consts::ARCH == "x86_64", "only kernels for x86-64 are emulated");
    setup::prepare()?;
    build::run(&build::Options { release: false })?;
    let programs = guest::Programs::build()?;
    let archive = Archive::open()?;
    let emulator = Emulator::find(&archive)?;
    let versions = match options.versions.as_slice() {
        [] => VERSIONS.map(str::to_owned).to_vec(),
        chosen => chosen.to_vec(),
    };
    let mut reports = Vec::new();
    for version in &versions {
        let kernel = Kernel::find(&archive, version)?;
        say(&format!("{} {} in QEMU {}", kernel.name, kernel.version, emulator.version));
        let commands = [
            format!("/svclb/verifier /svclb/svclb.o {}", guest::BASELINE),
            format!("SVCLB_TEST_GROUP={PRESET} /svclb/lab --color=never {}", scenarios(options)),
        ];
        let files = programs.tree(&kernel, &commands)?.initramfs()?;
        reports.push(Report::new(&kernel, &emulator.run(&kernel, &files)?));
    }
    print!("{}", report::table(&reports));
    if let Some(bad) = reports.iter().find(|report| !report.is_good()) {
        bail!("{}: not all is well", bad.kernel);
    }
    if options.save {
        let path = paths::workspace().join("docs/kernels.md");
        fs::write(&path, report::document(&reports, &scenarios(options)))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Scenarios that load the processor, or measure time, say nothing in an emulator.
const LEFT_OUT: &[&str] = &[
    "load",
    "flood",
    "rolling",
    "shares",
    "thousand",
    "large_bodies",
    "soon",
    "second",
    "at_once",
    "lab_",
    "measured",
    "datagrams_follow",
];

fn scenarios(options: &Options) -> String {
    let left_out = || LEFT_OUT.iter().map(|name| format!("--skip={name}")).collect();
    let words: Vec<_> =
        if options.scenarios.is_empty() { left_out() } else { options.scenarios.clone() };
    words.join(" ")
}
