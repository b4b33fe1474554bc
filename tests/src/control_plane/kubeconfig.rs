//! A kubeconfig: where the API server is, whom to trust, as whom to talk.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{
    pki::{Identity, Pki},
    server,
};
use crate::lab::Dual;

/// Writes a kubeconfig; JSON is YAML. Certificates stand in files beside it.
pub(super) fn write(path: &Path, ip: Dual, pki: &Pki, who: &Identity) -> Result<()> {
    let user = match who {
        Identity::Token(token) => json!({ "token": token }),
        Identity::Certificate { certificate, key } => {
            let (certificate_file, key_file) =
                (path.with_extension("crt"), path.with_extension("key"));
            put(&certificate_file, certificate)?;
            put(&key_file, key)?;
            json!({ "client-certificate": certificate_file, "client-key": key_file })
        }
    };
    let cluster = json!({ "server": server(ip), "certificate-authority": pki.authority() });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "lab", "cluster": cluster }],
        "users": [{ "name": "user", "user": user }],
        "contexts": [{ "name": "lab", "context": { "cluster": "lab", "user": "user" } }],
        "current-context": "lab",
    });
    put(path, &format!("{config:#}\n"))
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))
}
