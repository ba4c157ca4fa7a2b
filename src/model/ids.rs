//! Identity. Outside ids are the network's own strings; keys are the small integers we keep instead of them.

use std::fmt;
use std::sync::Arc;

/// An outside id: nearly always a UUID or a MAC address, kept compact; any other text is kept as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Id {
    /// Canonical form: lower case with dashes.
    Uuid(u128),
    /// Canonical form: 12 lower-case hex digits, no separators.
    Mac(u64),
    Text(Arc<str>),
}

/// Longest outside id taken; anything longer is no id of this network.
pub const ID_BYTES_MAX: usize = 200;

impl Id {
    /// Reads an id of an object (site, map, area): a UUID in either case, else the text itself.
    pub fn object(text: &str) -> Id {
        match parse_uuid(text.as_bytes()) {
            Some(uuid) => Id::Uuid(uuid),
            None => Id::Text(text.into()),
        }
    }

    /// Reads a client's id: a MAC address with any separators or none, a UUID, else the text itself.
    pub fn client(text: &str) -> Id {
        match parse_mac(text.as_bytes()) {
            Some(mac) => Id::Mac(mac),
            None => Id::object(text),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Uuid(uuid) => {
                let hex = format!("{uuid:032x}");
                write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
            Id::Mac(mac) => write!(f, "{mac:012x}"),
            Id::Text(text) => f.write_str(text),
        }
    }
}

/// A MAC address as 48 bits from text with `:`, `-`, `.` separators or none. `None` unless exactly 12 hex digits.
pub fn parse_mac(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    let mut digits = 0;
    for &byte in text {
        match HEX[byte as usize] {
            NO_DIGIT if matches!(byte, b':' | b'-' | b'.') => {}
            NO_DIGIT => return None,
            digit => {
                value = value << 4 | u64::from(digit);
                digits += 1;
            }
        }
    }
    (digits == 12).then_some(value)
}

/// What a byte is as a hexadecimal digit. Looked up for each character of each id of each event.
const HEX: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut byte = 0;
    while byte < 256 {
        if let Some(digit) = char::to_digit(byte as u8 as char, 16) {
            digits[byte] = digit as u8;
        }
        byte += 1;
    }
    digits
};

const NO_DIGIT: u8 = 0xff;

fn parse_uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|place| text[*place] != b'-') {
        return None;
    }
    // A part of it between dashes, and all digits together, which tell whether each was one.
    let mut all = 0;
    let mut part = |from: usize, to: usize| {
        text[from..to].iter().fold(0, |value, byte| {
            let digit = HEX[*byte as usize];
            all |= digit;
            value << 4 | u64::from(digit)
        })
    };
    let upper = part(0, 8) << 32 | part(9, 13) << 16 | part(14, 18);
    let lower = part(19, 23) << 48 | part(24, 36);
    (all & 0xf0 == 0).then_some(u128::from(upper) << 64 | u128::from(lower))
}

macro_rules! outside_id {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Id);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(Id::object(text))
            }
        }
    )*};
}

outside_id!(
    /// A site, as the network names it.
    SiteId,
    /// A floorplan, as the network names it.
    MapId
);

macro_rules! key {
    ($($(#[$doc:meta])* $name:ident($int:ty)),*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $int);
    )*};
}

key!(
    /// Stands for a [`SiteId`].
    SiteKey(u32),
    /// Stands for a [`MapId`].
    MapKey(u32),
    /// Stands for an [`AreaId`].
    AreaKey(u32),
    /// Stands for a [`ClientId`].
    ClientKey(u32),
    /// Numbers visits in the order they were opened.
    VisitKey(i64),
    /// Numbers deliveries in the order they were committed.
    DeliveryKey(i64),
    /// Numbers alert rules in the order they were made.
    RuleKey(u32),
    /// Numbers alerts in the order they fired.
    AlertKey(i64),
    /// Numbers silences in the order they were asked for.
    SilenceKey(i64),
    /// Numbers callback endpoints in the order they were made.
    CallbackKey(u32),
    /// Numbers what callback endpoints are told, in the order in which it happened.
    MessageKey(i64)
);

/// What sort of thing a client is. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ClientKind {
    /// A Wi-Fi client that is connected to the network.
    Wifi = 0,
    /// A Wi-Fi client that is merely heard.
    Unconnected = 1,
    /// A phone that runs an app with the vendor's SDK.
    Sdk = 2,
    /// A tagged thing.
    Asset = 3,
}

impl ClientKind {
    pub const ALL: [ClientKind; 4] = [ClientKind::Wifi, ClientKind::Unconnected, ClientKind::Sdk, ClientKind::Asset];

    pub fn name(self) -> &'static str {
        match self {
            ClientKind::Wifi => "wifi",
            ClientKind::Unconnected => "unconnected",
            ClientKind::Sdk => "sdk",
            ClientKind::Asset => "asset",
        }
    }

    pub fn from_name(name: &str) -> Option<ClientKind> {
        ClientKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A tracked thing: its kind and its id within that kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    pub kind: ClientKind,
    pub id: Id,
}

/// What sort of area. The numbers are what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AreaKind {
    /// A polygon on a map.
    Zone = 0,
    /// A virtual beacon on a map.
    Vbeacon = 1,
    /// A set of access points with a signal threshold each.
    Rssizone = 2,
}

impl AreaKind {
    pub const ALL: [AreaKind; 3] = [AreaKind::Zone, AreaKind::Vbeacon, AreaKind::Rssizone];

    pub fn name(self) -> &'static str {
        match self {
            AreaKind::Zone => "zone",
            AreaKind::Vbeacon => "vbeacon",
            AreaKind::Rssizone => "rssizone",
        }
    }

    pub fn from_name(name: &str) -> Option<AreaKind> {
        AreaKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An area, as the network names it: ids are unique within a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AreaId {
    pub kind: AreaKind,
    pub id: Id,
}

/// An id as it stands in a path.
pub fn in_path(id: &str) -> String {
    let mut path = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_loses_its_separators_and_its_case() {
        for text in ["28-f0-76-2D-22-1e", "28:F0:76:2d:22:1E", "28f0762d221e", "28f0.762d.221e"] {
            assert_eq!(Id::client(text).to_string(), "28f0762d221e");
        }
    }

    #[test]
    fn what_is_no_mac_and_no_uuid_stays_as_it_came() {
        for text in ["500291xxxxxx", "string", "28f0762d221", "63eda950-c6da-11e4-a628-60f81dd250c", ""] {
            assert_eq!(Id::client(text).to_string(), text);
        }
    }

    #[test]
    fn a_uuid_is_one_id_in_either_case() {
        assert_eq!(
            Id::object("63EDA950-C6DA-11e4-a628-60f81dd250cc").to_string(),
            "63eda950-c6da-11e4-a628-60f81dd250cc"
        );
    }
}
