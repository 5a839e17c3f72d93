//! `Fn::Cidr`: an address block in equal parts.

use std::net::IpAddr;

/// `count` blocks of `bits` bits each (8 where unsaid), from the start of `block`; `None` where they do not fit.
pub(super) fn split(block: &str, count: &str, bits: Option<&str>) -> Option<Vec<String>> {
    let (address, prefix) = block.trim().split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u32 = prefix.parse().ok()?;
    let count: u128 = count.trim().parse().ok()?;
    let bits: u32 = bits.map_or(Some(8), |bits| bits.trim().parse().ok())?;
    let (width, start) = match address {
        IpAddr::V4(v4) => (32_u32, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, u128::from(v6)),
    };
    let free = width.checked_sub(prefix)?;
    let room = free.checked_sub(bits).filter(|_| bits < 128)?;
    let fits = room >= 8 || count <= 1 << room;
    if !(1..=256).contains(&count) || !fits {
        return None;
    }
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    let part = |n: u128| {
        let address = (start & mask) + (n << bits);
        let shown = match width {
            32 => IpAddr::from(u32::try_from(address).ok()?.to_be_bytes()),
            _ => IpAddr::from(address.to_be_bytes()),
        };
        Some(format!("{shown}/{}", width - bits))
    };
    (0..count).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[track_caller]
    fn check(block: &str, count: &str, bits: Option<&str>, expected: Option<&str>) {
        let found = split(block, count, bits).map(|blocks| blocks.join(" "));
        assert_eq!(found.as_deref(), expected, "{block} {count} {bits:?}");
    }

    #[test]
    fn blocks() {
        check(
            "10.0.0.0/24",
            "2",
            Some("5"),
            Some("10.0.0.0/27 10.0.0.32/27"),
        );
        check("10.0.9.9/16", "2", None, Some("10.0.0.0/24 10.0.1.0/24"));
        check(
            "2001:db8::/56",
            "2",
            Some("64"),
            Some("2001:db8::/64 2001:db8:0:1::/64"),
        );
        check("0.0.0.0/0", "1", Some("32"), Some("0.0.0.0/0"));
        check("10.0.0.0/24", "9", Some("5"), None);
        check("10.0.0.0/24", "0", Some("5"), None);
        check("10.0.0.0/33", "1", Some("0"), None);
        check("::/0", "1", Some("128"), None);
        check("nothing", "1", None, None);
    }
}
