//! TLS of the servers.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use budwood_http::Tls;

#[derive(clap::Args)]
pub(crate) struct TlsArgs {
    /// Certificate to speak TLS with, in PEM: the server's own first, then those above it. Both
    /// files are read again when they change, and at SIGHUP.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// Reads the certificate, if one is given.
    pub(crate) fn open(&self) -> Result<Option<Tls>> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        Tls::open(cert, key).map(Some).map_err(|e| anyhow!("--tls-cert, --tls-key: {e}"))
    }

    /// The scheme of the server's address.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() { "https" } else { "http" }
    }
}
