//! A WebSocket on the server's side that sends each text back, answers pings, and keeps no buffer while nothing comes: the minimal
//! program for idle connections, and the backend behind a plain proxy.

use std::io;

use tokio::net::TcpStream;

use crate::client::frame::{self, Header};

/// Echoes until the client goes away, or breaks the protocol.
pub(crate) async fn serve(stream: &TcpStream) {
    while let Ok(Some(first)) = wait(stream).await {
        if Box::pin(answer(stream, first)).await.is_err() {
            break;
        }
    }
}

/// The first bytes of what comes next; `None` at the end.
async fn wait(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    loop {
        stream.readable().await?;
        if let Some(read) = take(stream)? {
            return Ok((!read.is_empty()).then_some(read));
        }
    }
}

/// What lies there to be read, through a buffer that lives no longer than this call; empty at the end, `None` if nothing does.
fn take(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut scratch = [0; 4096];
    match stream.try_read(&mut scratch) {
        Ok(read) => Ok(Some(scratch[..read].to_vec())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads on until `bytes` is a whole frame, and sends it back; over when nothing is left.
async fn answer(stream: &TcpStream, mut bytes: Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        let whole = Header::read(&bytes).filter(|header| header.payload().end <= bytes.len());
        let Some(header) = whole else {
            stream.readable().await?;
            match take(stream)? {
                Some(more) if more.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(more) => bytes.extend_from_slice(&more),
                None => {}
            }
            continue;
        };
        let opcode = match header.opcode {
            frame::TEXT => frame::TEXT,
            frame::PING => frame::PONG,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let payload = &mut bytes[header.payload()];
        frame::unmask(header.mask.unwrap_or_default(), payload);
        write(stream, &frame::unmasked(opcode, payload)).await?;
        bytes.drain(..header.payload().end);
    }
    Ok(())
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
