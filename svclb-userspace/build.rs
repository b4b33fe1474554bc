//! Embeds the kernel programs: their object file is found here and included by `loader.rs`.

use std::{env, path::PathBuf, process::ExitCode};

const OVERRIDE: &str = "SVCLB_EBPF_OBJECT";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let object = env::var_os(OVERRIDE).map_or_else(default_object, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(object) => {
            println!("cargo::rustc-env={OVERRIDE}={}", object.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!(
                "cargo::error=the kernel programs are not built: {}: {error}; run `cargo xtask \
                 build-ebpf`, or set {OVERRIDE} to their object file",
                object.display()
            );
            ExitCode::FAILURE
        }
    }
}

/// Where `cargo xtask build-ebpf` leaves the object.
fn default_object() -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), PathBuf::from);
    target.join("ebpf").join("svclb.o")
}
