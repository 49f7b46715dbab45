//! Certificates: of servers and authorities, which sign themselves, and of clients.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::folder::{Folder, in_url};
use crate::programs;
use crate::server::{blocking, run};

/// A certificate and its key: files that are removed when this is dropped. Those of servers and
/// authorities are for 127.0.0.1, and have signed themselves.
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

    /// Makes the certificate by which a client shows that it may be this role. This one, of an
    /// authority, signs it.
    ///
    /// # Panics
    ///
    /// Without OpenSSL on this machine.
    pub async fn of_a_client(&self, role: &str) -> Certificate {
        let (role, authority) = (role.to_owned(), (self.file(), self.key()));
        blocking(move || Self::sign(&role, &authority)).await
    }

    fn make(constraints: &str) -> Self {
        let made = Self::begin(None, constraints);
        run(made.request().args(["-x509", "-days", "2", "-out", &made.file()]));
        made
    }

    fn sign(role: &str, (authority, key): &(String, String)) -> Self {
        let made = Self::begin(Some(role), "CA:FALSE");
        let (request, settings) = (made.path("request.pem"), made.path("openssl.cnf"));
        run(made.request().args(["-new", "-out", &request]));
        let mut openssl = made.folder.command(&programs::openssl());
        openssl.args(["x509", "-req", "-in", &request, "-CA", authority, "-CAkey", key]);
        openssl.args(["-set_serial", "2", "-days", "2", "-extfile", &settings]);
        run(openssl.args(["-extensions", "extensions", "-out", &made.file()]));
        made
    }

    /// Makes the folder, with the settings for OpenSSL. The certificate has the folder's name,
    /// which no other one has, unless it is named.
    fn begin(name: Option<&str>, constraints: &str) -> Self {
        let made = Self { folder: Folder::create() };
        let own = made.folder.path().file_name().and_then(OsStr::to_str);
        let name = name.or(own).expect("a temporary folder is named in UTF-8");
        let settings = configuration(name, constraints);
        fs::write(made.path("openssl.cnf"), settings).expect("the folder is ours");
        made
    }

    /// Returns the command that makes a key, and a certificate or a request for one.
    fn request(&self) -> Command {
        let mut openssl = self.folder.command(&programs::openssl());
        openssl.args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-config", &self.path("openssl.cnf"), "-keyout", &self.key()]);
        openssl
    }

    /// Returns the key's file as it stands in the query of a URL.
    pub fn key_in_url(&self) -> String {
        in_url(Path::new(&self.key()))
    }

    /// Returns the lines of the key that nobody else may see.
    ///
    /// # Panics
    ///
    /// If the file was removed.
    pub fn secrets(&self) -> Vec<String> {
        let key = fs::read_to_string(self.key()).expect("the folder is ours");
        key.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
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
fn configuration(name: &str, constraints: &str) -> String {
    format!(
        "[req]\n\
         distinguished_name = name\n\
         x509_extensions = extensions\n\
         prompt = no\n\
         [name]\n\
         CN = {name}\n\
         [extensions]\n\
         basicConstraints = critical, {constraints}\n\
         subjectAltName = IP:127.0.0.1\n"
    )
}
