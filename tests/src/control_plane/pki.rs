//! The certificates and keys of a control plane that lives for one run.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::lab::{Dual, Family};

/// A certificate authority and what it has signed, as files.
#[derive(Debug)]
pub(super) struct Pki {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// As whom somebody talks to the API server.
pub(super) enum Identity {
    /// By a certificate and its key, as PEM.
    Certificate { certificate: String, key: String },
    /// By a bearer token.
    Token(String),
}

impl Pki {
    /// Makes everything in `folder`; the API server answers at `ip`, at loopback and at the first
    /// address of the range of Services.
    pub(super) fn create(folder: &Path, ip: Dual) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot be made", folder.display()))?;
        let pki = Self { folder: folder.to_owned(), authority: authority()? };
        write(&pki.authority_file(), &pki.authority.pem())?;
        pki.write_server(ip)?;
        pki.write_account_keys()?;
        Ok(pki)
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.authority_file()
    }

    /// Another file, by name.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Signs a client's certificate.
    pub(super) fn client(&self, user: &str, group: &str) -> Result<Identity> {
        let mut params = params(&[], user)?;
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let (certificate, key) = self.sign(&params)?;
        Ok(Identity::Certificate { certificate, key })
    }

    fn write_server(&self, ip: Dual) -> Result<()> {
        let service = super::components::kubernetes_service();
        let own = [IpAddr::from(Ipv4Addr::LOCALHOST), service];
        let addresses = Family::BOTH.map(|family| ip.ip(family)).into_iter().chain(own);
        let mut names: Vec<String> = addresses.map(|address| address.to_string()).collect();
        names.extend(["localhost", "kubernetes.default.svc"].map(str::to_owned));
        let mut params = params(&names, "kube-apiserver")?;
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let (certificate, key) = self.sign(&params)?;
        write(&self.file("server.crt"), &certificate)?;
        write(&self.file("server.key"), &key)
    }

    /// The keys that tokens of ServiceAccounts are signed and checked with.
    fn write_account_keys(&self) -> Result<()> {
        let key = KeyPair::generate().context("key of service accounts")?;
        write(&self.file("accounts.key"), &key.serialize_pem())?;
        write(&self.file("accounts.pub"), &key.public_key_pem())
    }

    /// A certificate and its key, as PEM.
    fn sign(&self, params: &CertificateParams) -> Result<(String, String)> {
        let key = KeyPair::generate().context("key")?;
        let certificate = params.signed_by(&key, &self.authority).context("certificate")?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn authority_file(&self) -> PathBuf {
        self.file("authority.crt")
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = params(&[], "svclb-lab")?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().context("key of the authority")?;
    CertifiedIssuer::self_signed(params, key).context("certificate of the authority")
}

/// A certificate for these names and addresses.
fn params(names: &[String], common_name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names).context("certificate")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))
}
