//! Ranges of addresses, for the proxies that are trusted.

use std::fmt;
use std::net::IpAddr;

use super::scalar::Refusal;

/// A network such as `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpNet {
    address: IpAddr,
    prefix: u8,
}

impl IpNet {
    /// A network in CIDR form, or a plain address.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Refusal(None))?;
        let bits = bits_of(address);
        let prefix = match prefix {
            None => bits,
            Some(text) if !text.bytes().all(|b| b.is_ascii_digit()) => return Err(Refusal(None)),
            Some(text) => match text.parse::<u8>() {
                Ok(prefix) if prefix <= bits => prefix,
                _ => {
                    let hint = "the number after / is at most 32 for IPv4 and 128 for IPv6";
                    return Err(Refusal(Some(hint)));
                }
            },
        };
        let net = Self { address, prefix };
        if net.mask(address) != number(address) {
            return Err(Refusal(Some(
                "the address has bits beyond the number after /",
            )));
        }
        Ok(net)
    }

    /// Whether an address lies in it; an IPv4 address that came over an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        bits_of(address) == bits_of(self.address) && self.mask(address) == number(self.address)
    }

    fn mask(&self, address: IpAddr) -> u128 {
        let beyond = u32::from(bits_of(address) - self.prefix);
        let kept = u128::MAX.checked_shl(beyond).unwrap_or(0);
        number(address) & kept
    }
}

impl std::str::FromStr for IpNet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|_| format!("{text} is no address or network in CIDR form"))
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(net: &str, address: &str, expected: bool) {
        let address = address.parse().unwrap();
        assert_eq!(IpNet::parse(net).unwrap().contains(address), expected);
    }

    #[test]
    fn an_address_lies_in_a_network() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
    }

    #[test]
    fn what_is_no_network() {
        for bad in [
            "",
            "a",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "::/129",
            "1/8",
        ] {
            assert!(IpNet::parse(bad).is_err(), "{bad}");
        }
    }
}
