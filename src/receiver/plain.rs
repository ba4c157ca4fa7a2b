//! Deliveries of fixes that are in no way odd, as nearly all are: read in one pass.
//!
//! Whatever is odd is not decided here (an event that cannot be read or has no time, a member that comes twice, events
//! before their topic): then nothing is given, and `decode` reads the body anew, event by event. What is given here is what
//! it would give, too.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::decode::Decoder;
use super::fields::{self, Stamper};
use super::payload::Location;
use crate::model::event::Fix;
use crate::model::topic::Family;

/// A fix takes at least so many bytes of a body, mostly.
const FIX_BYTES: usize = 150;

/// The settled topic and the fixes of a body.
pub fn fixes(body: &str, stamper: Stamper) -> Option<(String, Vec<Fix>)> {
    let mut reader = serde_json::Deserializer::from_str(body);
    let found = reader.deserialize_map(Body { stamper, bytes: body.len() }).ok()?;
    reader.end().ok()?;
    Some(found)
}

struct Body {
    stamper: Stamper,
    bytes: usize,
}

impl<'de> Visitor<'de> for Body {
    type Value = (String, Vec<Fix>);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a topic and its fixes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut body: A) -> Result<Self::Value, A::Error> {
        let odd = || A::Error::custom("odd");
        let (mut topic, mut fixes) = (None, None);
        while let Some(member) = body.next_key::<&str>()? {
            match member {
                "topic" if topic.is_none() => topic = Some(fields::topic_name(body.next_value::<&str>()?.trim())),
                "events" if fixes.is_none() => {
                    let topic = topic.as_deref().filter(|topic| Family::of(topic) == Family::Location);
                    let decoder = Decoder { stamper: self.stamper, topic: topic.ok_or_else(odd)? };
                    fixes = Some(body.next_value_seed(Events { decoder, bytes: self.bytes })?);
                }
                "topic" | "events" => return Err(odd()),
                _ => {
                    body.next_value::<IgnoredAny>()?;
                }
            }
        }
        topic.zip(fixes).ok_or_else(odd)
    }
}

struct Events<'a> {
    decoder: Decoder<'a>,
    bytes: usize,
}

impl<'de> DeserializeSeed<'de> for Events<'_> {
    type Value = Vec<Fix>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Fix>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Events<'_> {
    type Value = Vec<Fix>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fixes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Vec<Fix>, A::Error> {
        let mut fixes = Vec::with_capacity(self.bytes / FIX_BYTES);
        while let Some(payload) = events.next_element::<Location<'de>>()? {
            fixes.push(self.decoder.fix(&payload, None).map_err(A::Error::custom)?);
        }
        Ok(fixes)
    }
}
