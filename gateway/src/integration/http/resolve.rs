//! Names to addresses, and the addresses that backends must not live at.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::{BackendError, Origin};

/// What the system's resolver found, or what it said.
type Found = Result<Arc<[IpAddr]>, Arc<str>>;
type Lookups = Arc<Mutex<HashMap<Box<str>, Shared<BoxFuture<'static, Found>>>>>;

/// Asks the system's resolver. Each name is looked up once at a time, however many calls wait for it: a lookup holds a
/// thread until the resolver gives up, which no deadline can shorten.
#[derive(Debug)]
pub(super) struct Resolver {
    allow_link_local: bool,
    lookups: Lookups,
}

impl Resolver {
    pub(super) fn new(allow_link_local: bool) -> Self {
        Self {
            allow_link_local,
            lookups: Lookups::default(),
        }
    }

    /// The addresses to connect to: at least one, all allowed. The caller connects to these and never asks again, so a
    /// name cannot change its answer between the check and the connection.
    pub(super) async fn resolve(&self, origin: &Origin) -> Result<Vec<SocketAddr>, BackendError> {
        let found: Found = match origin.host().parse::<IpAddr>() {
            Ok(address) => Ok(Arc::new([address])),
            Err(_) => self.look_up(origin.host()).await,
        };
        let addresses = found.map_err(|reason| BackendError::Resolve {
            origin: origin.clone(),
            reason: reason.as_ref().to_owned(),
        })?;
        self.allowed(origin, &addresses)
    }

    fn allowed(
        &self,
        origin: &Origin,
        addresses: &[IpAddr],
    ) -> Result<Vec<SocketAddr>, BackendError> {
        let port = origin.port();
        let (denied, allowed): (Vec<IpAddr>, Vec<IpAddr>) = addresses
            .iter()
            .partition(|address| !self.allow_link_local && is_link_local(**address));
        match (allowed.is_empty(), denied.first()) {
            (true, Some(&address)) => Err(BackendError::Forbidden {
                origin: origin.clone(),
                address,
            }),
            (true, None) => Err(BackendError::Resolve {
                origin: origin.clone(),
                reason: "the name has no address".to_owned(),
            }),
            (false, _) => Ok(allowed
                .into_iter()
                .map(|address| SocketAddr::new(address, port))
                .collect()),
        }
    }

    async fn look_up(&self, host: &str) -> Found {
        let lookup = {
            let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(lookup) = lookups.get(host) {
                lookup.clone()
            } else {
                let lookup = start(host.into(), Arc::clone(&self.lookups));
                lookups.insert(host.into(), lookup.clone());
                lookup
            }
        };
        lookup.await
    }
}

/// Runs as a task of its own: it ends with the resolver's answer, whether or not a caller still waits.
fn start(host: Box<str>, lookups: Lookups) -> Shared<BoxFuture<'static, Found>> {
    let task = tokio::spawn(async move {
        let found = match tokio::net::lookup_host((host.as_ref(), 0)).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(error.to_string().into()),
        };
        lookups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&host);
        found
    });
    async move {
        task.await
            .unwrap_or_else(|_| Err("the lookup was given up".into()))
    }
    .boxed()
    .shared()
}

/// Whether the address is link-local, in any of the forms that an operating system or a translator takes for it.
///
/// 169.254.0.0/16 (RFC 3927) and `fe80::/10` (RFC 4291); IPv4 inside IPv6: mapped, compatible, and the translator's
/// `64:ff9b::/96` (RFC 6052). `fd00:ec2::/32` is where AWS serves instance metadata and pod identity over IPv6.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.segments()[..2] == [0xfd00, 0x0ec2]
                || embedded(address).is_some_and(|address| address.is_link_local())
        }
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: bool) {
        assert_eq!(
            is_link_local(address.parse().unwrap()),
            expected,
            "{address}"
        );
    }

    #[test]
    fn link_local_addresses_are_known_in_all_their_forms() {
        check("169.254.169.254", true);
        check("169.254.0.0", true);
        check("169.253.255.255", false);
        check("169.255.0.0", false);
        check("127.0.0.1", false);
        check("10.0.0.1", false);
        check("fe80::1", true);
        check("febf::1", true);
        check("fec0::1", false);
        check("::1", false);
        check("::ffff:169.254.169.254", true);
        check("::ffff:a9fe:a9fe", true);
        check("::ffff:127.0.0.1", false);
        check("::169.254.169.254", true);
        check("64:ff9b::169.254.169.254", true);
        check("64:ff9b::8.8.8.8", false);
        check("fd00:ec2::254", true);
        check("fd00:ec3::254", false);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_wait_and_then_forgotten() {
        let resolver = Resolver::new(false);
        let (first, second) = (resolver.look_up("localhost"), resolver.look_up("localhost"));
        let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        let waiting = resolver
            .lookups
            .lock()
            .unwrap()
            .values()
            .next()
            .and_then(Shared::strong_count);
        assert_eq!(waiting, Some(3), "the map and two callers");
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(resolver.lookups.lock().unwrap().is_empty());
    }
}
