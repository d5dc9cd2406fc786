//! Who may ask: TLS, and a token out of a file.
//!
//! Promises: beyond loopback nothing is told in the clear or to a stranger. A secret that everybody on the machine can read is
//! refused.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::AgentError;
use crate::digest::Digest;

/// Fewest characters of a token; 32 random bytes in hexadecimal digits have 64.
pub(super) const SHORTEST_TOKEN: usize = 16;

/// The files that a person names.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub token: Option<PathBuf>,
}

/// A certificate, its key, and what is spoken with them.
pub(super) type Tls = Arc<ServerConfig>;

/// How requests are let in.
#[derive(Clone)]
pub struct Access {
    pub(super) tls: Option<Tls>,
    pub(super) token: Option<Token>,
    /// Only this machine can reach it.
    pub(super) is_local: bool,
}

impl Access {
    /// What the address is, as a person types it into a browser.
    pub fn url(&self, listen: SocketAddr) -> String {
        format!("{}://{listen}", if self.tls.is_some() { "https" } else { "http" })
    }
}

/// A token, of which only the digest is kept: comparing digests tells nothing about how much of a guess was right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token(Digest);

impl Token {
    /// Whether an `Authorization` header brings it: as `Bearer`, or as the password of `Basic`, which is what browsers ask
    /// for.
    pub(super) fn is_in(self, header: &str) -> bool {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        let fits = |guess: &[u8]| Digest::of_bytes(guess) == self.0;
        if scheme.eq_ignore_ascii_case("bearer") {
            return fits(rest.trim().as_bytes());
        }
        let pair = BASE64_STANDARD.decode(rest.trim()).unwrap_or_default();
        let password = pair.splitn(2, |&byte| byte == b':').nth(1);
        scheme.eq_ignore_ascii_case("basic") && password.is_some_and(fits)
    }
}

/// Reads the files, and refuses to be open to other machines.
pub fn access(listen: SocketAddr, files: &Files) -> Result<Access, AgentError> {
    let tls = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => Some(Arc::new(tls(certificate, key)?)),
        (None, None) => None,
        _ => return Err(AgentError::HalfTls),
    };
    let token = files.token.as_deref().map(token).transpose()?;
    let is_local = listen.ip().to_canonical().is_loopback();
    let missing: Vec<&str> = [
        (tls.is_none(), "give a certificate with --tls-cert and --tls-key"),
        (token.is_none(), "a token with --token-file"),
    ]
    .into_iter()
    .filter_map(|(lacks, words)| lacks.then_some(words))
    .collect();
    if !is_local && !missing.is_empty() {
        return Err(AgentError::Open { listen, missing: missing.join(", ") });
    }
    Ok(Access { tls, token, is_local })
}

fn token(path: &Path) -> Result<Token, AgentError> {
    let text = String::from_utf8_lossy(&secret(path)?).trim().to_owned();
    match text.chars().count() {
        length if length < SHORTEST_TOKEN => Err(AgentError::ShortToken { path: path.to_owned(), length }),
        _ => Ok(Token(Digest::of_bytes(text.as_bytes()))),
    }
}

/// A file that not everybody can read.
fn secret(path: &Path) -> Result<Vec<u8>, AgentError> {
    let failed = |cause| AgentError::File { what: "read", path: path.to_owned(), cause };
    if fs::metadata(path).map_err(failed)?.mode() & 0o007 != 0 {
        return Err(AgentError::Bare { path: path.to_owned() });
    }
    fs::read(path).map_err(failed)
}

fn tls(certificate: &Path, key: &Path) -> Result<ServerConfig, AgentError> {
    let pem = |what, path: &Path| {
        let path = path.to_owned();
        move |cause: rustls::pki_types::pem::Error| AgentError::Pem { what, path, cause: cause.to_string() }
    };
    let failed = |cause| AgentError::File { what: "read", path: certificate.to_owned(), cause };
    let chain = CertificateDer::pem_slice_iter(&fs::read(certificate).map_err(failed)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem("certificate", certificate))?;
    let key_text = secret(key)?;
    let key = PrivateKeyDer::from_pem_slice(&key_text).map_err(pem("private key", key))?;
    let wrong = |error: rustls::Error| AgentError::Tls(error.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(wrong)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_as_bearer_and_as_a_password() {
        let token = Token(Digest::of_bytes(b"0123456789abcdef"));
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        for right in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef ", &basic("me:0123456789abcdef")] {
            assert!(token.is_in(right), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer 0123456789abcde",
            "0123456789abcdef",
            &basic("0123456789abcdef"),
            "Basic ?",
        ] {
            assert!(!token.is_in(wrong), "{wrong}");
        }
    }

    #[test]
    fn beyond_loopback_tls_and_a_token_are_required() {
        let listen = |text: &str| access(text.parse().unwrap(), &Files::default());
        for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(listen(local).is_ok_and(|access| access.is_local), "{local}");
        }
        for open in ["0.0.0.0:1", "192.0.2.1:1", "[::]:1", "[2001:db8::1]:1"] {
            let error = listen(open).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("--tls-cert") && error.contains("--token-file"), "{open}: {error}");
        }
    }

    #[test]
    fn a_token_that_is_short_or_bare_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let ask = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            let files = Files { token: Some(path.clone()), ..Files::default() };
            access("127.0.0.1:1".parse().unwrap(), &files).map(drop)
        };
        assert!(ask("0123456789abcdef\n", 0o600).is_ok());
        assert!(matches!(ask("0123456789abcdef", 0o644), Err(AgentError::Bare { .. })));
        assert!(matches!(ask("short\n", 0o600), Err(AgentError::ShortToken { length: 5, .. })));
    }
}
