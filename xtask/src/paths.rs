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

/// The folder of everything that is built for the kernel.
pub(crate) fn ebpf_target() -> PathBuf {
    target().join("ebpf")
}

/// A program of the workspace, as `cargo xtask build` leaves it.
pub(crate) fn binary(name: &str) -> PathBuf {
    built("debug", name)
}

/// A program of the workspace, as a profile of Cargo.toml builds it.
pub(crate) fn built(profile: &str, name: &str) -> PathBuf {
    target().join(profile).join(name)
}

/// Where `cargo xtask image` leaves the image.
pub(crate) fn image() -> PathBuf {
    target().join("svclb-image.tar")
}

/// The object file that `svclb-userspace` embeds.
pub(crate) fn ebpf_object() -> PathBuf {
    ebpf_target().join("svclb.o")
}

/// The Go module of the control plane that tests run.
pub(crate) fn control_plane_module() -> PathBuf {
    workspace().join("tests/control-plane")
}

/// Where the tests find the programs of the control plane.
pub(crate) fn control_plane() -> PathBuf {
    target().join("control-plane")
}

/// Cargo's folder for the workspace.
fn target() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| workspace().join("target"))
}
