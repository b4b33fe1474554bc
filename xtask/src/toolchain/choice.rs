//! The decision which toolchain builds the kernel programs. Pure: facts in, choice out.

use std::{fmt, path::PathBuf};

/// Where a compiler comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// rustup's nightly.
    Nightly,
    /// The system's packages.
    System,
}

/// How a compiler comes by the `core` library of the kernel's target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Core {
    /// It was installed in compiled form.
    Prebuilt,
    /// Its source was installed; cargo compiles it (`-Z build-std`).
    Source,
    /// Not at all.
    Missing,
}

/// A Rust compiler on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Compiler {
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Its cargo.
    pub(crate) cargo: PathBuf,
    /// The compiler itself.
    pub(crate) rustc: PathBuf,
    /// Major version of the LLVM that it contains.
    pub(crate) llvm: u32,
    /// How it comes by `core`.
    pub(crate) core: Core,
}

impl Compiler {
    /// What cargo must be told to get `core`.
    pub(crate) fn flags(&self) -> &'static [&'static str] {
        if self.core == Core::Source { &["-Zbuild-std=core"] } else { &[] }
    }
}

/// A `bpf-linker` on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Linker {
    /// The program.
    pub(crate) path: PathBuf,
    /// Major version of the LLVM library that it loads; `None` if it was linked into it.
    pub(crate) llvm: Option<u32>,
}

/// An LLVM with all that is needed to build a linker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Llvm {
    /// Major version.
    pub(crate) major: u32,
    /// The folder that holds its `bin`, `include` and `lib`.
    pub(crate) prefix: PathBuf,
}

/// What was seen on this machine.
#[derive(Clone, Default, Debug)]
pub(crate) struct Facts {
    /// Compilers, the preferred first.
    pub(crate) compilers: Vec<Compiler>,
    /// Linkers, the preferred first.
    pub(crate) linkers: Vec<Linker>,
    /// LLVMs to build a linker with.
    pub(crate) llvms: Vec<Llvm>,
    /// Whether packages of Debian can be installed.
    pub(crate) apt: bool,
}

/// A compiler and a linker that understands it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Toolchain {
    /// The compiler.
    pub(crate) compiler: Compiler,
    /// Path of the linker.
    pub(crate) linker: PathBuf,
}

/// The next step towards a toolchain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// There it is.
    Use(Toolchain),
    /// Install these packages of Debian, then look again.
    Install(Vec<String>),
    /// Build a linker with this compiler and this LLVM, then look again.
    BuildLinker(Compiler, Llvm),
    /// Nothing can be done; this is what to tell the user.
    Nothing(&'static str),
}

/// Debian's compiler, its cargo and a compiled `core` for the kernel's target.
const DEBIAN_COMPILER: [&str; 4] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "gcc"];

