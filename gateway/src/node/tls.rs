//! TLS on one client's socket: records in, records out, under a synchronous lock.
//!
//! It stands on rustls' unbuffered side, which owns no buffers. What is read goes through a buffer that all
//! connections of the thread share, and so does what is encrypted; a connection owns bytes only while a record is
//! half received or half sent. So an idle one costs its keys and no more.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
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

/// A socket and its TLS.
pub struct Secured {
    socket: TcpStream,
    records: Mutex<Records>,
}

struct Records {
    tls: UnbufferedServerConnection,
    /// Received, but not a whole record yet.
    received: Vec<u8>,
    /// `received` was handed in and nobody looked at it yet.
    unseen: bool,
    /// Decrypted, but for lack of room not read yet.
    plain: Vec<u8>,
    /// Sealed, but not taken by the socket yet; the first `sent` bytes of it are.
    unsent: Vec<u8>,
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

impl Secured {
    pub(super) fn new(
        socket: TcpStream,
        config: Arc<ServerConfig>,
        received: Vec<u8>,
    ) -> io::Result<Self> {
        let records = Records {
            tls: UnbufferedServerConnection::new(config).map_err(broken)?,
            unseen: !received.is_empty(),
            received,
            plain: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            covered: 0,
            moved: false,
            ended: None,
        };
        Ok(Self {
            socket,
            records: Mutex::new(records),
        })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        // A panic under this lock leaves at worst a record half written; the peer ends that connection.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.lock();
        // The handshake's own words: the client waits for them, so nothing will come before they are out.
        if let Poll::Ready(Err(error)) = records.poll_flush(&self.socket, cx) {
            return Poll::Ready(Err(error));
        }
        if records.unseen || !records.plain.is_empty() || records.ended.is_some() {
            return Poll::Ready(Ok(()));
        }
        drop(records);
        self.socket.poll_read_ready(cx)
    }

    pub(super) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut records = self.lock();
        // Ends: whatever is not yet a message costs the sender bytes of a record, and those have a bound.
        loop {
            if let Some(read) = records.read_known(into)? {
                return Ok(read);
            }
            let read = INCOMING
                .with_borrow_mut(|scratch| records.read_socket(&self.socket, scratch, into))?;
            if read > 0 {
                return Ok(read);
            }
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut records = self.lock();
        records.flush(&self.socket)?;
        let n = bytes.len().min(RECORD);
        match records.seal(&self.socket, &bytes[..n]) {
            // The record is ours now, taken or not.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(n),
            Err(error) => Err(error),
            Ok(()) => Ok(n),
        }
    }

    pub(super) fn write(&self, frame: &mut Bytes) -> io::Result<()> {
        let mut records = self.lock();
        loop {
            records.flush(&self.socket)?;
            let sealed = std::mem::take(&mut records.covered).min(frame.len());
            frame.advance(sealed);
            if frame.is_empty() {
                return Ok(());
            }
            let n = frame.len().min(RECORD);
            match records.seal(&self.socket, &frame[..n]) {
                Ok(()) => frame.advance(n),
                Err(error) => {
                    records.covered = n;
                    return Err(error);
                }
            }
        }
    }

    pub(super) fn moved(&self) -> bool {
        std::mem::take(&mut self.lock().moved)
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(&self.socket, cx)
    }

    /// Writes what waits and then `close_notify`, so that the peer can tell an end from an accident.
    pub(super) fn poll_goodbye(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.lock();
        ready!(records.poll_flush(&self.socket, cx))?;
        records.seal_goodbye();
        records.poll_flush(&self.socket, cx)
    }
}

impl Records {
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
        self.received = Vec::new();
        let incoming = &mut scratch[..kept + read];
        let mut rest = std::mem::take(&mut self.plain);
        let mut sink = Sink {
            into,
            filled: 0,
            rest: &mut rest,
        };
        let taken = self.take_in(incoming, &mut sink);
        let filled = sink.filled;
        self.plain = rest;
        // What the protocol answers goes out at once, as far as it can.
        let flushed = self.flush(socket);
        let used = match taken {
            Ok(used) => used,
            Err(error) => {
                self.ended = Some(Ended::Failed);
                // What came before the fault is delivered first.
                return if filled > 0 {
                    Ok(filled)
                } else {
                    Err(broken(error))
                };
            }
        };
        if let Err(error) = flushed
            && error.kind() != io::ErrorKind::WouldBlock
        {
            return Err(error);
        }
        if self.ended.is_some() {
            return Ok(filled);
        }
        let left = &incoming[used..];
        if left.len() > KEPT && !self.tls.is_handshaking() {
            return Err(self.fail("a record is too long"));
        }
        self.received = left.to_vec();
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
                        let record = record?;
                        discard += record.discard;
                        sink.put(record.payload);
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
                // What was said before the fault stands ready, and last the alert that tells the peer why.
                while let Ok(ConnectionState::EncodeTlsData(mut data)) =
                    self.tls.process_tls_records(&mut incoming[used..]).state
                {
                    encode(&mut data, &mut self.unsent);
                }
                return Err(error);
            }
            if done {
                return Ok(used);
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

    fn seal_goodbye(&mut self) {
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
    fn with_traffic(
        &mut self,
        encrypt: impl FnOnce(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
        ) -> Result<usize, EncryptError>,
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

    fn poll_flush(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
fn encode<Data>(data: &mut rustls::unbuffered::EncodeTlsData<'_, Data>, unsent: &mut Vec<u8>) {
    let at = unsent.len();
    let Err(EncodeError::InsufficientSize(needed)) = data.encode(&mut []) else {
        return;
    };
    unsent.resize(at + needed.required_size, 0);
    if data.encode(&mut unsent[at..]).is_err() {
        unsent.truncate(at);
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl fmt::Debug for Secured {
    /// Without keys and without what the client said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
