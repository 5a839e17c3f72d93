//! Reads `server.cluster`: what several nodes agree on.

use std::net::SocketAddr;
use std::time::Duration;

use gateway_core::tenure::OnIsolation;

use super::cluster_tls::{self, ClusterTls};
use super::reader::Cursor;
use super::scalar;
use super::secret::Secret;
use super::secrets;

/// The section `server.cluster`; `wiregate.default.yaml` says what each option means.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// What all nodes know and nobody else does.
    pub secret: Option<Secret>,
    /// Where other nodes reach `server.nodeListen`, where that is not its own address.
    pub advertise: Option<String>,
    /// What nodes show each other; `None` where they speak without TLS.
    pub tls: Option<ClusterTls>,
    /// How long a node that is not heard counts as alive.
    pub lease: Duration,
    /// What a node does that the store cannot hear and that has no link to others.
    pub on_isolation: OnIsolation,
    /// `$disconnect`s of lost nodes that this one tells in a second, at most.
    pub outbox_rate: u32,
    /// How long a `$disconnect` of a lost node is tried.
    pub outbox_max_age: Duration,
}

/// Characters that a secret must have: 128 bits, written in hexadecimal digits.
const SHORTEST_SECRET: usize = 32;
const LEASES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(10));

/// The section; `None` where a mistake was reported. `node` is what `server.nodeListen` says.
pub(super) fn read(cursor: &Cursor<'_>, node: Option<SocketAddr>) -> Option<Cluster> {
    let mut fields = cursor.fields()?;
    let secret_at = fields.take("secret");
    let secret = secret_at.as_ref().map(secret);
    let advertise_at = fields.take("advertise");
    let advertise = advertise_at.as_ref().map(advertised);
    let host = match (&advertise, node) {
        (Some(Some(advertise)), _) => host_of(advertise).map(str::to_owned),
        (None, Some(node)) if !node.ip().is_unspecified() => Some(node.ip().to_string()),
        _ => None,
    };
    let tls_at = fields.take("tls");
    let tls = (tls_at.as_ref()).map(|at| cluster_tls::read(at, host.as_deref()));
    let lease = fields.read("lease", lease);
    let on_isolation = fields.read("onIsolation", |cursor| {
        cursor.one_of(&[("hold", OnIsolation::Hold), ("close", OnIsolation::Close)])
    });
    let outbox_rate = fields.read("outboxRate", |cursor| cursor.count(1));
    let outbox_max_age = fields.read("outboxMaxAge", Cursor::positive_duration);
    fields.finish();
    Some(Cluster {
        secret: secret.map_or(Some(None), |read| read.map(Some))?,
        advertise: advertise.map_or(Some(None), |read| read.map(Some))?,
        tls: tls.map_or(Some(None), |read| read.map(Some))?,
        lease: lease?,
        on_isolation: on_isolation?,
        outbox_rate: outbox_rate?,
        outbox_max_age: outbox_max_age?,
    })
}

fn secret(cursor: &Cursor<'_>) -> Option<Secret> {
    let secret = secrets::written_or_in_file(cursor)?;
    if secret.expose().len() < SHORTEST_SECRET {
        cursor.mistake(format!(
            "the secret of a cluster has {SHORTEST_SECRET} characters at least; `openssl rand -hex 32` makes one"
        ));
        return None;
    }
    Some(secret)
}

fn advertised(cursor: &Cursor<'_>) -> Option<String> {
    let authority = cursor.parse(
        "a host name or address with a port, such as node-1.internal:8082",
        scalar::authority,
    )?;
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        cursor.mistake("the port is missing, as in node-1.internal:8082");
        return None;
    }
    Some(authority)
}

/// Without the port, and an IPv6 address without its brackets.
fn host_of(authority: &str) -> Option<&str> {
    let (host, _) = authority.rsplit_once(':')?;
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

fn lease(cursor: &Cursor<'_>) -> Option<Duration> {
    let lease = cursor.duration()?;
    if lease < LEASES.0 || lease > LEASES.1 {
        cursor.mistake("a lease lasts from 1s to 10m");
        return None;
    }
    Some(lease)
}