const ADVICE: &str = "no toolchain for the kernel programs. Install either
  - with rustup:  rustup toolchain install nightly --component rust-src
                  cargo install bpf-linker   (built with an LLVM not older than the nightly's)
  - on Debian, as root (or run this as root):
                  apt-get install rustc-web cargo-web libstd-rust-web-dev-bpf
                  apt-get install llvm-22-dev libpolly-22-dev   (LLVM as `rustc -vV` names it)";

/// The next step on a machine with these facts.
///
/// What is complete is used before anything is added, and what the user has installed is
/// completed before packages are.
pub(crate) fn choose(facts: &Facts) -> Choice {
    let able = || facts.compilers.iter().filter(|compiler| compiler.core != Core::Missing);
    if let Some(toolchain) = able().find_map(|compiler| complete(compiler, &facts.linkers)) {
        return Choice::Use(toolchain);
    }
    for compiler in able() {
        if let Some(llvm) = facts.llvms.iter().find(|llvm| llvm.major == compiler.llvm) {
            return Choice::BuildLinker(compiler.clone(), llvm.clone());
        }
    }
    if !facts.apt {
        return Choice::Nothing(ADVICE);
    }
    match able().find(|compiler| compiler.origin == Origin::System) {
        Some(compiler) => Choice::Install(llvm_packages(compiler.llvm)),
        None => Choice::Install(DEBIAN_COMPILER.map(String::from).to_vec()),
    }
}

fn complete(compiler: &Compiler, linkers: &[Linker]) -> Option<Toolchain> {
    // Bitcode is read by the LLVM that wrote it and by later ones. A linker that contains its LLVM
    // does not tell which; who installs one has it fit the nightly.
    let fits = |linker: &&Linker| match linker.llvm {
        Some(llvm) => llvm >= compiler.llvm,
        None => compiler.origin == Origin::Nightly,
    };
    let linker = linkers.iter().find(fits)?;
    Some(Toolchain { compiler: compiler.clone(), linker: linker.path.clone() })
}

fn llvm_packages(major: u32) -> Vec<String> {
    vec![format!("llvm-{major}-dev"), format!("libpolly-{major}-dev")]
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Use(toolchain) => write!(f, "using {}", toolchain.compiler.rustc.display()),
            Self::Install(packages) => write!(f, "installing {}", packages.join(" ")),
            Self::BuildLinker(_, llvm) => write!(f, "building bpf-linker with LLVM {}", llvm.major),
            Self::Nothing(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiler(origin: Origin, llvm: u32, core: Core) -> Compiler {
        Compiler { origin, cargo: "cargo".into(), rustc: "rustc".into(), llvm, core }
    }

    fn linker(path: &str, llvm: Option<u32>) -> Linker {
        Linker { path: path.into(), llvm }
    }

    fn llvm(major: u32) -> Llvm {
        Llvm { major, prefix: format!("llvm-{major}").into() }
    }

    #[test]
    fn a_complete_nightly_is_preferred() {
        let facts = Facts {
            compilers: vec![
                compiler(Origin::Nightly, 22, Core::Source),
                compiler(Origin::System, 22, Core::Prebuilt),
            ],
            linkers: vec![linker("bpf-linker", None)],
            apt: true,
            ..Facts::default()
        };
        let Choice::Use(toolchain) = choose(&facts) else { panic!("{}", choose(&facts)) };
        assert_eq!(toolchain.compiler.origin, Origin::Nightly);
        assert_eq!(toolchain.compiler.flags(), ["-Zbuild-std=core"]);
    }

    #[test]
    fn a_nightly_without_source_gives_way_to_the_system() {
        let facts = Facts {
            compilers: vec![
                compiler(Origin::Nightly, 23, Core::Missing),
                compiler(Origin::System, 22, Core::Prebuilt),
            ],
            linkers: vec![linker("old", Some(21)), linker("new", Some(22))],
            apt: true,
            ..Facts::default()
        };
        let Choice::Use(toolchain) = choose(&facts) else { panic!("{}", choose(&facts)) };
        assert_eq!(toolchain.linker, PathBuf::from("new"));
        assert!(toolchain.compiler.flags().is_empty());
    }

    #[test]
    fn a_linker_older_than_the_compiler_is_not_used() {
        let facts = Facts {
            compilers: vec![compiler(Origin::System, 22, Core::Prebuilt)],
            linkers: vec![linker("bpf-linker", Some(21)), linker("bundled", None)],
            llvms: vec![llvm(21), llvm(22)],
            apt: true,
        };
        let Choice::BuildLinker(_, with) = choose(&facts) else { panic!("{}", choose(&facts)) };
        assert_eq!(with.major, 22);
    }

    #[test]
    fn a_bare_debian_is_completed_step_by_step() {
        let mut facts = Facts { apt: true, ..Facts::default() };
        let installs = |facts: &Facts| match choose(facts) {
            Choice::Install(packages) => packages,
            other => panic!("{other}"),
        };
        assert_eq!(installs(&facts), DEBIAN_COMPILER);
        facts.compilers.push(compiler(Origin::System, 22, Core::Missing));
        assert_eq!(installs(&facts), DEBIAN_COMPILER);
        facts.compilers[0].core = Core::Prebuilt;
        assert_eq!(installs(&facts), ["llvm-22-dev", "libpolly-22-dev"]);
        facts.llvms.push(llvm(22));
        assert!(matches!(choose(&facts), Choice::BuildLinker(..)));
        facts.linkers.push(linker("cached", Some(22)));
        assert!(matches!(choose(&facts), Choice::Use(_)));
    }

    #[test]
    fn without_packages_the_user_is_told_what_to_install() {
        let facts = Facts {
            compilers: vec![compiler(Origin::Nightly, 22, Core::Missing)],
            ..Facts::default()
        };
        assert_eq!(choose(&facts), Choice::Nothing(ADVICE));
        let Choice::Nothing(advice) = choose(&Facts::default()) else { panic!("nothing to use") };
        assert!(advice.contains("rust-src") && advice.contains("libstd-rust-web-dev-bpf"));
    }
}
