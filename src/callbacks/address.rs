//! Which addresses may be called, so that nobody can make the server talk to what only it can reach.
//!
//! The address is checked after the name is resolved, and it is the very one that is connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A network like `10.0.0.0/8`, or a single address.
pub fn read_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Cloud services that hand out credentials to whoever asks from inside, beside those at link-local addresses.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Networks of no public host (IANA special-purpose registries), called only where they are allowed.
const SPECIAL: [&str; 18] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::1/128",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "fc00::/7",
    "fec0::/10",
];

/// Addresses that may be called beside public ones.
#[derive(Clone, Debug, Default)]
pub struct AllowedNetworks {
    allowed: Vec<IpNet>,
    special: Vec<IpNet>,
}

impl FromIterator<IpNet> for AllowedNetworks {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> AllowedNetworks {
        let special = SPECIAL.iter().map(|network| network.parse().expect("the list is of networks")).collect();
        AllowedNetworks { allowed: networks.into_iter().collect(), special }
    }
}

impl AllowedNetworks {
    /// Whether an address may be called; if not, why, and what to do.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        let inner = inner(address);
        if is_never_called(inner) {
            return Err(format!("{address} is link-local, of a metadata service or no host: it is never called"));
        }
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&inner));
        if is_in(&self.special) && !is_in(&self.allowed) {
            return Err(format!("{address} is not public: to call it, add its network to callbacks.allowed_networks"));
        }
        Ok(())
    }

    /// Whether a URL may be an endpoint's, as far as can be said without resolving its host name.
    pub fn check_url(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with https:// or http://".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password: give an Authorization header".into());
        }
        let host = url.host_str().ok_or("names no host")?;
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            self.check(address)?;
        }
        Ok(url)
    }
}

/// The IPv4 address that an IPv6 one stands for (mapped, compatible, NAT64, 6to4), else the address itself.
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

fn is_never_called(address: IpAddr) -> bool {
    let is_no_host = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified(),
    };
    is_no_host || METADATA.contains(&address)
}

/// Resolves names to addresses that may be called, and to no others.
pub struct CheckedResolver(pub AllowedNetworks);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (mut good, mut problem) = (Vec::new(), None);
            for address in found {
                match networks.check(address.ip()) {
                    Ok(()) => good.push(address),
                    Err(reason) => problem = Some(reason),
                }
            }
            match problem {
                Some(reason) if good.is_empty() => {
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {reason}", name.as_str())).into())
                }
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(allowed: &[&str]) -> AllowedNetworks {
        allowed.iter().map(|text| read_network(text).unwrap()).collect()
    }

    fn is_allowed(networks: &AllowedNetworks, address: &str) -> bool {
        networks.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn public_addresses_are_called_and_private_ones_only_where_allowed() {
        let (none, some) = (networks(&[]), networks(&["10.1.0.0/16", "127.0.0.1", "fd12::/16"]));
        for address in ["93.184.216.34", "2606:2800:220:1::1", "8.8.8.8"] {
            assert!(is_allowed(&none, address), "{address}");
        }
        for address in ["10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3", "fd12::1", "64:ff9b::a01:203", "2002:a01:203::1"] {
            assert!(!is_allowed(&none, address), "{address}");
            assert!(is_allowed(&some, address), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.2", "192.168.1.1", "172.31.0.1", "100.64.0.1", "::1", "fd13::1"] {
            assert!(!is_allowed(&some, address), "{address}");
        }
    }

    #[test]
    fn link_local_and_metadata_addresses_are_never_called() {
        let all = networks(&["0.0.0.0/0", "::/0"]);
        for address in [
            "169.254.169.254",
            "169.254.1.1",
            "fe80::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "::169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(!is_allowed(&all, address), "{address}");
        }
        assert!(is_allowed(&all, "10.0.0.1"));
    }

    #[test]
    fn urls_are_checked_as_they_will_be_called() {
        let none = networks(&[]);
        for url in [
            "ftp://example.org/",
            "https://user@example.org/",
            "https://u:p@example.org/",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:80/",
            "http://[::ffff:169.254.169.254]/",
            "nothing",
        ] {
            assert!(none.check_url(url).is_err(), "{url}");
        }
        assert!(none.check_url("https://hooks.example.org/a?b=c").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_not_called() {
        let resolve = |networks| CheckedResolver(networks).resolve("localhost".parse().unwrap());
        let Err(error) = resolve(networks(&[])).await else { panic!("resolved") };
        assert!(error.to_string().contains("allowed_networks"), "{error}");
        assert!(resolve(networks(&["127.0.0.0/8", "::1"])).await.unwrap().count() > 0);
    }
}
