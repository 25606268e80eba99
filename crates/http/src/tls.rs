//! TLS: a certificate and its key from files, which are read again when they change.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::log::log;
use crate::validity;

/// How often the files are looked at; with SIGHUP they are at once.
const LOOK: Duration = Duration::from_secs(10);
/// Bytes of a file of certificates, at most.
const BYTES_MAX: u64 = 1 << 20;

/// A server's certificate with its key.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
    /// What the files held when they were last read, good or not.
    seen: RwLock<Files>,
}

#[derive(Clone, PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key, both in PEM. One
    /// that is out of date is noted and taken.
    ///
    /// # Errors
    /// With the file and what is wrong with it.
    pub fn open(cert: &Path, key: &Path) -> Result<Self, String> {
        let files = Files::read(cert, key)?;
        let config = files.config(cert, key)?;
        let (cert, key) = (cert.to_path_buf(), key.to_path_buf());
        Ok(Self { cert, key, current: RwLock::new(Arc::new(config)), seen: RwLock::new(files) })
    }

    /// Begins to speak TLS.
    pub(crate) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Whether the first byte is a letter of HTTP's methods, not the beginning of TLS.
    pub(crate) async fn is_plain(&self, stream: &TcpStream) -> bool {
        let mut first = [0];
        matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase()
    }

    /// Takes the files' new content whenever they change; what is wrong is said, and the old stays.
    /// Never ends.
    pub(crate) async fn follow(tls: Option<Arc<Self>>) {
        let Some(tls) = tls else { return std::future::pending().await };
        #[cfg(unix)]
        let mut asked = {
            use tokio::signal::unix::{SignalKind, signal};
            signal(SignalKind::hangup()).ok()
        };
        loop {
            #[cfg(unix)]
            let hangup = async {
                match &mut asked {
                    Some(asked) => drop(asked.recv().await),
                    None => std::future::pending().await,
                }
            };
            #[cfg(not(unix))]
            let hangup = std::future::pending::<()>();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = hangup => {}
            }
            let tls = Arc::clone(&tls);
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    fn look(&self) {
        let files = match Files::read(&self.cert, &self.key) {
            Ok(files) => files,
            Err(e) => return log(format_args!("TLS goes on as before: {e}")),
        };
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if *seen == files {
            return;
        }
        match files.config(&self.cert, &self.key) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                log(format_args!("{}: the new certificate is used", self.cert.display()));
            }
            Err(e) => log(format_args!("TLS goes on as before: {e}")),
        }
        *seen = files;
    }
}

impl Files {
    fn read(cert: &Path, key: &Path) -> Result<Self, String> {
        let read = |path: &Path| {
            let mut bytes = Vec::new();
            let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let read = file.take(BYTES_MAX + 1).read_to_end(&mut bytes);
            read.map_err(|e| format!("{}: {e}", path.display()))?;
            match bytes.len() as u64 > BYTES_MAX {
                true => Err(format!("{}: is larger than {BYTES_MAX} bytes", path.display())),
                false => Ok(bytes),
            }
        };
        Ok(Self { cert: read(cert)?, key: read(key)? })
    }

    fn config(&self, cert: &Path, key: &Path) -> Result<ServerConfig, String> {
        let (cert, key) = (cert.display(), key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<_, _>>()
            .map_err(|e| format!("{cert}: is not PEM: {e}"))?;
        let Some(own) = chain.first() else {
            return Err(format!("{cert}: holds no certificate (-----BEGIN CERTIFICATE-----)"));
        };
        if let Some(valid) = validity::of(own) {
            let now =
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
            if now < valid.from {
                log(format_args!("{cert}: the certificate is not valid yet; clients refuse it"));
            } else if now > valid.until {
                log(format_args!("{cert}: the certificate has expired; clients refuse it"));
            }
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| match e {
            pem::Error::NoItemsFound => format!(
                "{key}: holds no private key in PEM; one with a password must be written without \
                 it first (openssl pkey)"
            ),
            e => format!("{key}: is not PEM: {e}"),
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|e| match e {
                rustls::Error::InconsistentKeys(_) => {
                    format!("{key}: is not the key of the certificate in {cert}")
                }
                rustls::Error::InvalidCertificate(e) => format!("{cert}: is no certificate: {e:?}"),
                e => format!("{key}: cannot be used with {cert}: {e}"),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
