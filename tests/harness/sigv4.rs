//! A Signature Version 4 signer, written from AWS's description and independent of the gateway's verifier.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// An access key.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `AKIA…`.
    pub access_key_id: String,
    /// What only the two sides know.
    pub secret_access_key: String,
    /// What comes with temporary keys.
    pub session_token: Option<String>,
}

/// Signs requests for `execute-api`; each member can be set wrong on purpose.
#[derive(Debug, Clone)]
pub struct Signer {
    /// With what.
    pub credentials: Credentials,
    /// The scope's region.
    pub region: String,
    /// The scope's service.
    pub service: String,
    /// When.
    pub at: SystemTime,
}

impl Signer {
    /// A signer for `us-east-1` and now.
    pub fn new(access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            credentials: Credentials {
                access_key_id: access_key_id.to_owned(),
                secret_access_key: secret_access_key.to_owned(),
                session_token: None,
            },
            region: "us-east-1".to_owned(),
            service: "execute-api".to_owned(),
            at: SystemTime::now(),
        }
    }

    /// The headers that sign this request as boto3 does: `X-Amz-Date` and `Authorization`.
    pub fn sign(
        &self,
        method: &str,
        host: &str,
        raw_path: &str,
        body: &[u8],
    ) -> Vec<(String, String)> {
        let stamp = amz_date(self.at);
        let signed = self.signed_headers();
        let scope = self.scope(&stamp[..8]);
        let to_sign = self.string_to_sign(&self.canonical(method, host, raw_path, body));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={}",
            self.credentials.access_key_id,
            self.signature(&to_sign),
        );
        let mut headers = vec![
            ("X-Amz-Date".to_owned(), stamp),
            ("Authorization".to_owned(), authorization),
        ];
        if let Some(token) = &self.credentials.session_token {
            headers.push(("X-Amz-Security-Token".to_owned(), token.clone()));
        }
        headers
    }

    /// The query that signs this request, as a URL that may be handed on for so many seconds.
    pub fn presign(
        &self,
        method: &str,
        host: &str,
        raw_path: &str,
        body: &[u8],
        expires: u64,
    ) -> String {
        let stamp = amz_date(self.at);
        let scope = self.scope(&stamp[..8]);
        let credential = format!("{}/{scope}", self.credentials.access_key_id).replace('/', "%2F");
        let token = self.credentials.session_token.as_ref();
        let token = token.map_or_else(String::new, |t| format!("&X-Amz-Security-Token={t}"));
        // Sorted by name, as it is signed.
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={stamp}&X-Amz-Expires={expires}{token}&X-Amz-SignedHeaders=host"
        );
        let canonical = format!(
            "{method}\n{}\n{query}\nhost:{host}\n\nhost\n{}",
            encode_path(raw_path),
            hex(&Sha256::digest(body)),
        );
        let signature = self.signature(&self.string_to_sign(&canonical));
        format!("{query}&X-Amz-Signature={signature}")
    }

    /// What is hashed: the canonical request.
    pub fn canonical(&self, method: &str, host: &str, raw_path: &str, body: &[u8]) -> String {
        let token = self.credentials.session_token.as_ref();
        let token = token.map_or_else(String::new, |t| format!("x-amz-security-token:{t}\n"));
        format!(
            "{method}\n{}\n\nhost:{host}\nx-amz-date:{}\n{token}\n{}\n{}",
            encode_path(raw_path),
            amz_date(self.at),
            self.signed_headers(),
            hex(&Sha256::digest(body)),
        )
    }

    /// What is signed.
    pub fn string_to_sign(&self, canonical: &str) -> String {
        let stamp = amz_date(self.at);
        let scope = self.scope(&stamp[..8]);
        let hash = hex(&Sha256::digest(canonical));
        format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hash}")
    }

    fn scope(&self, date: &str) -> String {
        format!("{date}/{}/{}/aws4_request", self.region, self.service)
    }

    fn signature(&self, to_sign: &str) -> String {
        let stamp = amz_date(self.at);
        let secret = format!("AWS4{}", self.credentials.secret_access_key);
        let key = [&stamp[..8], &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(secret.into_bytes(), |key, part| mac(&key, part));
        hex(&mac(&key, to_sign))
    }

    fn signed_headers(&self) -> &'static str {
        match self.credentials.session_token {
            None => "host;x-amz-date",
            Some(_) => "host;x-amz-date;x-amz-security-token",
        }
    }
}

/// Every byte that is neither unreserved nor a slash, encoded once more than it already is.
fn encode_path(raw: &str) -> String {
    let mut encoded = String::new();
    for byte in raw.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `20241111T134546Z`.
fn amz_date(at: SystemTime) -> String {
    let seconds = at
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Days to a civil date, counted in 400-year eras that begin on 1 March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}
