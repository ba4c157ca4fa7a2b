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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::event_by_event;
    use super::*;
    use crate::model::event::Events as Found;
    use crate::model::time::ReceivedAt;

    const NOW_S: i64 = 1_782_892_800;

    fn stamper() -> Stamper {
        Stamper { received_at: ReceivedAt(NOW_S * 1000), age_ms_max: Some(7_200_000) }
    }

    /// What a sender may write for a member, right or wrong.
    fn value(right: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            "null",
            "true",
            "7",
            "-1.5e3",
            "\"12.5\"",
            "\"\"",
            "\" a\\u0062 \"",
            "[1]",
            "{\"x\":2}",
            "1e999",
        ]);
        prop_oneof![9 => right, 1 => odd.prop_map(str::to_owned)]
    }

    fn event() -> impl Strategy<Value = String> {
        let id = || {
            prop::sample::select(vec![
                "63eda950-c6da-11e4-a628-60f81dd250cc",
                "63EDA950-C6DA-11E4-A628-60F81DD250CC",
                "a floor",
            ])
        };
        let member = prop_oneof![
            (Just("site_id"), value(id().prop_map(|id| format!("{id:?}"))).boxed()),
            (Just("map_id"), value(id().prop_map(|id| format!("{id:?}"))).boxed()),
            (Just("mac"), value((0u64..99).prop_map(|n| format!("\"3c:00{n:08x}\""))).boxed()),
            (Just("id"), value((0u64..99).prop_map(|n| format!("\"sdk {n}\""))).boxed()),
            (
                Just("type"),
                value(prop::sample::select(vec!["\"wifi\"", "\"SDK\"", "\"asset\""]).prop_map(str::to_owned)).boxed()
            ),
            (Just("timestamp"), value((NOW_S - 9000..NOW_S + 400).prop_map(|at| format!("{at}.25"))).boxed()),
            (Just("x"), value((-50.0..500.0f64).prop_map(|x| x.to_string())).boxed()),
            (Just("y"), value((0u32..90).prop_map(|y| y.to_string())).boxed()),
            (Just("rssi"), value((-90i32..0).prop_map(|rssi| rssi.to_string())).boxed()),
            (Just("ibeacon_major"), value((0u32..9).prop_map(|n| n.to_string())).boxed()),
            (Just("unheard_of"), value(Just("{\"a\":[1,2]}".to_owned())).boxed()),
        ];
        let whole = format!(
            r#""map_id":"63eda950-c6da-11e4-a628-60f81dd250cc","mac":"3c0000000001","timestamp":{NOW_S},"x":1.5,"y":2"#
        );
        let members = prop::collection::vec(member.prop_map(|(name, value)| format!("\"{name}\":{value}")), 0..9);
        prop_oneof![
            1 => members.clone().prop_map(|members| format!("{{{}}}", members.join(","))),
            3 => members.prop_map(move |members| format!("{{{whole}{}}}", members.iter().map(|member| format!(",{member}")).collect::<String>())),

        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_read_at_once_is_what_is_read_event_by_event(
            topic in prop::sample::select(vec!["location", "LOCATION_asset", " location-sdk ", "zone", ""]),
            events in prop::collection::vec(event(), 0..4),
            extra in prop::sample::select(vec!["", ",\"events\":[]", ",\"topic\":\"zone\"", ",\"more\":{}", ",", " x"]),
            flip in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut body = format!(r#"{{"topic":"{topic}","events":[{}]{extra}}}"#, events.join(",")).into_bytes();
            if let Some((place, byte)) = flip {
                let place = place.index(body.len());
                body[place] = byte;
            }
            let Ok(body) = String::from_utf8(body) else { return Ok(()) };
            if let Some((topic, fixes)) = fixes(&body, stamper()) {
                let (same_topic, found, quarantined) = event_by_event(&body, stamper()).unwrap();
                prop_assert_eq!(topic, same_topic);
                prop_assert!(quarantined.is_empty());
                prop_assert_eq!(format!("{:?}", Found::Fixes(fixes)), format!("{found:?}"));
            }
        }
    }

    #[test]
    fn what_is_in_no_way_odd_is_read_at_once() {
        let event = format!(r#"{{"map_id":"m","mac":"3c0000000002","timestamp":{NOW_S},"x":1,"y":2,"more":[{{}}]}}"#);
        let body = |events: &str| format!(r#"{{"topic":"location","events":[{events}],"more":1}}"#);
        assert_eq!(
            fixes(&body(&format!("{event},{event}")), stamper()).map(|(topic, fixes)| (topic, fixes.len())),
            Some(("location".into(), 2))
        );
        let untimed = event.replace("timestamp", "stamp");
        for odd in [untimed, event.replace("\"x\":1", "\"x\":[]"), event.replace("mac", "x"), "7".into()] {
            assert!(fixes(&body(&format!("{event},{odd}")), stamper()).is_none(), "{odd}");
        }
    }
}
