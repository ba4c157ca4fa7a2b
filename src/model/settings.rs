//! What a site may set about presence and dwell, and the defaults.

/// When a visit ends, in milliseconds. An area may set its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceRules {
    /// How long a client must be outside before its visit ends.
    pub exit_grace_ms: i64,
    /// The longest silence of a located client that its visit outlives.
    pub presence_timeout_ms: i64,
    /// The longest silence of a client with a reported visit that the visit outlives.
    pub reported_timeout_ms: i64,
}

impl PresenceRules {
    pub const DEFAULT: PresenceRules =
        PresenceRules { exit_grace_ms: 10_000, presence_timeout_ms: 300_000, reported_timeout_ms: 12 * 3_600_000 };
}

/// Under what ids a site's clients are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pseudonyms {
    /// Their own.
    #[default]
    Off,
    /// A keyed hash of it: always the same.
    Keyed,
    /// Another one each day of the site's time zone, by event time.
    Daily,
}

impl Pseudonyms {
    pub const ALL: [Pseudonyms; 3] = [Pseudonyms::Off, Pseudonyms::Keyed, Pseudonyms::Daily];

    pub fn name(self) -> &'static str {
        match self {
            Pseudonyms::Off => "off",
            Pseudonyms::Keyed => "keyed",
            Pseudonyms::Daily => "daily",
        }
    }

    pub fn from_name(name: &str) -> Option<Pseudonyms> {
        Pseudonyms::ALL.into_iter().find(|pseudonyms| pseudonyms.name() == name)
    }
}

/// One named range of dwell times, in whole seconds, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DwellBand {
    pub name: String,
    pub from_s: i64,
    /// `None`: no upper end.
    pub to_s: Option<i64>,
}

/// The vendor's default bands, with the last one left open.
pub fn default_dwell_bands() -> Vec<DwellBand> {
    let band = |name: &str, from_s, to_s| DwellBand { name: name.into(), from_s, to_s };
    vec![
        band("passerby", 1, Some(300)),
        band("bounce", 301, Some(14_400)),
        band("engaged", 14_401, Some(28_800)),
        band("stationed", 28_801, None),
    ]
}
