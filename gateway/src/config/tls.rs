//! Reads `server.tls`, and what `server.cluster.tls` shares with it: certificate and key, from files or from the settings themselves. No mistake reported here shows
//! what was written: a key may stand where a path should.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::files;
use super::reader::Cursor;

/// Bytes that a certificate chain or a key may have.
const LONGEST: usize = 256 * 1024;

/// TLS on the public listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// Certificate and key.
    pub identity: Identity,
    /// Whether clients without TLS are refused.
    pub required: bool,
    /// The files that certificate and key were read from.
    pub files: Vec<PathBuf>,
}

/// A certificate chain and the private key that belongs to it.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// A certificate that was made for a key: what vouches for it follows it in `chain`.
    pub fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let provider = rustls::crypto::ring::default_provider();
        let key = provider.key_provider.load_private_key(key)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match()?;
        Ok(Self(Arc::new(certified)))
    }

    /// As rustls takes it.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }

    /// The certificate itself, before those that vouch for it.
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.0.cert.len())
    }
}

impl PartialEq for Identity {
    /// The key belongs to the first certificate, so certificates say it all.
    fn eq(&self, other: &Self) -> bool {
        self.0.cert == other.0.cert
    }
}

/// The section; `None` where a mistake was reported.
pub(super) fn read(cursor: &Cursor<'_>) -> Option<Tls> {
    let mut fields = cursor.fields()?;
    let (cert_at, key_at) = (fields.required("cert"), fields.required("key"));
    let required = match fields.take("required") {
        Some(cursor) => cursor.boolean(),
        None => Some(false),
    };
    fields.finish();
    let mut files = Vec::new();
    let identity = identity(cert_at.as_ref(), key_at.as_ref(), &mut files)?;
    Some(Tls {
        identity,
        required: required?,
        files,
    })
}

/// A certificate and its key; `files` learns where they were read from.
pub(super) fn identity(
    cert_at: Option<&Cursor<'_>>,
    key_at: Option<&Cursor<'_>>,
    files: &mut Vec<PathBuf>,
) -> Option<Identity> {
    // Both are looked at before either is given up, so that all mistakes come at once.
    let chain = cert_at.and_then(|at| certificates(at, files));
    let key_at = key_at?;
    let key = pem_text(key_at, files, |path| {
        key_at.warn(format!("every user of this machine may read {path}"));
    })
    .and_then(|text| private_key(key_at, &text));
    pair(key_at, chain?, key?)
}

/// One certificate or more.
pub(super) fn certificates(
    cursor: &Cursor<'_>,
    files: &mut Vec<PathBuf>,
) -> Option<Vec<CertificateDer<'static>>> {
    let text = pem_text(cursor, files, |_| {})?;
    read_certificates(cursor, &text)
}

/// PEM text from the settings or from the file that they name; `open` is told of a file that everyone may read.
fn pem_text(
    cursor: &Cursor<'_>,
    files: &mut Vec<PathBuf>,
    open: impl FnOnce(std::path::Display<'_>),
) -> Option<String> {
    let text = cursor.string()?;
    if text.trim_start().starts_with("-----BEGIN ") {
        return Some(text);
    }
    // Not a name of a file but a key without its first line, perhaps; it must not be shown.
    if text.contains('\n') || text.len() > 1024 {
        cursor.mistake("expected the path of a file, or PEM text that begins with -----BEGIN");
        return None;
    }
    let path = cursor.file_path()?;
    let contents = match files::read(&path, LONGEST) {
        Ok(contents) => contents,
        Err(why) => {
            let hint = || {
                let folder = cursor.sink.folder.display().to_string();
                let folder = if folder.is_empty() {
                    ".".to_owned()
                } else {
                    folder
                };
                Some(format!("a relative path begins at {folder}"))
            };
            cursor.report(format!("the file cannot be read: {why}"), hint);
            return None;
        }
    };
    if contents.open_to_all {
        open(path.display());
    }
    files.push(path);
    Some(contents.text)
}

fn read_certificates(cursor: &Cursor<'_>, text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(chain) if !chain.is_empty() => return Some(chain),
        Ok(_) if text.contains("PRIVATE KEY-----") => {
            cursor.report("there is no certificate in it, but a private key", || {
                Some("are cert and key swapped?".to_owned())
            });
        }
        Ok(_) => cursor.report("there is no certificate in it", || {
            Some("a certificate begins with -----BEGIN CERTIFICATE-----".to_owned())
        }),
        Err(_) => malformed(cursor),
    }
    None
}

fn private_key(cursor: &Cursor<'_>, text: &str) -> Option<PrivateKeyDer<'static>> {
    let mut has_certificate = false;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let Ok((kind, der)) = section else {
            malformed(cursor);
            return None;
        };
        has_certificate |= kind == SectionKind::Certificate;
        if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
            return Some(key);
        }
    }
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        cursor.report("the private key is locked with a password", || {
            Some("unlock it: openssl pkey -in locked.pem -out key.pem".to_owned())
        });
    } else if has_certificate {
        cursor.report("there is no private key in it, but a certificate", || {
            Some("are cert and key swapped?".to_owned())
        });
    } else {
        cursor.report("there is no private key in it", || {
            Some("a key begins with -----BEGIN PRIVATE KEY-----".to_owned())
        });
    }
    None
}

fn malformed(cursor: &Cursor<'_>) {
    cursor.mistake(
        "this is no well-formed PEM: what begins with -----BEGIN must end with -----END, with base64 between",
    );
}

/// Certificate and key together, if they belong together.
fn pair(
    key_at: &Cursor<'_>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Option<Identity> {
    let provider = rustls::crypto::ring::default_provider();
    let Ok(key) = provider.key_provider.load_private_key(key) else {
        key_at.report(
            "this kind of private key is not supported, or it is damaged",
            || {
                Some(
                    "use RSA with 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519"
                        .to_owned(),
                )
            },
        );
        return None;
    };
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            return Some(Identity(Arc::new(certified)));
        }
        Err(Error::InconsistentKeys(_)) => {
            key_at.report("this key does not belong to the certificate", || {
                Some("the first certificate in cert must be the server's own".to_owned())
            });
        }
        Err(error) => key_at.mistake(format!("the certificate cannot be used: {error}")),
    }
    None
}
