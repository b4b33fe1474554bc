//! A Go that can build the module.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    shell::{self, say},
    toolchain::Apt,
};

/// Debian's package.
const PACKAGE: &str = "golang-go";

/// The first version that fetches a newer one by itself where a module asks for it.
const SELF_UPDATING: Version = Version(1, 21);

/// A version of Go: major, minor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Version(u32, u32);

/// What a Go is good for.
#[derive(PartialEq, Eq, Debug)]
enum Fitness {
    /// It builds the module.
    Builds,
    /// It fetches one that builds the module.
    Fetches,
    /// It does neither.
    TooOld,
}

/// `go` in the module's folder, installed if it is a package of this system and new enough.
///
/// # Errors
/// If there is none that can build the module; the message says what to install.
pub(super) fn find(module: &Path) -> Result<Command> {
    let needed = needed(module)?;
    if let Some(go) = installed(module, needed) {
        return Ok(go);
    }
    install()?;
    let Some(go) = installed(module, needed) else {
        let Version(major, minor) = needed;
        bail!("no Go {major}.{minor} (nor 1.21 or later, which would fetch it)");
    };
    Ok(go)
}

fn needed(module: &Path) -> Result<Version> {
    let path = module.join("go.mod");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let version = text.lines().find_map(|line| version(line.strip_prefix("go ")?));
    version.with_context(|| format!("{}: no line `go`", path.display()))
}

/// The first Go of this machine that is good for a module that needs this version.
fn installed(module: &Path, needed: Version) -> Option<Command> {
    let own = which::which_all("go").into_iter().flatten();
    // Where Go's own archive puts it, which is not always in PATH.
    own.chain([PathBuf::from("/usr/local/go/bin/go")]).find_map(|path| {
        let mut go = shell::command(&path);
        go.current_dir(module);
        match fitness(version_of(&path)?, needed) {
            Fitness::Builds => Some(go),
            Fitness::Fetches => {
                say(&format!("{} fetches the Go that the module asks for", path.display()));
                go.env("GOTOOLCHAIN", "auto");
                Some(go)
            }
            Fitness::TooOld => None,
        }
    })
}

fn version_of(go: &Path) -> Option<Version> {
    // "local": tell about this one, not about one that it would fetch.
    let output = shell::output(shell::command(go).arg("version").env("GOTOOLCHAIN", "local"))?;
    version(output.strip_prefix("go version go")?)
}

fn fitness(found: Version, needed: Version) -> Fitness {
    if found >= needed {
        Fitness::Builds
    } else if found >= SELF_UPDATING {
        Fitness::Fetches
    } else {
        Fitness::TooOld
    }
}

/// Installs Debian's Go, if it is new enough to be of use.
fn install() -> Result<()> {
    let apt = Apt::find().context("Go is missing, and cannot be installed")?;
    let candidate = apt.candidate(PACKAGE)?;
    let known = candidate.as_deref().and_then(|candidate| version(upstream(candidate)));
    if known.is_none_or(|version| version < SELF_UPDATING) {
        let offered = candidate.unwrap_or_else(|| "no version".into());
        bail!(
            "Go is missing, and Debian's {PACKAGE} is too old here ({offered}): install Go from \
             backports or go.dev, or name a folder with the programs in KUBEBUILDER_ASSETS"
        );
    }
    apt.install(&[PACKAGE.into()])
}

/// A Debian version without its epoch.
fn upstream(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_epoch, rest)| rest)
}

/// The version at the beginning of a text.
fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some(Version(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("1.26.8 linux/amd64"), Some(Version(1, 26)));
        assert_eq!(version(upstream("2:1.19~1")), Some(Version(1, 19)));
        assert_eq!(version("1.27rc1"), Some(Version(1, 27)));
        assert_eq!(version("devel"), None);
    }

    #[test]
    fn only_a_go_that_updates_itself_may_be_older() {
        let needed = Version(1, 26);
        assert_eq!(fitness(Version(1, 26), needed), Fitness::Builds);
        assert_eq!(fitness(Version(2, 0), needed), Fitness::Builds);
        assert_eq!(fitness(Version(1, 24), needed), Fitness::Fetches);
        assert_eq!(fitness(Version(1, 19), needed), Fitness::TooOld);
    }

    #[test]
    fn the_module_says_what_it_needs() {
        let needed = needed(&crate::paths::control_plane_module()).expect("go.mod");
        assert!(needed >= Version(1, 26), "{needed:?}");
    }
}
