//! The local authority: a certificate authority of this user's own, made once, that vouches for the public listener of `wiregate dev`. Nobody
//! trusts it who is not told to; the functions are told.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::config::Identity;

/// How long the authority lasts, and how long before its end another takes its place.
const LIFE: Duration = Duration::days(5 * 365);
const RENEWED_BEFORE: Duration = Duration::days(90);
/// How long a certificate lasts; one is made at each start. Browsers take no more than 398 days.
const LEAF_LIFE: Duration = Duration::days(365);
/// Clocks differ.
const SKEW: Duration = Duration::days(1);

/// One file, so that key and certificate always belong together.
const FILE: &str = "authority.json";
/// The certificate alone, for whoever is to trust it.
const CERTIFICATE: &str = "ca.pem";
/// All that functions trust.
const BUNDLE: &str = "trust.pem";

/// The authority with its key.
pub struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    folder: PathBuf,
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    certificate: String,
    key: String,
    /// Seconds since 1970.
    not_after: i64,
}

impl Authority {
    /// The authority that is kept in a folder, made where there is none or its end is near. `now` in seconds since 1970.
    pub fn open(folder: &Path, now: i64) -> Result<Self, String> {
        let at = |what: &str, error: &dyn fmt::Display| {
            format!(
                "the local authority cannot be {what} in {}: {error}",
                folder.display()
            )
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| at("kept", &error))?;
        let file = folder.join(FILE);
        let kept = match read(&file).map_err(|error| at("read", &error))? {
            Some(kept) if kept.not_after > now + RENEWED_BEFORE.whole_seconds() => kept,
            old => {
                let new = make(now).map_err(|error| at("made", &error))?;
                keep(&file, &new, old.is_some()).map_err(|error| at("kept", &error))?;
                // Another process may have been quicker; then there is one authority, and it is that one's.
                let kept = read(&file).map_err(|error| at("read", &error))?;
                kept.ok_or_else(|| at("read", &"it has vanished"))?
            }
        };
        let broken = |error: &dyn fmt::Display| {
            format!(
                "{} is damaged ({error}); remove it, and another is made",
                file.display()
            )
        };
        let key = PrivateKeyDer::from_pem_slice(kept.key.as_bytes());
        let key = key.map_err(|error| broken(&error))?;
        let key = KeyPair::try_from(&key).map_err(|error| broken(&error))?;
        let certificate = CertificateDer::from_pem_slice(kept.certificate.as_bytes());
        let certificate = certificate.map_err(|error| broken(&error))?;
        write_if_changed(&folder.join(CERTIFICATE), &kept.certificate)
            .map_err(|error| at("kept", &error))?;
        Ok(Self {
            key,
            certificate,
            folder: folder.to_owned(),
        })
    }

    /// The file with its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// A certificate for these names and addresses, with a key of its own.
    pub fn issue(&self, names: &BTreeSet<String>, now: i64) -> Result<Identity, String> {
        let make = || {
            let mut params = CertificateParams::default();
            for name in names {
                params.subject_alt_names.push(match name.parse::<IpAddr>() {
                    Ok(address) => SanType::IpAddress(address),
                    Err(_) => SanType::DnsName(name.as_str().try_into()?),
                });
            }
            params.distinguished_name = distinguished("Wiregate on this machine");
            params.not_before = moment(now) - SKEW;
            params.not_after = moment(now) + LEAF_LIFE;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate()?;
            let issuer = Issuer::new(authority_params(now), &self.key);
            let certificate = params.signed_by(&key, &issuer)?;
            Ok::<_, rcgen::Error>((certificate.der().clone(), key))
        };
        let (certificate, key) =
            make().map_err(|error| format!("no certificate can be made: {error}"))?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| format!("no key can be made: {error}"))?;
        Identity::of(vec![certificate, self.certificate.clone()], key)
            .map_err(|error| format!("the certificate that was made cannot be used: {error}"))
    }

    /// Writes a file with the authorities of the system, those of further files, and this one; its path, and what could not be read.
    pub fn bundle(&self, further: &[PathBuf]) -> Result<(PathBuf, Vec<String>), String> {
        let system = rustls_native_certs::load_native_certs();
        let mut complaints: Vec<String> = Vec::new();
        let mut text = pem("CERTIFICATE", &self.certificate);
        for certificate in &system.certs {
            text.push_str(&pem("CERTIFICATE", certificate));
        }
        for file in further {
            match CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            {
                Ok(certificates) => {
                    for certificate in certificates {
                        text.push_str(&pem("CERTIFICATE", &certificate));
                    }
                }
                Err(error) => complaints.push(format!("{}: {error}", file.display())),
            }
        }
        let path = self.folder.join(BUNDLE);
        write_if_changed(&path, &text)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok((path, complaints))
    }
}

