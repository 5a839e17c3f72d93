//! The records of one TLS connection: what was received and makes none yet, what is sealed and not taken yet.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustls::ServerConfig;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use tokio::net::TcpStream;

/// Plaintext of one record (RFC 8446 §5.1: at most 2^14 bytes).
const RECORD: usize = 16 * 1024;
/// Room for one record sealed, and for what the protocol may put before it.
const SEALED: usize = RECORD + 4096;
/// Bytes read at once. With it in hand no handshake message can be longer, and none that is meant for us is.
const SCRATCH: usize = 64 * 1024;
/// Bytes of unfinished records that a connection may make us keep once it is open (RFC 5246 §6.2.3: a record is at
/// most 2^14 + 2048 bytes and its head).
const KEPT: usize = RECORD + 4096;

thread_local! {
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
    static OUTGOING: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEALED].into());
}

/// What belongs to one connection. Every method that takes the socket takes the connection's own.
pub(super) struct Records {
    tls: UnbufferedServerConnection,
    /// Received, but not a whole record yet.
    pub(super) received: Vec<u8>,
    /// `received` was handed in and nobody looked at it yet.
    unseen: bool,
    /// Decrypted, but for lack of room not read yet.
    pub(super) plain: Vec<u8>,
    /// Sealed, but not taken by the socket yet; the first `sent` bytes of it are.
    pub(super) unsent: Vec<u8>,
    sent: usize,
    /// So many bytes of the frame that is being written stand sealed in `unsent`.
    covered: usize,
    moved: bool,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The client ended its side.
    ByPeer,
    /// The protocol was broken; nothing can be read or written any more.
    Failed,
}

/// Where decrypted bytes go: to the reader as far as there is room, the rest is kept.
struct Sink<'a> {
    into: &'a mut [u8],
    filled: usize,
    rest: &'a mut Vec<u8>,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let room = &mut self.into[self.filled..];
        let n = bytes.len().min(room.len());
        room[..n].copy_from_slice(&bytes[..n]);
        self.filled += n;
        self.rest.extend_from_slice(&bytes[n..]);
    }
}

impl Records {
    /// The server's side, before the first record is looked at.
    pub(super) fn new(config: Arc<ServerConfig>, received: Vec<u8>) -> io::Result<Self> {
        Ok(Self {
            tls: UnbufferedServerConnection::new(config).map_err(broken)?,
            unseen: !received.is_empty(),
            received,
            plain: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            covered: 0,
            moved: false,
            ended: None,
        })
    }

    /// True where reading gives something without a look at the socket.
    pub(super) fn has_news(&self) -> bool {
        self.unseen || !self.plain.is_empty() || self.ended.is_some()
    }

    /// Reads what is there: 0 at the end, `WouldBlock` where nothing is.
    pub(super) fn read(&mut self, socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        // It ends: what makes no message costs the peer bytes of a record, or is of a kind that rustls counts.
        loop {
            if let Some(read) = self.read_known(into)? {
                return Ok(read);
            }
            let read =
                INCOMING.with_borrow_mut(|scratch| self.read_socket(socket, scratch, into))?;
            if read > 0 {
                return Ok(read);
            }
        }
    }

    /// Writes some of `bytes`: at most one record, of which a part may wait here afterwards.
    pub(super) fn write_some(&mut self, socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.flush(socket)?;
        let n = bytes.len().min(RECORD);
        match self.seal(socket, &bytes[..n]) {
            // The record is ours now, taken or not.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(n),
            Err(error) => Err(error),
            Ok(()) => Ok(n),
        }
    }

