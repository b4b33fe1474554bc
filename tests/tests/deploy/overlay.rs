//! The overlay that docs/install.md has people write.

use std::{fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use svclb_tests::lab::{binary, command};

use crate::kustomize;

const DOCUMENT: &str = include_str!("../../../docs/install.md");

/// The overlay is made by kubectl as the document says, and says what the document says.
pub(crate) fn is_made() -> Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("overlay");
    write(&folder)?;
    let objects = kustomize::objects_of(&folder)?;
    let object = |kind: &str| {
        let found = objects.iter().find(|object| object["kind"] == kind);
        found.with_context(|| format!("no {kind} in the overlay"))
    };
    let (map, daemon_set) = (object("ConfigMap")?, object("DaemonSet")?);
    let config = map["data"]["config.yaml"].as_str().context("no config.yaml")?;
    ensure!(config.contains("apiServers:"), "{config}");
    let svclb = binary("svclb", "SVCLB_BIN", "svclb-userspace")?;
    let file = folder.join("config.yaml");
    command::run(&svclb.to_string_lossy(), &["config", "check", &file.to_string_lossy()], "")?;
    let pod = &daemon_set["spec"]["template"]["spec"];
    let port = &pod["containers"][0]["ports"][0]["containerPort"];
    ensure!(config.contains(&format!("healthzBindAddress: 0.0.0.0:{port},")), "port {port}");
    let volumes = pod["volumes"].as_array().into_iter().flatten();
    let names: Vec<&Value> = volumes.map(|volume| &volume["configMap"]["name"]).collect();
    ensure!(names.contains(&&map["metadata"]["name"]), "{names:?}");
    Ok(())
}

/// Writes the files of the document.
fn write(folder: &Path) -> Result<()> {
    prepare(folder)?;
    ["kustomization.yaml", "config.yaml"].iter().try_for_each(|name| {
        fs::write(folder.join(name), block(name)?).with_context(|| (*name).to_owned())
    })
}

/// The DaemonSet of the base with its component of fewer privileges.
pub(crate) fn least_privilege() -> Result<Value> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("least-privilege");
    prepare(&folder)?;
    let text = "resources: [svclb/deploy]\ncomponents: [svclb/deploy/least-privilege]\n";
    fs::write(folder.join("kustomization.yaml"), text).context("kustomization.yaml")?;
    let objects = kustomize::objects_of(&folder)?;
    let found = objects.into_iter().find(|object| object["kind"] == "DaemonSet");
    found.context("no DaemonSet in the overlay")
}

/// Makes a folder beside a clone, which is a link to this one.
fn prepare(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let link = folder.join("svclb");
    let _from_the_last_run = fs::remove_file(&link);
    symlink(kustomize::folder().join(".."), &link)
        .with_context(|| format!("linking {}", link.display()))
}

/// The indented block of YAML after the file's name.
fn block(name: &str) -> Result<String> {
    let (_, rest) = DOCUMENT
        .split_once(&format!("   `{name}`:\n\n   ```yaml\n"))
        .with_context(|| format!("docs/install.md has no {name}"))?;
    let (block, _) = rest.split_once("   ```\n").context("a block without an end")?;
    Ok(block
        .lines()
        .map(|line| line.strip_prefix("   ").unwrap_or(line).to_owned() + "\n")
        .collect())
}
