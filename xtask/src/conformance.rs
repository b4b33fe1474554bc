//! `cargo xtask conformance`: svclb beside the real kube-proxy.

use anyhow::Result;

use crate::{build, control_plane, paths, setup, shell};

/// Builds svclb and the comparison, runs it and writes docs/conformance.md.
///
/// # Errors
/// If something is missing or cannot be built, or anything is not as the scenarios say.
pub(crate) fn run() -> Result<()> {
    setup::prepare()?;
    control_plane::provide()?;
    build::run(&build::Options { release: false })?;
    let mut conformance = shell::own(paths::binary("conformance"));
    shell::run(conformance.arg("--write").arg(paths::workspace().join("docs/conformance.md")))
}
