//! `server.cluster.tls`: what only the certificate itself can have wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};

use super::*;

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "nodes");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A node with a certificate for 127.0.0.1 and 10.0.0.1, `change`d.
fn node(
    issuer: &CertifiedIssuer<'_, KeyPair>,
    change: impl FnOnce(&mut CertificateParams),
) -> String {
    let names = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, issuer).unwrap();
    let text = |label: &str, der: &[u8]| {
        let base64 = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n        {base64}\n        -----END {label}-----")
    };
    format!(
        "server:\n  store: redis://h\n  nodeListen: '[::1]:0'\n  cluster:\n    secret: 0123456789abcdef0123456789abcdef\n    \
         tls:\n      cert: |\n        {}\n      key: |\n        {}\n      ca: |\n        {}\n",
        text("CERTIFICATE", cert.der()),
        text("PRIVATE KEY", &key.serialize_der()),
        text("CERTIFICATE", issuer.der())
    )
}

#[test]
fn a_certificate_must_be_for_both_ends() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let issuer = issuer();
    let with = |purposes: &[ExtendedKeyUsagePurpose]| {
        let purposes = purposes.to_vec();
        complaints(&node(&issuer, |params| {
            params.extended_key_usages = purposes;
        }))
    };
    assert_eq!(with(&[]), "");
    assert_eq!(with(&[ServerAuth, ClientAuth]), "");
    for (purpose, words) in [
        (ServerAuth, "is not for a node that connects to others"),
        (ClientAuth, "is not for a node that listens to others"),
    ] {
        let found = with(&[purpose]);
        assert!(
            found.contains(words) && found.contains("serverAuth and clientAuth"),
            "{found}"
        );
    }
}

#[test]
fn time_alone_makes_no_mistake_but_a_warning() {
    let old = node(&issuer(), |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let loaded = load_text(&old).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("has expired")),
        "{warnings:?}"
    );
}
