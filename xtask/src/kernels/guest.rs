//! The files of an emulated machine: svclb, its tests, and what those run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::kernel::Kernel;
use crate::{
    paths,
    shell::{self, say},
    tree::{Mode, Tree, elf},
};

/// What the verifier said elsewhere, on the machine.
pub(super) const BASELINE: &str = "/svclb/verifier.md";

/// Programs of this machine that the lab runs.
const TOOLS: [&str; 7] = ["ip", "bridge", "tc", "nft", "bpftool", "modprobe", "sh"];

/// Programs and files, the same for each kernel.
pub(super) struct Programs(Vec<(String, Mode, Vec<u8>)>);

impl Programs {
    /// Builds the lab's tests, and takes the others as they have been built.
    ///
    /// # Errors
    /// If a build fails, or a program is missing.
    pub(super) fn build() -> Result<Self> {
        say("building the lab's tests");
        let scratch = tempfile::tempdir().context("a folder for programs")?;
        let own = |name: &str| (format!("/svclb/{name}"), paths::binary(name));
        let mut programs = vec![own("svclb"), own("lab-tool"), own("verifier")];
        programs.push(("/init".to_owned(), paths::binary("guest")));
        programs.push(("/svclb/lab".to_owned(), lab()?));
        let mut files = Vec::new();
        for (path, program) in programs {
            files.push((path, Mode::Executable, stripped(&program, scratch.path())?));
        }
        for name in TOOLS {
            let tool = which::which(name).with_context(|| format!("this machine has no {name}"))?;
            files.push((format!("/sbin/{name}"), Mode::Executable, read(&tool)?));
        }
        files.push(("/svclb/svclb.o".to_owned(), Mode::Plain, read(&paths::ebpf_object())?));
        let baseline = paths::workspace().join("docs/verifier.md");
        files.push((BASELINE.to_owned(), Mode::Plain, read(&baseline)?));
        Ok(Self(files))
    }

    /// All that a kernel starts into, to run `commands`.
    ///
    /// # Errors
    /// If what a program is loaded with is missing, or the kernel's modules cannot be read.
    pub(super) fn tree(&self, kernel: &Kernel, commands: &[String]) -> Result<Tree> {
        let mut tree = Tree::default();
        for (path, mode, content) in &self.0 {
            match mode {
                Mode::Executable => drop(elf::add_program(&mut tree, path, content.clone())?),
                Mode::Plain => tree.add(path, *mode, content.clone()),
            }
        }
        for (path, content) in kernel.modules()? {
            tree.add(path, Mode::Plain, content);
        }
        tree.add("/commands", Mode::Plain, (commands.join("\n") + "\n").into_bytes());
        Ok(tree)
    }
}

/// The program of the lab's tests.
fn lab() -> Result<PathBuf> {
    let mut cargo = shell::cargo("test");
    cargo.args(["--package", "svclb-tests", "--test", "lab", "--no-run"]);
    cargo.args(shell::locked()).arg("--message-format=json-render-diagnostics");
    let said = cargo.stderr(std::process::Stdio::inherit()).output().context("starting cargo")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let built =
        said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let lab = built.filter(|message| message["target"]["name"] == "lab");
    let mut programs = lab.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next().context("the lab's tests were not built")
}

/// A program without what only debuggers read: the machine keeps its files in memory.
fn stripped(program: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let slim = scratch.join("stripped");
    shell::run(shell::command("strip").arg("--strip-debug").arg("-o").arg(&slim).arg(program))?;
    read(&slim)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
