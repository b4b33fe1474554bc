//! `cargo xtask image`: a container image of the agent, made without a container engine.
//!
//! The image holds the binary, what it is linked against, CA certificates and the licence; no
//! shell, no package manager. The same inputs give the same digest.

mod layout;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use layout::Image;
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_TITLE,
    ANNOTATION_VERSION, Arch,
};

use crate::{
    build_ebpf, paths,
    shell::{self, say},
    tree::{Mode, Tree, elf},
};

/// The profile of Cargo.toml that the image's binary is built with.
const PROFILE: &str = "image";

/// Where the image has the binary.
const PROGRAM: &str = "/usr/bin/svclb";

/// Where the image has the certificates that a client of an API server trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where distributions keep them.
const CERTIFICATE_FILES: &[&str] =
    &[CERTIFICATES, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What to make.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The archive to write: an OCI image layout as a tar file [default: target/svclb-image.tar]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Repository and tag
    #[arg(long, default_value = concat!("localhost/svclb:", env!("CARGO_PKG_VERSION")))]
    name: String,
    /// Put this `svclb` in, instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Builds the binary, and writes the image.
///
/// # Errors
/// If the build fails, a shared object or the certificates are missing, or the file cannot be
/// written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = options.binary.clone().map_or_else(build, Ok)?;
    let program = fs::read(&binary).with_context(|| format!("reading {}", binary.display()))?;
    let (files, arch) = files(program).with_context(|| format!("with {}", binary.display()))?;
    let labels = labels();
    let image = Image {
        files: &files,
        arch,
        name: &options.name,
        entrypoint: PROGRAM,
        created: git(&["log", "-1", "--format=%cI"]),
        labels: &labels,
    };
    let (archive, digest) = image.archive()?;
    let output = options.output.clone().unwrap_or_else(paths::image);
    fs::write(&output, &archive).with_context(|| format!("writing {}", output.display()))?;
    say(&format!("{} ({} MB): {}", output.display(), archive.len() / 1_000_000, options.name));
    println!("{digest}");
    Ok(())
}

fn build() -> Result<PathBuf> {
    build_ebpf::run()?;
    say("building svclb for the image");
    let mut cargo = shell::cargo("build");
    cargo.args(["--package", "svclb-userspace", "--bin", "svclb", "--profile", PROFILE]);
    shell::run(cargo.args(shell::locked()))?;
    Ok(paths::built(PROFILE, "svclb"))
}

/// All files, and the processor that the program is for.
fn files(program: Vec<u8>) -> Result<(Tree, Arch)> {
    let mut files = Tree::default();
    let arch = elf::add_program(&mut files, PROGRAM, program)?;
    files.add(CERTIFICATES, Mode::Plain, certificates()?);
    // Without it, older versions of glibc ask DNS only, and not /etc/hosts.
    files.add("/etc/nsswitch.conf", Mode::Plain, b"hosts: files dns\n".to_vec());
    let licence = paths::workspace().join("LICENSE");
    let licence = fs::read(&licence).with_context(|| format!("reading {}", licence.display()))?;
    files.add("/usr/share/doc/svclb/LICENSE", Mode::Plain, licence);
    Ok((files, arch))
}

fn certificates() -> Result<Vec<u8>> {
    let chosen = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = CERTIFICATE_FILES.iter().map(|file| Path::new(file).to_owned());
    let file = chosen
        .or_else(|| usual.clone().find(|file| file.is_file()))
        .context("no CA certificates: install ca-certificates, or name a file in SSL_CERT_FILE")?;
    fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

fn labels() -> BTreeMap<String, String> {
    let fixed = [
        (ANNOTATION_TITLE, "svclb"),
        (
            ANNOTATION_DESCRIPTION,
            "A load balancer for Kubernetes Services that works in the kernel",
        ),
        (ANNOTATION_VERSION, env!("CARGO_PKG_VERSION")),
        (ANNOTATION_LICENSES, "Apache-2.0"),
    ];
    let fixed = fixed.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let revision = git(&["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]);
    let revision = revision.map(|revision| (ANNOTATION_REVISION.to_owned(), revision));
    fixed.into_iter().chain(revision).collect()
}

/// What git says about the sources, where they are a clone.
fn git(arguments: &[&str]) -> Option<String> {
    let mut git = shell::command("git");
    let said = shell::output(git.current_dir(paths::workspace()).args(arguments))?;
    Some(said.trim().to_owned()).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_all_that_the_agent_needs() {
        let own = fs::read(env::current_exe().unwrap()).unwrap();
        let (files, _) = files(own).unwrap();
        for name in ["svclb", "ca-certificates.crt", "nsswitch.conf", "LICENSE", "libc.so.6"] {
            assert!(files.has_file_named(name), "{name}");
        }
    }
}
