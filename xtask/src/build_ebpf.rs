//! `cargo xtask build-ebpf`: the kernel programs, as one object file.

use std::{fs, path::Path, process};

use anyhow::{Context, Result};

use crate::{
    btf, paths,
    shell::{self, say},
    toolchain::{self, TARGET},
};

/// Builds the object file. It is only touched when the programs were
/// linked anew, so that what embeds it is not built again in vain, and is never older than the
/// sources.
///
/// # Errors
/// If there is no toolchain or the build fails, with the compiler's output above.
pub(crate) fn run() -> Result<()> {
    let toolchain = toolchain::find()?;
    say(&format!("building the kernel programs with {}", toolchain.compiler.rustc.display()));
    shell::run(toolchain.cargo("build").args(["--release"]).args(shell::locked()))?;

    let built = paths::ebpf_target().join(TARGET).join("release/svclb");
    let path = paths::ebpf_object();
    let mut object = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    btf::correct(&mut object).with_context(|| format!("in {}", built.display()))?;
    if is_newer(&built, &path) || fs::read(&path).ok().as_ref() != Some(&object) {
        replace(&path, &object)?;
    }
    Ok(())
}

/// Whether cargo linked anew since the object file was written.
fn is_newer(built: &Path, object: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    modified(built) > modified(object)
}

fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let new = path.with_extension(format!("{}.new", process::id()));
    fs::write(&new, content).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("moving {}", path.display()))
}
