//! Debian's packages of several releases, without touching what this machine has installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{cache, shell};

/// Releases that have kernels or emulators of interest.
const SUITES: [&str; 4] = ["bookworm", "bookworm-backports", "trixie", "sid"];

/// The keys of Debian's archive, where each Debian has them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The mirror that this machine's apt uses, with lists of our own.
pub(super) struct Archive {
    config: PathBuf,
}

impl Archive {
    /// Makes the lists, or finds them.
    ///
    /// # Errors
    /// If this is no Debian, or the cache cannot be written.
    pub(super) fn open() -> Result<Self> {
        let folder = cache::folder("apt")?;
        let archive = Self { config: folder.join("apt.conf") };
        for name in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(name)).context("folders for package lists")?;
        }
        let mirror = mirror()?;
        let sources = SUITES.map(|suite| format!("deb [signed-by={KEYS}] {mirror} {suite} main\n"));
        let at = |name: &str| folder.join(name).display().to_string();
        let config = [
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", "-".to_owned()),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::Status", at("status")),
            ("Dir::Cache", at("")),
            ("Acquire::Languages", "none".to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
        ];
        let config = config.map(|(name, value)| format!("{name} \"{value}\";\n")).concat();
        for (name, text) in
            [("sources.list", sources.concat()), ("status", String::new()), ("apt.conf", config)]
        {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        shell::run(archive.command("apt-get").args(["--quiet", "--quiet", "update"]))?;
        Ok(archive)
    }

    /// The names of the packages whose names match.
    pub(super) fn search(&self, pattern: &str) -> Vec<String> {
        let mut command = self.command("apt-cache");
        let said = shell::output(command.args(["search", "--names-only", pattern]));
        let names = said.unwrap_or_default();
        names.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
    }

    /// The version of a package in a release; in the latest that has it without one.
    ///
    /// # Errors
    /// If there is no such package.
    pub(super) fn version(&self, package: &str, suite: Option<&str>) -> Result<String> {
        let said = shell::output(self.command("apt-cache").args(["madison", package]));
        let said = said.unwrap_or_default();
        let rows = said.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let of_suite =
            |place: &str| suite.is_none_or(|suite| place.contains(&format!(" {suite}/")));
        for row in rows {
            if let [_, version, place] = row[..]
                && of_suite(place)
            {
                return Ok(version.to_owned());
            }
        }
        bail!("Debian has no package {package}")
    }

    /// Unpacks packages, each as `name=version`, into a folder.
    ///
    /// # Errors
    /// If one cannot be fetched or unpacked, with the command's output above.
    pub(super) fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let fetched = tempfile::tempdir().context("a folder for packages")?;
        let mut download = self.command("apt-get");
        download.args(["--quiet", "--quiet", "download"]).args(packages);
        shell::run(download.current_dir(fetched.path()))?;
        for package in fs::read_dir(fetched.path()).context("what was fetched")? {
            shell::run(shell::command("dpkg-deb").arg("-x").arg(package?.path()).arg(into))?;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = shell::command(program);
        command.env("APT_CONFIG", &self.config);
        command
    }
}

/// The address of the mirror, as this machine's own lists have it.
fn mirror() -> Result<String> {
    let mut command = shell::command("apt-get");
    let said = shell::output(command.args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(REPO_URI)",
        "Created-By: Packages",
    ]));
    let said = said.unwrap_or_default();
    let own = said.lines().find_map(|line| line.strip_prefix("Debian "));
    own.map(str::to_owned)
        .context("this machine's apt has no mirror of Debian: kernels come from there")
}
