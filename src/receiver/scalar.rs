//! Scalars as vendors send them: a number in quotes, an id that is a number, a null. What has no such reading is none.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A string; a number or boolean where a string was due is taken as its text.
#[derive(Clone, Debug, Default)]
pub struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text, trimmed, unless absent or blank.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    pub fn owned(&self) -> Option<String> {
        self.get().map(str::to_owned)
    }
}

/// A finite number, or a string that spells one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Number {
    #[default]
    Missing,
    Of(f64),
    /// There, but no number.
    Unreadable,
}

impl Number {
    pub fn get(self) -> Option<f64> {
        match self {
            Number::Of(number) => Some(number),
            Number::Missing | Number::Unreadable => None,
        }
    }

    pub fn or(self, other: Number) -> Number {
        match self {
            Number::Missing => other,
            found => found,
        }
    }

    pub fn f32(self) -> Option<f32> {
        self.get().map(|number| number as f32).filter(|number| number.is_finite())
    }

    /// Rounded; `None` beyond 32 bits.
    pub fn i32(self) -> Option<i32> {
        let rounded = self.get()?.round();
        (rounded.abs() <= f64::from(i32::MAX)).then_some(rounded as i32)
    }
}

/// True or false, or a string that spells it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flag(pub Option<bool>);

/// What a scalar's visitor makes of shapes that hold no scalar.
macro_rules! swallow {
    (null: $null:expr, other: $other:expr $(, $method:ident($type:ty))*) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok($other)
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($null)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($other)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($other)
        }
    };
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Some(number.to_string().into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
        Ok(Text(Some(number.to_string().into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
        Ok(Text(Some(number.to_string().into())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Text<'de>, E> {
        Ok(Text(Some(flag.to_string().into())))
    }

    swallow!(null: Text(None), other: Text(None));
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Of(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Of(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(if number.is_finite() { Number::Of(number) } else { Number::Unreadable })
    }

    fn visit_str<E>(self, text: &str) -> Result<Number, E> {
        Ok(match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Number::Of(number),
            _ => Number::Unreadable,
        })
    }

    swallow!(null: Number::Missing, other: Number::Unreadable, visit_bool(bool));
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct FlagVisitor;

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
        Ok(Flag(Some(flag)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
        Ok(Flag(text.trim().to_ascii_lowercase().parse().ok()))
    }

    swallow!(null: Flag(None), other: Flag(None), visit_u64(u64), visit_i64(i64), visit_f64(f64));
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flag, D::Error> {
        deserializer.deserialize_any(FlagVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_come_in_quotes_and_nonsense_is_told_from_nothing() {
        let read = |json: &str| serde_json::from_str::<Number>(json).unwrap();
        assert_eq!(read("283"), Number::Of(283.0));
        assert_eq!(read("\" 283 \""), Number::Of(283.0));
        assert_eq!(read("null"), Number::Missing);
        for json in ["\"string\"", "[1]", "{\"a\":1}", "true", "\"NaN\"", "\"inf\""] {
            assert_eq!(read(json), Number::Unreadable, "{json}");
        }
    }

    #[test]
    fn a_text_may_come_as_a_number_and_blank_is_none() {
        let read = |json: &str| serde_json::from_str::<Text>(json).unwrap().owned();
        assert_eq!(read("\"a\\u0062\""), Some("ab".into()));
        assert_eq!(read("5"), Some("5".into()));
        for json in ["null", "\"  \"", "[\"a\"]", "{}"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
