//! The OCI image layout: blobs by their digests, and the index that names the image.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write as _,
};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, ConfigBuilder, Descriptor, DescriptorBuilder,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType,
    OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::tree::{Mode, Tree};

/// What containerd names an image after that it imports.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Everything that makes the image.
pub(super) struct Image<'a> {
    /// Its files.
    pub(super) files: &'a Tree,
    /// The processor that they are for.
    pub(super) arch: Arch,
    /// `repository:tag`.
    pub(super) name: &'a str,
    /// The command that a container runs.
    pub(super) entrypoint: &'a str,
    /// When it was made (RFC 3339), if anybody should know.
    pub(super) created: Option<String>,
    /// Its labels.
    pub(super) labels: &'a BTreeMap<String, String>,
}

/// A layout on its way to an archive.
#[derive(Default)]
struct Layout(Tree);

impl Image<'_> {
    /// The archive of the layout, and the digest of the image's manifest.
    ///
    /// # Errors
    /// A file's path is too long for an archive.
    pub(super) fn archive(&self) -> Result<(Vec<u8>, String)> {
        let mut layout = Layout::default();
        let archive = self.files.archive().context("the layer")?;
        let diff_id = format!("sha256:{}", sha256(&archive));
        let layer = layout.blob(MediaType::ImageLayerGzip, compressed(&archive)?)?;
        let config = layout.json_blob(MediaType::ImageConfig, &self.config(diff_id)?)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers(vec![layer])
            .build()?;
        let mut manifest = layout.json_blob(MediaType::ImageManifest, &manifest)?;
        let digest = manifest.digest().to_string();
        self.describe(&mut manifest)?;
        layout.finish(manifest)?;
        Ok((layout.0.archive()?, digest))
    }

    fn config(&self, diff_id: String) -> Result<impl Serialize> {
        let run = ConfigBuilder::default()
            .entrypoint(vec![self.entrypoint.to_owned()])
            .env(vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()])
            .labels(self.labels.clone().into_iter().collect::<HashMap<_, _>>())
            .build()?;
        let layers = RootFsBuilder::default().typ("layers").diff_ids(vec![diff_id]).build()?;
        let mut config = ImageConfigurationBuilder::default()
            .architecture(self.arch.clone())
            .os(Os::Linux)
            .config(run)
            .rootfs(layers)
            .build()?;
        config.set_created(self.created.clone());
        Ok(config)
    }

    /// What the index says about the manifest.
    fn describe(&self, manifest: &mut Descriptor) -> Result<()> {
        let platform =
            PlatformBuilder::default().architecture(self.arch.clone()).os(Os::Linux).build()?;
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        let names = [(ANNOTATION_REF_NAME, tag), (CONTAINERD_NAME, self.name)];
        let names = names.map(|(key, value)| (key.to_owned(), value.to_owned()));
        manifest.set_platform(Some(platform)).set_annotations(Some(names.into()));
        Ok(())
    }
}

impl Layout {
    fn blob(&mut self, kind: MediaType, content: Vec<u8>) -> Result<Descriptor> {
        let digest = sha256(&content);
        let described = DescriptorBuilder::default()
            .media_type(kind)
            .digest(digest.parse::<Sha256Digest>()?)
            .size(content.len() as u64)
            .build()?;
        self.0.add(format!("blobs/sha256/{digest}"), Mode::Plain, content);
        Ok(described)
    }

    fn json_blob(&mut self, kind: MediaType, value: &impl Serialize) -> Result<Descriptor> {
        self.blob(kind, json(value)?)
    }

    /// Adds the two files by which a layout is known.
    fn finish(&mut self, manifest: Descriptor) -> Result<()> {
        let index = ImageIndexBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![manifest])
            .build()?;
        let version = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
        self.0.add("index.json", Mode::Plain, json(&index)?);
        self.0.add("oci-layout", Mode::Plain, json(&version)?);
        Ok(())
    }
}

/// JSON with sorted keys: the library keeps labels in maps of no order.
fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let sorted = serde_json::to_value(value).context("as JSON")?;
    serde_json::to_vec(&sorted).context("as JSON")
}

/// gzip without a name or time in its header.
fn compressed(content: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    gzip.write_all(content).and_then(|()| gzip.finish()).context("compressing the layer")
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use serde_json::Value;

    use super::*;

    /// The files of the archive of an image with one file, its labels added in that order.
    fn image(content: &[u8]) -> (BTreeMap<String, Vec<u8>>, String) {
        let mut files = Tree::default();
        files.add("/usr/bin/svclb", Mode::Executable, content.to_vec());
        let labels = (0..20).map(|i| (format!("label-{i}"), i.to_string())).collect();
        let image = Image {
            files: &files,
            arch: Arch::Amd64,
            name: "localhost/svclb:1.2.3",
            entrypoint: "/usr/bin/svclb",
            created: None,
            labels: &labels,
        };
        let (bytes, digest) = image.archive().unwrap();
        let mut archive = tar::Archive::new(&*bytes);
        let read = |mut entry: tar::Entry<'_, &[u8]>| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        };
        let entries = archive.entries().unwrap().map(|entry| read(entry.unwrap()));
        (entries.collect(), digest)
    }

    fn blob(files: &BTreeMap<String, Vec<u8>>, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        let content = files[&format!("blobs/{digest}")].clone();
        assert_eq!(descriptor["size"].as_u64(), Some(content.len() as u64));
        assert!(digest.ends_with(&sha256(&content)));
        content
    }

    fn parsed(content: &[u8]) -> Value {
        serde_json::from_slice(content).unwrap()
    }

    #[test]
    fn everything_is_found_by_its_digest() {
        let (files, digest) = image(b"program");
        assert_eq!(parsed(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
        let named = parsed(&files["index.json"])["manifests"][0].clone();
        assert_eq!(named["digest"], Value::from(digest));
        assert_eq!(named["annotations"][CONTAINERD_NAME], "localhost/svclb:1.2.3");
        assert_eq!(named["annotations"][ANNOTATION_REF_NAME], "1.2.3");
        let manifest = parsed(&blob(&files, &named));
        let config = parsed(&blob(&files, &manifest["config"]));
        assert_eq!(config["architecture"], "amd64");
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/svclb");
        let mut layer = Vec::new();
        let compressed = blob(&files, &manifest["layers"][0]);
        flate2::read::GzDecoder::new(&*compressed).read_to_end(&mut layer).unwrap();
        let diff_id = format!("sha256:{}", sha256(&layer));
        assert_eq!(config["rootfs"]["diff_ids"], Value::from(vec![diff_id]));
    }

    #[test]
    fn the_same_inputs_give_the_same_image() {
        assert_eq!(image(b"program"), image(b"program"));
        assert_ne!(image(b"program").1, image(b"another program").1);
    }
}
