//! Peers that are no Redis: one that answers the same to everything, and a road to a Redis that can fall silent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers each command with the same bytes; with none, it never answers. Its port.
pub(crate) fn answering(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = socket.read(&mut buffer) {
                    let commands = buffer[..read].split(|byte| *byte == b'*').count() - 1;
                    if socket.write_all(&answer.repeat(commands)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Passes bytes both ways until it is told to lose them, on the connections that it has by then.
pub(crate) struct Road {
    pub(crate) port: u16,
    open: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Road {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let open: Arc<Mutex<Vec<_>>> = Arc::default();
        let all = open.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let silent = Arc::new(AtomicBool::new(false));
                all.lock()
                    .expect("nobody panics with it")
                    .push(silent.clone());
                let twin = |socket: &TcpStream| socket.try_clone().expect("a descriptor is free");
                let (near_too, far_too) = (twin(&near), twin(&far));
                let silent_too = silent.clone();
                thread::spawn(move || pass(near, far, &silent));
                thread::spawn(move || pass(far_too, near_too, &silent_too));
            }
        });
        Self { port, open }
    }

    /// From now on nothing comes through, and nobody is told: a half-open connection.
    pub(crate) fn fall_silent(&self) {
        for silent in self.open.lock().expect("nobody panics with it").drain(..) {
            silent.store(true, Ordering::Relaxed);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !silent.load(Ordering::Relaxed) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    if !silent.load(Ordering::Relaxed) {
        let _ = to.shutdown(Shutdown::Both);
    }
}
