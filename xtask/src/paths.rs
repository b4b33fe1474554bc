//! Where things lie in the clone.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The root of the clone that this binary was built from.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The crate of the kernel programs.
pub(crate) fn ebpf_crate() -> PathBuf {
    workspace().join("svclb-ebpf")
}

/// The folder of everything that is built for the kernel, in cargo's own for the workspace.
pub(crate) fn ebpf_target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| workspace().join("target")).join("ebpf")
}

/// The object file that `svclb-userspace` embeds.
pub(crate) fn ebpf_object() -> PathBuf {
    ebpf_target().join("svclb.o")
}
