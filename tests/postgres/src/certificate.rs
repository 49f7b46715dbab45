//! Certificates of servers, which sign themselves.

use std::fs;
use std::path::Path;

use crate::folder::{Folder, in_url};
use crate::programs;
use crate::server::{blocking, run};

/// A certificate for 127.0.0.1 that has signed itself, and its key: files that are removed
/// when this is dropped.
#[derive(Debug)]
pub struct Certificate {
    folder: Folder,
}

impl Certificate {
    /// Makes a certificate as a server has it.
    ///
    /// # Panics
    ///
    /// Without OpenSSL on this machine.
    pub async fn of_a_server() -> Certificate {
        blocking(|| Self::make("CA:FALSE")).await
    }

    /// Makes a certificate as an authority has it, and as OpenSSL makes it unless it is told
    /// otherwise.
    ///
    /// # Panics
    ///
    /// Without OpenSSL on this machine.
    pub async fn of_an_authority() -> Certificate {
        blocking(|| Self::make("CA:TRUE")).await
    }

    fn make(constraints: &str) -> Self {
        let folder = Folder::create();
        let settings = folder.path().join("openssl.cnf");
        fs::write(&settings, configuration(constraints)).expect("the folder is ours");
        let mut openssl = folder.command(&programs::openssl());
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        openssl.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-config"]);
        openssl.arg(&settings).arg("-keyout").arg(folder.path().join("key.pem"));
        run(openssl.arg("-out").arg(folder.path().join("certificate.pem")));
        Self { folder }
    }

    /// Returns the certificate's file as it stands in the query of a URL.
    pub fn in_url(&self) -> String {
        in_url(Path::new(&self.file()))
    }

    pub(crate) fn file(&self) -> String {
        self.path("certificate.pem")
    }

    pub(crate) fn key(&self) -> String {
        self.path("key.pem")
    }

    fn path(&self, file: &str) -> String {
        let path = self.folder.path().join(file);
        path.to_str().expect("a temporary folder is named in UTF-8").to_owned()
    }
}

/// Returns the configuration of OpenSSL, of which the machine's own is no part.
fn configuration(constraints: &str) -> String {
    format!(
        "[req]\n\
         distinguished_name = name\n\
         x509_extensions = extensions\n\
         prompt = no\n\
         [name]\n\
         CN = gae-tasks\n\
         [extensions]\n\
         basicConstraints = critical, {constraints}\n\
         subjectAltName = IP:127.0.0.1\n"
    )
}
