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
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::tls;
use crate::key::ClusterKey;
use crate::seal::{Cipher, TAG};

/// The last byte is the version. Nodes of different versions refuse each other and take the other road.
const MAGIC: [u8; 8] = *b"wglink\0\x01";
const NONCE: usize = 32;
const HELLO: usize = MAGIC.len() + 2 * NodeId::BYTES + NONCE;
const CHALLENGE: usize = MAGIC.len() + NONCE;

/// Hides and signs, or checks and reveals, the batches of one direction of one connection. Each counts with its number, so that nothing
/// can be repeated, left out or turned round; the number itself need not travel.
pub(super) struct Seal {
    cipher: Cipher,
    number: u64,
}

/// What both directions of a connection are sealed with.
pub(super) struct Seals {
    pub(super) inbound: Seal,
    pub(super) outbound: Seal,
}

impl Seal {
    /// The key must be of this direction of this connection alone.
    fn new(key: [u8; 32]) -> Self {
        Self {
            cipher: Cipher::new(key),
            number: 0,
        }
    }

    fn next(&mut self) -> u64 {
        let number = self.number;
        self.number += 1;
        number
    }

    /// Hides the frames of the next batch, and makes the code that stands behind them.
    pub(super) fn close(&mut self, length: &[u8], frames: &mut [u8]) -> [u8; TAG] {
        let number = self.next();
        self.cipher.close(number, length, frames)
    }

    /// Reveals the frames, which their code follows: false where this is not the next batch as the other side made it.
    pub(super) fn open(&mut self, length: &[u8], sealed: &mut [u8]) -> bool {
        let number = self.next();
        self.cipher.open(number, length, sealed)
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
    // What is no challenge may be shorter.
    let (first, rest) = challenge.split_at_mut(1);
    stream.read_exact(first).await.map_err(tls::explain)?;
    if first[0] == tls::ALERT {
        return Err(refusal("it speaks TLS only, this node without it"));
    }
    stream.read_exact(rest).await?;
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
    if hello[0] == tls::HANDSHAKE {
        return Err(refusal("it speaks TLS only, this node without it"));
    }
    if hello[..8] != MAGIC {
        return Err(refusal("it is no Wiregate, or one of another version"));
    }
    if hello[14..20] != own.0 {
        // Usual for a while where another node has come to the address of one that is gone.
        let why = "it means another node";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
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

pub(super) fn refusal(why: impl Into<String>) -> io::Error {
    let why: String = why.into();
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
