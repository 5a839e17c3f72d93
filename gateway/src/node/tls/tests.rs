//! Our side of TLS against rustls' own client, without sockets: whatever order things come in and wherever they are cut.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};

use super::records::Records;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    ClientSays(usize),
    ClientUpdatesItsKeys,
    WeSay(usize),
    /// So many bytes of what the client sent arrive.
    Arrives(usize),
    /// A bit of the next byte to arrive turns, if the link is bad.
    Turns(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![0..200_usize, 16_300..16_500_usize, 0..40_000_usize];
    prop_oneof![
        length.clone().prop_map(Step::ClientSays),
        Just(Step::ClientUpdatesItsKeys),
        (1..=16_384_usize).prop_map(Step::WeSay),
        prop_oneof![1..40_usize, length].prop_map(Step::Arrives),
        (0..8_u8).prop_map(Step::Turns),
    ]
}

fn configs() -> &'static (Arc<ServerConfig>, Arc<ClientConfig>, Arc<ClientConfig>) {
    static CONFIGS: OnceLock<(Arc<ServerConfig>, Arc<ClientConfig>, Arc<ClientConfig>)> =
        OnceLock::new();
    CONFIGS.get_or_init(|| {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let cert = issued.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert).unwrap();
        let client = |version| {
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_protocol_versions(&[version]).unwrap();
            let builder = builder.with_root_certificates(roots.clone());
            Arc::new(builder.with_no_client_auth())
        };
        let (new, old) = (
            client(&rustls::version::TLS13),
            client(&rustls::version::TLS12),
        );
        (Arc::new(server), new, old)
    })
}

/// Both ends and what is on the way between them.
struct Link {
    client: ClientConnection,
    us: Records,
    coming: Vec<u8>,
    client_said: Vec<u8>,
    we_heard: Vec<u8>,
    we_said: Vec<u8>,
    client_heard: Vec<u8>,
    /// Room of a reader.
    room: usize,
    broken: bool,
}

impl Link {
    fn new(old: bool, room: usize) -> Self {
        let (server, new_client, old_client) = configs();
        let client = if old { old_client } else { new_client };
        let name = ServerName::try_from("localhost").unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(client), name).unwrap(),
            us: Records::new(Arc::clone(server), Vec::new()).unwrap(),
            coming: Vec::new(),
            client_said: Vec::new(),
            we_heard: Vec::new(),
            we_said: Vec::new(),
            client_heard: Vec::new(),
            room,
            broken: false,
        }
    }

    fn send(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.coming).unwrap();
        }
    }

    /// The first bytes on the way reach us, and our answer the client.
    fn arrive(&mut self, count: usize) {
        if self.broken {
            return;
        }
        let count = count.min(self.coming.len());
        let chunk: Vec<u8> = self.coming.drain(..count).collect();
        let mut incoming = [std::mem::take(&mut self.us.received), chunk].concat();
        let mut into = vec![0; self.room];
        match self.us.decrypt(&mut incoming, &mut into) {
            Ok(n) => self.we_heard.extend_from_slice(&into[..n]),
            Err(_) => self.broken = true,
        }
        self.we_heard.append(&mut self.us.plain);
        self.answer(&[]);
    }

    /// What we have to say goes to the client, and last these sealed bytes.
    fn answer(&mut self, sealed: &[u8]) {
        let mut bytes = std::mem::take(&mut self.us.unsent);
        bytes.extend_from_slice(sealed);
        let mut left = &bytes[..];
        while !left.is_empty() && self.client.read_tls(&mut left).is_ok_and(|n| n > 0) {
            if self.client.process_new_packets().is_err() {
                self.broken = true;
                return;
            }
            let mut heard = Vec::new();
            let _ = self.client.reader().read_to_end(&mut heard);
            self.client_heard.append(&mut heard);
        }
        self.send();
    }

    fn say(&mut self, count: usize) {
        let said = vec![u8::try_from(self.we_said.len() % 251).unwrap(); count];
        let mut sealed = vec![0; 20 * 1024];
        if let Ok(n) = self
            .us
            .with_traffic(|traffic| traffic.encrypt(&said, &mut sealed))
        {
            self.we_said.extend_from_slice(&said);
            self.answer(&sealed[..n]);
        }
    }

    fn step(&mut self, step: &Step, bad: bool) {
        match step {
            Step::ClientSays(count) => {
                let said = vec![u8::try_from(self.client_said.len() % 251).unwrap(); *count];
                // A client that was told of a fault says nothing more.
                if let Ok(taken) = self.client.writer().write(&said) {
                    self.client_said.extend_from_slice(&said[..taken]);
                }
                self.send();
            }
            Step::ClientUpdatesItsKeys => {
                let _ = self.client.refresh_traffic_keys();
                self.send();
            }
            Step::WeSay(count) => self.say(*count),
            Step::Arrives(count) => self.arrive(*count),
            Step::Turns(bit) => {
                if let (true, Some(byte)) = (bad, self.coming.first_mut()) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }

    fn shake_hands(&mut self) {
        self.send();
        while !self.coming.is_empty() {
            self.arrive(usize::MAX);
        }
        assert!(!self.client.is_handshaking());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn everything_said_is_heard_in_order(
        old: bool,
        room in prop_oneof![Just(64 * 1024), 1..5000_usize],
        early in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut link = Link::new(old, room);
        if !early {
            link.shake_hands();
        }
        for step in &steps {
            link.step(step, false);
        }
        link.send();
        while !link.coming.is_empty() {
            link.arrive(usize::MAX);
        }
        prop_assert!(!link.broken);
        prop_assert!(link.we_heard == link.client_said);
        prop_assert!(link.client_heard == link.we_said);
        prop_assert!(link.us.received.is_empty());
    }

    #[test]
    fn a_bad_link_breaks_and_nothing_false_is_heard(
        old: bool,
        early in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut link = Link::new(old, 64 * 1024);
        if !early {
            link.shake_hands();
        }
        for step in &steps {
            link.step(step, true);
        }
        link.say(10);
        prop_assert!(link.client_said.starts_with(&link.we_heard));
        prop_assert!(link.we_said.starts_with(&link.client_heard));
    }

    #[test]
    fn noise_is_no_handshake(noise in prop::collection::vec(any::<u8>(), 0..3000), cut in 1..100_usize) {
        let mut link = Link::new(false, 64 * 1024);
        link.coming = [&[0x16, 3, 1][..], &noise].concat();
        while !link.coming.is_empty() && !link.broken {
            link.arrive(cut);
        }
        prop_assert!(link.we_heard.is_empty());
    }
}
