//! What is on this machine: compilers, linkers, LLVMs.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use object::{Object as _, ObjectSection as _};

use super::{
    TARGET,
    apt::Apt,
    choice::{Compiler, Core, Facts, Linker, Llvm, Origin},
    linker,
};
use crate::shell::{self, output};

/// Looks at this machine.
///
/// # Errors
/// If there is no place for a cache.
pub(super) fn probe() -> Result<Facts> {
    Ok(Facts {
        compilers: [nightly(), system()].into_iter().flatten().collect(),
        linkers: linkers()?,
        llvms: linker::LLVMS.filter_map(llvm).collect(),
        apt: Apt::find().is_ok(),
    })
}

fn nightly() -> Option<Compiler> {
    let which = |tool| {
        let mut rustup = shell::foreign_cargo("rustup");
        let path = output(rustup.args(["which", "--toolchain", "nightly", tool]))?;
        Some(PathBuf::from(path.trim()))
    };
    compiler(Origin::Nightly, which("cargo")?, which("rustc")?)
}

fn system() -> Option<Compiler> {
    compiler(Origin::System, "/usr/bin/cargo".into(), "/usr/bin/rustc".into())
}

fn compiler(origin: Origin, cargo: PathBuf, rustc: PathBuf) -> Option<Compiler> {
    if !cargo.exists() {
        return None;
    }
    let version = output(shell::foreign_cargo(&rustc).arg("-vV"))?;
    let sysroot = output(shell::foreign_cargo(&rustc).args(["--print", "sysroot"]))?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    let core = core_in(Path::new(sysroot.trim()));
    Some(Compiler { origin, cargo, rustc, llvm: major(llvm)?, core })
}

fn core_in(sysroot: &Path) -> Core {
    let rustlib = sysroot.join("lib/rustlib");
    let is_core = |name: &str| name.starts_with("libcore-") && name.ends_with(".rlib");
    let mut compiled = fs::read_dir(rustlib.join(TARGET).join("lib")).into_iter().flatten();
    if compiled.any(|file| file.is_ok_and(|file| is_core(&file.file_name().to_string_lossy()))) {
        Core::Prebuilt
    } else if rustlib.join("src/rust/library/core/src/lib.rs").exists() {
        Core::Source
    } else {
        Core::Missing
    }
}

fn linkers() -> Result<Vec<Linker>> {
    let found = which::which_all("bpf-linker").into_iter().flatten();
    let mut linkers: Vec<_> = found.map(|path| Linker { llvm: loaded_llvm(&path), path }).collect();
    for llvm in linker::LLVMS {
        let path = linker::tool(llvm).path()?;
        if path.exists() {
            linkers.push(Linker { path, llvm: Some(llvm) });
        }
    }
    Ok(linkers)
}

/// Major version of the LLVM library that a program loads.
fn loaded_llvm(program: &Path) -> Option<u32> {
    let bytes = fs::read(program).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    let names = file.section_by_name(".dynstr")?.data().ok()?;
    names.split(|byte| *byte == 0).find_map(|name| llvm_of_library(str::from_utf8(name).ok()?))
}

/// 22 for `libLLVM.so.22.1` and for `libLLVM-22.so`.
fn llvm_of_library(name: &str) -> Option<u32> {
    let version = name.strip_prefix("libLLVM")?;
    major(version.trim_start_matches(".so").trim_start_matches(['.', '-']))
}

/// An LLVM of this major version with which a linker can be built.
fn llvm(wanted: u32) -> Option<Llvm> {
    let named = env::var_os("LLVM_PREFIX").map(PathBuf::from);
    let packaged = PathBuf::from(format!("/usr/lib/llvm-{wanted}"));
    named.into_iter().chain([packaged]).find_map(|prefix| {
        let config = prefix.join("bin/llvm-config");
        let found = major(&output(shell::command(config).arg("--version"))?)?;
        // llvm-config names Polly's library where LLVM was built with it, as Debian's is.
        let polly = prefix.join("lib/libPolly.a").exists();
        (found == wanted && polly).then_some(Llvm { major: wanted, prefix })
    })
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_tells_its_llvm() {
        assert_eq!(llvm_of_library("libLLVM.so.22.1"), Some(22));
        assert_eq!(llvm_of_library("libLLVM-21.so"), Some(21));
        assert_eq!(llvm_of_library("libLLVM.so"), None);
        assert_eq!(llvm_of_library("libc.so.6"), None);
    }

    #[test]
    fn a_sysroot_tells_how_core_comes() {
        let sysroot = tempfile::tempdir().expect("temporary folder");
        let add = |path: &str| {
            let path = sysroot.path().join("lib/rustlib").join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
            fs::write(path, "").expect("file");
        };
        assert_eq!(core_in(sysroot.path()), Core::Missing);
        add("src/rust/library/core/src/lib.rs");
        assert_eq!(core_in(sysroot.path()), Core::Source);
        add("bpfel-unknown-none/lib/libcore-0123.rlib");
        assert_eq!(core_in(sysroot.path()), Core::Prebuilt);
    }
}
