//! The CA certificates by which servers are believed: those of `AWS_CA_BUNDLE` where it is set, as the AWS CLI
//! does, else this machine's (`SSL_CERT_FILE`, `SSL_CERT_DIR`, or where the operating system keeps them).

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// What was found, and what connections are made with. Without any certificate only `http://` can be reached.
pub struct Trust {
    store: TrustStore,
    /// How many certificates there are and whose; or why there are none.
    pub found: Result<String, String>,
}

/// Read once: it may take 300 ms on macOS.
static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::of(std::env::var_os("AWS_CA_BUNDLE")));

/// The certificates that this process goes by.
pub fn trust() -> &'static Trust {
    &TRUST
}

impl Trust {
    fn of(bundle: Option<OsString>) -> Self {
        match bundle {
            Some(file) => Self::of_bundle(Path::new(&file)),
            None => Self::of_machine(),
        }
    }

    fn of_bundle(file: &Path) -> Self {
        let name = file.display();
        let (mut store, mut number) = (TrustStore::empty(), 0);
        let pem = fs::read(file).map_err(|error| format!("AWS_CA_BUNDLE={name}: {error}"));
        // The client panics at a certificate that it can't read.
        for certificate in pem.iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem)).flatten()
        {
            if RootCertStore::empty().add(certificate.clone()).is_ok() {
                let base64 = STANDARD.encode(&certificate);
                store.add_pem_certificate(format!(
                    "-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n"
                ));
                number += 1;
            }
        }
        let none = || format!("AWS_CA_BUNDLE={name} has no certificate in PEM form");
        let found = pem.and_then(|_| match number {
            0 => Err(none()),
            _ => Ok(format!("{number} of AWS_CA_BUNDLE={name}")),
        });
        Self { store, found }
    }

    fn of_machine() -> Self {
        let loaded = rustls_native_certs::load_native_certs();
        let (number, _) = RootCertStore::empty().add_parsable_certificates(loaded.certs);
        if number > 0 {
            return Self {
                store: TrustStore::default(),
                found: Ok(format!("{number} of this machine")),
            };
        }
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find_map(|name| {
            let value = std::env::var_os(name)?;
            Some(format!("no CA certificate in {name}={}", Path::new(&value).display()))
        });
        let found = named.unwrap_or_else(|| "this machine has no CA certificates".to_owned());
        // The default store panics where the machine has none.
        Self { store: TrustStore::empty(), found: Err(found) }
    }

    /// What TLS connections are made with.
    pub fn context(&self) -> TlsContext {
        TlsContext::builder().with_trust_store(self.store.clone()).build().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_is_not_one_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let found = || Trust::of_bundle(&file).found.unwrap_err();
        assert!(found().contains("ca.pem: No such file"), "{}", found());
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for content in ["", "not a certificate", broken] {
            fs::write(&file, content).unwrap();
            assert!(found().ends_with("ca.pem has no certificate in PEM form"), "{}", found());
        }
        let context = Trust::of_bundle(&file).context();
        assert!(format!("{context:?}").contains("enable_native_roots: false"), "{context:?}");
    }
}