fn moment(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn distinguished(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "Wiregate");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The same each time but for the dates, so an issuer can be made of the key alone.
fn authority_params(now: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name = distinguished("Wiregate local authority");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment(now) - SKEW;
    params.not_after = moment(now) + LIFE;
    params
}

fn make(now: i64) -> Result<Kept, rcgen::Error> {
    let key = KeyPair::generate()?;
    let private = pem("PRIVATE KEY", key.serialized_der());
    let issuer = CertifiedIssuer::self_signed(authority_params(now), key)?;
    Ok(Kept {
        certificate: pem("CERTIFICATE", issuer.der()),
        key: private,
        not_after: (moment(now) + LIFE).unix_timestamp(),
    })
}

fn read(file: &Path) -> io::Result<Option<Kept>> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            io::Error::other(format!(
                "{FILE} is damaged ({error}); remove it, and another is made"
            ))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts it in its place whole. Where none was before, the first of several processes wins.
fn keep(file: &Path, kept: &Kept, replace: bool) -> io::Result<()> {
    let text = serde_json::to_string_pretty(kept).map_err(io::Error::other)?;
    let new = beside(file);
    write_private(&new, &text)?;
    let placed = if replace {
        fs::rename(&new, file)
    } else {
        match fs::hard_link(&new, file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    };
    let _ = fs::remove_file(&new);
    placed
}

fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(file);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A name beside a file that no other process uses.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    PathBuf::from(name)
}

fn write_if_changed(file: &Path, text: &str) -> io::Result<()> {
    if fs::read(file).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let new = beside(file);
    fs::write(&new, text)?;
    fs::rename(&new, file)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem + "-----END " + label + "-----\n"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Whether a client that trusts the file takes the certificate for a name, so long after it was made.
    fn trusts(roots: &Path, identity: &Identity, name: &str, after: Duration) -> bool {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(roots).unwrap() {
            let _ = store.add(certificate.unwrap());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
        let verifier = verifier.build().unwrap();
        let certified = identity.certified();
        let seconds = u64::try_from(NOW + after.whole_seconds()).unwrap();
        let checked = verifier.verify_server_cert(
            &certified.cert[0],
            &certified.cert[1..],
            &ServerName::try_from(name.to_owned()).unwrap(),
            &[],
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
        );
        checked.is_ok()
    }

    #[test]
    fn it_vouches_for_the_names_it_was_asked_for_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), NOW).unwrap();
        let asked = names(&["localhost", "127.0.0.1", "::1", "*.execute-api.localhost"]);
        let identity = authority.issue(&asked, NOW).unwrap();
        let root = authority.certificate();
        for name in ["localhost", "127.0.0.1", "::1", "abc.execute-api.localhost"] {
            assert!(trusts(&root, &identity, name, Duration::ZERO), "{name}");
        }
        for name in ["example.com", "127.0.0.2", "a.b.execute-api.localhost"] {
            assert!(!trusts(&root, &identity, name, Duration::ZERO), "{name}");
        }
        assert!(trusts(&root, &identity, "localhost", Duration::days(364)));
        assert!(!trusts(&root, &identity, "localhost", Duration::days(366)));
    }

    #[test]
    fn it_is_made_once_and_renewed_before_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = |now: i64| {
            let authority = Authority::open(folder.path(), now).unwrap();
            let identity = authority.issue(&names(&["localhost"]), now).unwrap();
            let root = authority.certificate();
            let age = Duration::seconds(now - NOW);
            assert!(trusts(&root, &identity, "localhost", age));
            fs::read_to_string(root).unwrap()
        };
        let first = certificate(NOW);
        assert_eq!(certificate(NOW + 86_400), first);
        let near = NOW + (LIFE - RENEWED_BEFORE).whole_seconds() + 1;
        assert_ne!(certificate(near), first);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn only_its_user_may_read_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state/wiregate");
        Authority::open(&state, NOW).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.join(FILE)), 0o600);
        assert_eq!(mode(&state), 0o700);
        let public = fs::read_to_string(state.join(CERTIFICATE)).unwrap();
        assert!(!public.contains("PRIVATE"));
    }

    #[test]
    fn processes_that_start_together_have_one_authority() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let authority = Authority::open(folder.path(), NOW).unwrap();
            authority.certificate.to_vec()
        };
        let kept = |kept: &Kept| keep(&folder.path().join(FILE), kept, false);
        kept(&make(NOW).unwrap()).unwrap();
        let first = open();
        kept(&make(NOW).unwrap()).unwrap();
        assert_eq!(open(), first);
    }

    #[test]
    fn a_damaged_file_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["{", r#"{"certificate":"","key":"","notAfter":9999999999}"#] {
            fs::write(folder.path().join(FILE), text).unwrap();
            let said = Authority::open(folder.path(), NOW).unwrap_err();
            assert!(said.contains("remove it"), "{said}");
        }
    }

    #[test]
    fn a_bundle_has_the_systems_roots_further_files_and_the_authority() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let authority = Authority::open(&at("own"), NOW).unwrap();
        let other = Authority::open(&at("other"), NOW).unwrap();
        let further = [other.certificate(), at("missing.pem")];
        let (bundle, complaints) = authority.bundle(&further).unwrap();
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        for authority in [&authority, &other] {
            let identity = authority.issue(&names(&["localhost"]), NOW).unwrap();
            assert!(trusts(&bundle, &identity, "localhost", Duration::ZERO));
        }
        let system = rustls_native_certs::load_native_certs().certs.len();
        let all = CertificateDer::pem_file_iter(&bundle).unwrap().count();
        assert_eq!(all, system + 2);
    }
}
