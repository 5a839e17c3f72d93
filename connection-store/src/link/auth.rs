//! How two nodes convince each other that both know the cluster's secret, and how each batch afterwards proves that it is the
//! next one of this connection.
//!
//! ```text
//! asker   hello      magic and version (8)  own id (6)  id it means (6)  nonce (32)
//! server  challenge  magic and version (8)  nonce (32)
//! asker   proof      HMAC under the secret over a label, hello and challenge (32)
//! server  proof      the same with another label (32)
//! ```
//!
//! The asker proves first: whoever can reach the port learns nothing that was computed from the secret. Labels differ by
//! direction, so that a proof sent back to its author proves nothing; ids and both nonces are in it, so that it is worth nothing to
//! another node or at another time. No order leaves before the server's proof: a false address would get no byte of one.

use std::io;

use gateway_core::id::NodeId;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::key::{ClusterKey, keyed};

/// The last byte is the version. Nodes of different versions refuse each other and take the other road.
const MAGIC: [u8; 8] = *b"wglink\0\x01";
const NONCE: usize = 32;
const HELLO: usize = MAGIC.len() + 2 * NodeId::BYTES + NONCE;
const CHALLENGE: usize = MAGIC.len() + NONCE;

/// Length of the code behind each batch, in bytes.
pub(super) const TAG: usize = 16;

/// Makes or checks the codes of one direction of one connection. Each covers the number of its batch, so that nothing can be
/// repeated, left out or turned round; the number itself need not travel.
pub(super) struct Seal {
    key: Hmac<Sha256>,
    number: u64,
}

/// What both directions of a connection are sealed with.
pub(super) struct Seals {
    pub(super) inbound: Seal,
    pub(super) outbound: Seal,
}

impl Seal {
    fn new(key: [u8; 32]) -> Self {
        Self {
            key: keyed(&key),
            number: 0,
        }
    }

    fn next(&mut self, parts: [&[u8]; 3]) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(&self.number.to_be_bytes());
        for part in parts {
            mac.update(part);
        }
        self.number += 1;
        mac
    }

    /// The code of the next batch.
    pub(super) fn tag(&mut self, parts: [&[u8]; 3]) -> [u8; TAG] {
        let whole: [u8; 32] = self.next(parts).finalize().into_bytes().into();
        let mut tag = [0; TAG];
        tag.copy_from_slice(&whole[..TAG]);
        tag
    }

    /// Whether this is the next batch, as the other side made it.
    pub(super) fn admits(&mut self, batch: &[u8], tag: &[u8]) -> bool {
        tag.len() == TAG
            && self
                .next([batch, &[], &[]])
                .verify_truncated_left(tag)
                .is_ok()
    }
}

/// All that both sides said before their proofs.
struct Said {
    hello: [u8; HELLO],
    challenge: [u8; CHALLENGE],
}

impl Said {
    fn derive(&self, key: &ClusterKey, label: &[u8]) -> [u8; 32] {
        key.derive(&[label, &self.hello, &self.challenge])
    }

    fn asker_proof(&self, key: &ClusterKey) -> [u8; 32] {
        self.derive(key, b"wiregate link: proof of the asker")
    }

    fn server_proof(&self, key: &ClusterKey) -> [u8; 32] {
        self.derive(key, b"wiregate link: proof of the server")
    }

    fn orders(&self, key: &ClusterKey) -> Seal {
        Seal::new(self.derive(key, b"wiregate link: orders"))
    }

    fn answers(&self, key: &ClusterKey) -> Seal {
        Seal::new(self.derive(key, b"wiregate link: answers"))
    }
}

/// The asker's side of the opening.
pub(super) async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    key: &ClusterKey,
    (own, other): (NodeId, NodeId),
    nonce: [u8; NONCE],
) -> io::Result<Seals> {
    let mut hello = [0; HELLO];
    hello[..8].copy_from_slice(&MAGIC);
    hello[8..14].copy_from_slice(&own.0);
    hello[14..20].copy_from_slice(&other.0);
    hello[20..].copy_from_slice(&nonce);
    send(stream, &hello).await?;
    let mut challenge = [0; CHALLENGE];
    stream.read_exact(&mut challenge).await?;
    if challenge[..8] != MAGIC {
        return Err(refusal("it is no Wiregate, or one of another version"));
    }
    let said = Said { hello, challenge };
    send(stream, &said.asker_proof(key)).await?;
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await?;
    if !bool::from(proof.ct_eq(&said.server_proof(key))) {
        return Err(refusal("it does not know the cluster's secret"));
    }
    Ok(Seals {
        inbound: said.answers(key),
        outbound: said.orders(key),
    })
}

/// The server's side of the opening: who asks. Reads a fixed number of bytes and no more.
pub(super) async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    key: &ClusterKey,
    own: NodeId,
    nonce: [u8; NONCE],
) -> io::Result<(NodeId, Seals)> {
    let mut hello = [0; HELLO];
    stream.read_exact(&mut hello).await?;
    if hello[..8] != MAGIC {
        return Err(refusal("it is no Wiregate, or one of another version"));
    }
    if hello[14..20] != own.0 {
        return Err(refusal("it means another node"));
    }
    let mut challenge = [0; CHALLENGE];
    challenge[..8].copy_from_slice(&MAGIC);
    challenge[8..].copy_from_slice(&nonce);
    send(stream, &challenge).await?;
    let said = Said { hello, challenge };
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await?;
    if !bool::from(proof.ct_eq(&said.asker_proof(key))) {
        return Err(refusal("it does not know the cluster's secret"));
    }
    send(stream, &said.server_proof(key)).await?;
    let mut from = NodeId([0; NodeId::BYTES]);
    from.0.copy_from_slice(&hello[8..14]);
    let seals = Seals {
        inbound: said.orders(key),
        outbound: said.answers(key),
    };
    Ok((from, seals))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn refusal(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
