//! What a program needs at run time: its loader and shared objects, as the file itself says.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use object::{
    Endianness, elf,
    read::elf::{FileHeader as _, ProgramHeader as _},
};
use oci_spec::image::Arch;

use super::{Mode, Tree};

/// Where loaders look without a cache of their own, on the distributions that svclb is built on.
const LIBRARY_FOLDERS: &[&str] = &[
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// What an ELF file says about itself.
struct Linked {
    /// The processor that it is for.
    arch: Arch,
    /// The loader that a program names; none for a static program, or a shared object.
    interpreter: Option<PathBuf>,
    /// The shared objects that it names.
    needed: Vec<String>,
}

impl Linked {
    /// Reads an ELF file of 64 bits.
    ///
    /// # Errors
    /// It is none, or for a processor that svclb does not run on.
    fn parse(file: &[u8]) -> Result<Self> {
        let header = elf::FileHeader64::<Endianness>::parse(file)?;
        let endian = header.endian()?;
        let arch = match header.e_machine.get(endian) {
            elf::EM_X86_64 => Arch::Amd64,
            elf::EM_AARCH64 => Arch::ARM64,
            other => bail!("ELF machine {other} is neither x86-64 nor AArch64"),
        };
        let mut interpreter = None;
        for segment in header.program_headers(endian, file)? {
            if let Some(path) = segment.interpreter(endian, file)? {
                interpreter = Some(PathBuf::from(text(path)?));
            }
        }
        let dynamic = header.sections(endian, file)?.dynamic_table(endian, file)?;
        let needed = dynamic.iter().filter(|entry| entry.tag == elf::DT_NEEDED);
        let needed = needed.map(|entry| text(dynamic.string(entry)?)).collect::<Result<_>>()?;
        Ok(Self { arch, interpreter, needed })
    }
}

/// Adds a program at `path`, with everything that it is loaded with. Returns the processor that it is
/// for.
///
/// # Errors
/// `file` is no ELF file for a processor that svclb runs on; a shared object is not in the folders
/// where loaders look, or cannot be read.
pub(crate) fn add_program(tree: &mut Tree, path: impl AsRef<Path>, file: Vec<u8>) -> Result<Arch> {
    let path = path.as_ref();
    let linked = Linked::parse(&file).with_context(|| format!("in {}", path.display()))?;
    add_dependencies(tree, &linked)?;
    tree.add(path, Mode::Executable, file);
    Ok(linked.arch)
}

/// Adds everything that `program` is loaded with, at the paths where this machine has it.
///
/// # Errors
/// A shared object is not in the folders where loaders look, or cannot be read.
fn add_dependencies(tree: &mut Tree, program: &Linked) -> Result<()> {
    let mut wanted = program.needed.clone();
    if let Some(path) = &program.interpreter {
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        tree.add(path, Mode::Executable, content);
    }
    while let Some(name) = wanted.pop() {
        if tree.has_file_named(&name) {
            continue;
        }
        let (path, content, linked) = find(&name, &program.arch)?;
        tree.add(&path, Mode::Executable, content);
        wanted.extend(linked.needed);
    }
    Ok(())
}

/// A shared object of that name for that processor.
fn find(name: &str, arch: &Arch) -> Result<(PathBuf, Vec<u8>, Linked)> {
    let candidates = LIBRARY_FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    for path in candidates.filter(|path| path.is_file()) {
        let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        // Libraries of another processor may lie beside.
        if let Ok(linked) = Linked::parse(&content)
            && linked.arch == *arch
        {
            return Ok((path, content, linked));
        }
    }
    bail!("the shared object {name} for {arch} is in none of {}", LIBRARY_FOLDERS.join(", "))
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).context("a name in the ELF file is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The running test is a program like any other.
    fn own() -> Vec<u8> {
        fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_program_names_its_loader_and_libraries() {
        let linked = Linked::parse(&own()).unwrap();
        let loader = linked.interpreter.unwrap();
        assert!(loader.is_file(), "{}", loader.display());
        assert!(
            linked.needed.iter().any(|name| name.starts_with("libc.so")),
            "{:?}",
            linked.needed
        );
    }

    #[test]
    fn what_libraries_need_comes_along() {
        let (mut tree, linked) = (Tree::default(), Linked::parse(&own()).unwrap());
        add_dependencies(&mut tree, &linked).unwrap();
        for name in &linked.needed {
            assert!(tree.has_file_named(name), "{name}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Linked::parse(b"#!/bin/sh\n").is_err());
    }

    #[test]
    fn a_missing_library_is_named() {
        let program =
            Linked { arch: Arch::Amd64, interpreter: None, needed: vec!["libno-such.so.1".into()] };
        let error = add_dependencies(&mut Tree::default(), &program).unwrap_err().to_string();
        assert!(error.contains("libno-such.so.1 for amd64"), "{error}");
    }
}
