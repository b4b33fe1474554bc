//! A `bpf-linker` of our own, in the cache: built once for each LLVM.

use std::{fs, ops::RangeInclusive, path::PathBuf};

use anyhow::{Context, Result};

use super::choice::{Compiler, Llvm};
use crate::{
    paths,
    shell::{self, say},
};

const VERSION: &str = "0.13.0";

/// The LLVMs that this version can be built with.
pub(super) const LLVMS: RangeInclusive<u32> = 21..=23;

/// Where the linker for an LLVM is, once it is built.
///
/// # Errors
/// If there is no place for a cache.
pub(super) fn path(llvm: u32) -> Result<PathBuf> {
    Ok(folder(llvm)?.join("bin/bpf-linker"))
}

/// Builds the linker for an LLVM, unless another process just did.
///
/// # Errors
/// If the folder cannot be written or cargo fails, with its output above.
pub(super) fn build(compiler: &Compiler, llvm: &Llvm) -> Result<()> {
    let folder = folder(llvm.major)?;
    let cache = paths::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let _turn = paths::lock(&cache)?;
    if folder.exists() {
        return Ok(());
    }
    say(&format!(
        "building bpf-linker {VERSION} with LLVM {} into {} (about a minute, once)",
        llvm.major,
        folder.display()
    ));
    let scratch = tempfile::tempdir_in(&cache).context("creating a folder in the cache")?;
    let install = scratch.path().join("root");
    let mut cargo = shell::foreign_cargo(&compiler.cargo);
    cargo
        .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--no-default-features"])
        .args(["--features", &format!("llvm-{}", llvm.major)])
        .arg("--root")
        .arg(&install)
        .current_dir(&cache)
        .env("RUSTC", &compiler.rustc)
        .env("LLVM_PREFIX", &llvm.prefix)
        .env("CARGO_TARGET_DIR", scratch.path().join("target"));
    shell::run(&mut cargo)?;
    fs::rename(&install, &folder).with_context(|| format!("moving {}", folder.display()))
}

fn folder(llvm: u32) -> Result<PathBuf> {
    Ok(paths::cache()?.join(format!("bpf-linker-{VERSION}-llvm{llvm}")))
}
