//! A `bpf-linker` of our own, in the cache: one for each LLVM.

use std::ops::RangeInclusive;

use anyhow::Result;

use super::choice::{Compiler, Llvm};
use crate::{cache::Tool, shell};

/// The LLVMs that this version can be built with.
pub(super) const LLVMS: RangeInclusive<u32> = 21..=23;

/// The linker for an LLVM.
pub(super) fn tool(llvm: u32) -> Tool {
    Tool {
        name: "bpf-linker",
        version: "0.13.0",
        form: format!("-llvm{llvm}"),
        options: vec!["--no-default-features".into(), format!("--features=llvm-{llvm}")],
    }
}

/// Builds the linker for an LLVM.
///
/// # Errors
/// If the cache cannot be written or cargo fails, with its output above.
pub(super) fn build(compiler: &Compiler, llvm: &Llvm) -> Result<()> {
    let mut cargo = shell::foreign_cargo(&compiler.cargo);
    cargo.env("RUSTC", &compiler.rustc).env("LLVM_PREFIX", &llvm.prefix);
    tool(llvm.major).build(&mut cargo)
}