    /// Writes a frame; the bytes of a record leave it when the socket took all of the record.
    pub(super) fn write_frame(&mut self, socket: &TcpStream, frame: &mut Bytes) -> io::Result<()> {
        loop {
            self.flush(socket)?;
            let sealed = std::mem::take(&mut self.covered).min(frame.len());
            frame.advance(sealed);
            if frame.is_empty() {
                return Ok(());
            }
            let n = frame.len().min(RECORD);
            match self.seal(socket, &frame[..n]) {
                Ok(()) => frame.advance(n),
                Err(error) => {
                    // On any other error nothing was sealed that could still go out.
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.covered = n;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// True where the socket took bytes since this was last asked.
    pub(super) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// What needs no look at the socket: bytes that are known already, or the end.
    fn read_known(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.plain.is_empty() {
            let n = self.plain.len().min(into.len());
            into[..n].copy_from_slice(&self.plain[..n]);
            self.plain.drain(..n);
            if self.plain.is_empty() {
                self.plain = Vec::new();
            }
            return Ok(Some(n));
        }
        match self.ended {
            None => Ok(None),
            Some(Ended::ByPeer) => Ok(Some(0)),
            Some(Ended::Failed) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// One read of the socket, decrypted: 0 where it made up no message, and where the end came with it.
    fn read_socket(
        &mut self,
        socket: &TcpStream,
        scratch: &mut [u8],
        into: &mut [u8],
    ) -> io::Result<usize> {
        let kept = self.received.len();
        let Some(room) = scratch.get_mut(kept..).filter(|room| !room.is_empty()) else {
            return Err(self.fail("a handshake message is too long"));
        };
        let mut read = 0;
        if !std::mem::take(&mut self.unseen) {
            read = socket.try_read(room)?;
            if read == 0 {
                self.ended = Some(Ended::ByPeer);
                return Ok(0);
            }
        }
        scratch[..kept].copy_from_slice(&self.received);
        let decrypted = self.decrypt(&mut scratch[..kept + read], into);
        // What the protocol answers goes out at once, as far as it can.
        match self.flush(socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => decrypted.and(Err(error)),
            _ => decrypted,
        }
    }

    /// What `incoming` says, which begins with what was kept of earlier bytes; what makes no record yet is kept.
    pub(super) fn decrypt(&mut self, incoming: &mut [u8], into: &mut [u8]) -> io::Result<usize> {
        self.received = Vec::new();
        let mut rest = std::mem::take(&mut self.plain);
        let mut sink = Sink {
            into,
            filled: 0,
            rest: &mut rest,
        };
        let taken = self.take_in(incoming, &mut sink);
        let filled = sink.filled;
        self.plain = rest;
        match taken {
            // What came before the fault is delivered first.
            Err(_) if filled > 0 => return Ok(filled),
            Err(error) => return Err(broken(error)),
            Ok(_) if self.ended.is_some() => {}
            Ok(used) => {
                let left = &incoming[used..];
                if left.len() > KEPT && !self.tls.is_handshaking() {
                    return Err(self.fail("a record is too long"));
                }
                self.received = left.to_vec();
            }
        }
        Ok(filled)
    }

    /// Goes through the records in `incoming`; what is left behind the returned length must be given again.
    fn take_in(
        &mut self,
        incoming: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> Result<usize, rustls::Error> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.tls.process_tls_records(&mut incoming[used..]);
            let mut done = false;
            let mut failed = None;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                sink.put(record.payload);
                            }
                            Err(error) => failed = Some(error),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.unsent),
                // It stands in `unsent`, which is written before anything else.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.ended = Some(Ended::ByPeer);
                    done = true;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    done = true;
                }
                Ok(_) => failed = Some(rustls::Error::General("early data was not offered".into())),
                Err(error) => failed = Some(error),
            }
            used += discard;
            if let Some(error) = failed {
                self.gather_alert(&mut incoming[used..]);
                self.ended = Some(Ended::Failed);
                return Err(error);
            }
            if done {
                return Ok(used);
            }
        }
    }

    /// After a fault: what was said before it stands ready, and last the alert that tells the peer why. Once that is
    /// out, rustls must not be asked again: it would look at the bad bytes a second time.
    fn gather_alert(&mut self, incoming: &mut [u8]) {
        while let Ok(ConnectionState::EncodeTlsData(mut data)) =
            self.tls.process_tls_records(incoming).state
        {
            let at = self.unsent.len();
            encode(&mut data, &mut self.unsent);
            if is_alert(&self.unsent[at..]) {
                return;
            }
        }
    }

    /// Encrypts one record and writes it. Nothing waits before it: `flush` came first. `WouldBlock` says that some of
    /// it waits in `unsent`.
    fn seal(&mut self, socket: &TcpStream, plain: &[u8]) -> io::Result<()> {
        OUTGOING.with_borrow_mut(|scratch| {
            let sealed = self.with_traffic(|traffic| traffic.encrypt(plain, scratch))?;
            let mut at = 0;
            while self.unsent.is_empty() && at < sealed {
                match socket.try_write(&scratch[at..sealed]) {
                    Ok(n) => at += n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            self.moved |= at > 0;
            if at == sealed {
                return Ok(());
            }
            self.unsent.extend_from_slice(&scratch[at..sealed]);
            Err(io::ErrorKind::WouldBlock.into())
        })
    }

    pub(super) fn seal_goodbye(&mut self) {
        if self.ended == Some(Ended::Failed) || self.tls.is_handshaking() {
            return;
        }
        OUTGOING.with_borrow_mut(|scratch| {
            let sealed = self.with_traffic(|traffic| traffic.queue_close_notify(scratch));
            self.unsent
                .extend_from_slice(&scratch[..sealed.unwrap_or_default()]);
        });
    }

    /// Reaches the state in which rustls encrypts. It wants to see the unfinished record again on the way.
    pub(super) fn with_traffic(
        &mut self,
        encrypt: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        if self.ended == Some(Ended::Failed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        loop {
            let status = self.tls.process_tls_records(&mut self.received);
            match status.state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return encrypt(&mut traffic).map_err(broken);
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.unsent),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = Some(Ended::ByPeer),
                _ => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    /// Writes what waits.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.sent < self.unsent.len() {
            self.sent += socket.try_write(&self.unsent[self.sent..])?;
            self.moved = true;
        }
        if self.sent > 0 {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(())
    }

    pub(super) fn poll_flush(
        &mut self,
        socket: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.flush(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                flushed => return Poll::Ready(flushed),
            }
            ready!(socket.poll_write_ready(cx))?;
        }
    }

    fn fail(&mut self, why: &'static str) -> io::Error {
        self.ended = Some(Ended::Failed);
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

/// Puts what the protocol says behind what waits already.
fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, unsent: &mut Vec<u8>) {
    let at = unsent.len();
    let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) else {
        return;
    };
    unsent.resize(at + needed.required_size, 0);
    if data.encode(&mut unsent[at..]).is_err() {
        unsent.truncate(at);
    }
}

/// TLS 1.3 hides the kind of an encrypted record, but no other holds as little as the three bytes of an alert
/// (RFC 8446 §5.2: head, content, its kind, and the 16 bytes that every suite of ours adds).
fn is_alert(record: &[u8]) -> bool {
    match record.first() {
        Some(0x15) => true,
        Some(0x17) => record.len() == 5 + 2 + 1 + 16,
        _ => false,
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
