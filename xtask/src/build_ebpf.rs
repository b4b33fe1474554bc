//! `cargo xtask build-ebpf`: the kernel programs, as one object file.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    btf, paths,
    shell::{self, say},
    toolchain::{self, TARGET},
};

/// Builds the object file and returns its path. The file is only touched when its content changes,
/// so that what embeds it is not built again in vain.
///
/// # Errors
/// If there is no toolchain or the build fails, with the compiler's output above.
pub(crate) fn run() -> Result<PathBuf> {
    let toolchain = toolchain::find()?;
    say(&format!("building the kernel programs with {}", toolchain.compiler.rustc.display()));
    shell::run(toolchain.cargo("build").args(["--release"]).args(shell::locked()))?;

    let built = paths::ebpf_target().join(TARGET).join("release/svclb");
    let mut object = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    btf::mark_text(&mut object).with_context(|| format!("in {}", built.display()))?;

    let path = paths::ebpf_object();
    if fs::read(&path).ok().as_ref() != Some(&object) {
        replace(&path, &object)?;
    }
    Ok(path)
}

fn replace(path: &PathBuf, content: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("moving {}", path.display()))
}
