//! Reads members of JSON objects into plain values, and collects all that is wrong on the way.
//!
//! A method that returns `None` for something that is there has told why. Null is the same as not there.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{AREAS_MAX, Note, PROBLEMS_MAX, Problem};
use crate::model::floorplan::{CORNERS_MAX, Outline, Shape};
use crate::model::ids::{AreaId, AreaKind, ID_BYTES_MAX, Id, MapId};

/// Longest name or label, bytes.
const TEXT_BYTES_MAX: usize = 2_000;

/// Places farther from a map's origin are none, metres. The bound that an outline has, too.
const FAR_M: f64 = 1.0e6;

/// What checking the outlines of one document may cost, in pairs of edges: a few seconds of one core.
const COST_MAX: u64 = 20 * (CORNERS_MAX as u64).pow(2);

/// The faults of one upload, and what must be known of all its parts to find them.
#[derive(Default)]
pub struct Reader {
    /// The file that is being read, of an upload of several.
    file: Option<String>,
    problems: Vec<Problem>,
    notes: Vec<Note>,
    untold: usize,
    area_ids: HashMap<AreaId, Option<String>>,
    access_point_ids: HashMap<String, Option<String>>,
    cost: u64,
}

/// A JSON object and where it stands in its document; the document itself stands at the empty place.
pub struct Object<'a> {
    pub place: String,
    pub members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.members.get(key).filter(|value| !value.is_null())
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Where a member of it stands.
    pub fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// The same place with other members, such as those of its properties.
    pub fn with<'b>(&self, members: &'b Map<String, Value>) -> Object<'b> {
        Object { place: self.place.clone(), members }
    }
}

/// Where entry `number` of a list stands, with its name: `zones[3] "Cafe"`.
pub fn place_of(list: &str, number: usize, name: Option<&Value>) -> String {
    match name.and_then(Value::as_str) {
        Some(name) => format!("{list}[{number}] {:?}", clipped(name)),
        None => format!("{list}[{number}]"),
    }
}

/// The beginning of what a sender wrote, short enough for a message.
fn clipped(text: &str) -> String {
    text.chars().take(60).collect()
}

impl Reader {
    /// Faults and notes from here on are of this file.
    pub fn open(&mut self, file: Option<&str>) {
        self.file = file.map(str::to_owned);
    }

    /// Tells something that is no fault.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note { file: self.file.clone(), text: text.into() });
    }

    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    pub fn is_faultless(&self) -> bool {
        self.problems.is_empty()
    }

    /// The value, if there is one and nothing was wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                if self.untold > 0 {
                    let reason = format!("{} more faults are not told", self.untold);
                    self.problems.push(Problem { file: None, feature: "document".into(), reason });
                }
                Err(self.problems)
            }
        }
    }

    pub fn fault(&mut self, place: &str, reason: impl Into<String>) {
        if self.problems.len() == PROBLEMS_MAX {
            self.untold += 1;
        } else {
            self.problems.push(Problem { file: self.file.clone(), feature: place.into(), reason: reason.into() });
        }
    }

    /// A fault of one member.
    pub fn member_fault(&mut self, object: &Object, key: &str, reason: &str) {
        match object.place.as_str() {
            "" => self.fault(key, reason),
            place => self.fault(place, format!("`{key}` {reason}")),
        }
    }

    fn wrong_type(&mut self, object: &Object, key: &str, expected: &str, found: &Value) {
        self.member_fault(object, key, &format!("must be {expected}, not {}", type_of(found)));
    }

    pub fn object<'a>(&mut self, place: String, value: &'a Value) -> Option<Object<'a>> {
        match value {
            Value::Object(members) => Some(Object { place, members }),
            other => {
                let place = if place.is_empty() { "document" } else { &place };
                self.fault(place, format!("must be an object, not {}", type_of(other)));
                None
            }
        }
    }

    /// Text without the blanks around it; nothing but blanks is not there.
    pub fn text(&mut self, object: &Object, key: &str) -> Option<String> {
        match object.get(key)? {
            Value::String(text) if text.len() > TEXT_BYTES_MAX => {
                self.member_fault(object, key, &format!("is longer than {TEXT_BYTES_MAX} bytes"));
                None
            }
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            other => {
                self.wrong_type(object, key, "text", other);
                None
            }
        }
    }

    /// An outside id: text, or a number as some drawing programs give one.
    pub fn id_text(&mut self, object: &Object, key: &str) -> Option<String> {
        if let Some(Value::Number(number)) = object.get(key) {
            return Some(number.to_string());
        }
        let text = self.text(object, key)?;
        if text.len() > ID_BYTES_MAX {
            self.member_fault(object, key, &format!("is longer than {ID_BYTES_MAX} bytes"));
            return None;
        }
        Some(text)
    }

    /// Any finite number.
    pub fn number(&mut self, object: &Object, key: &str) -> Option<f64> {
        let found = object.get(key)?;
        let number = found.as_f64().filter(|number| number.is_finite());
        if number.is_none() {
            self.wrong_type(object, key, "a number", found);
        }
        number
    }

    /// A number that must be there.
    pub fn needed_number(&mut self, object: &Object, key: &str) -> Option<f64> {
        if !object.has(key) {
            self.member_fault(object, key, "is missing");
        }
        self.number(object, key)
    }

    /// A length or a scale. 0 is what the vendor sends for one that is not set.
    pub fn size(&mut self, object: &Object, key: &str) -> Option<f64> {
        let number = self.number(object, key).filter(|number| *number != 0.0)?;
        if !(1.0e-3..=1.0e6).contains(&number) {
            self.member_fault(object, key, "must be from 0.001 to 1,000,000");
            return None;
        }
        Some(number)
    }

    /// A number of clients.
    pub fn count(&mut self, object: &Object, key: &str) -> Option<i64> {
        let number = self.number(object, key)?;
        if !(0.0..=1.0e9).contains(&number) || number.fract() != 0.0 {
            self.member_fault(object, key, "must be a whole number of clients, 0 or more");
            return None;
        }
        Some(number as i64)
    }

    /// A list of texts, empty if not there.
    pub fn texts(&mut self, object: &Object, key: &str) -> Vec<String> {
        let texts = self.list(object, key).iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().unwrap_or_else(|| {
            self.member_fault(object, key, "must be a list of texts");
            Vec::new()
        })
    }

    /// A list, empty if not there.
    pub fn list<'a>(&mut self, object: &Object<'a>, key: &str) -> &'a [Value] {
        match object.get(key) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.wrong_type(object, key, "a list", other);
                &[]
            }
        }
    }

    /// Whether a list is not longer than a map's may be.
    pub fn fits(&mut self, place: &str, entries: usize) -> bool {
        if entries > AREAS_MAX {
            self.fault(place, format!("has {entries} entries, more than the {AREAS_MAX} that a map may have"));
        }
        entries <= AREAS_MAX
    }

    /// The id of an area, from the address or from the object; they must agree, and no other area may have it.
    pub fn area_id(
        &mut self,
        kind: AreaKind,
        place: &str,
        address: Option<&Id>,
        own: Option<String>,
    ) -> Option<AreaId> {
        let own = own.map(|own| Id::object(&own));
        let id = match (address, own) {
            (Some(address), Some(own)) if own != *address => {
                self.fault(place, format!("its id is {own}, but the address says {address}"));
                return None;
            }
            (Some(id), _) => AreaId { kind, id: id.clone() },
            (None, Some(id)) => AreaId { kind, id },
            (None, None) => {
                self.fault(place, "has no id");
                return None;
            }
        };
        if let Some(first) = self.area_ids.insert(id.clone(), self.file.clone()) {
            self.twice(place, &id.id, first);
        }
        Some(id)
    }

    /// Refuses a second access point of the same id.
    pub fn note_access_point(&mut self, place: &str, id: &str) {
        if let Some(first) = self.access_point_ids.insert(id.to_owned(), self.file.clone()) {
            self.twice(place, id, first);
        }
    }

    /// A second thing of an id; the first one may stand in another file.
    pub fn twice(&mut self, place: &str, id: &(impl std::fmt::Display + ?Sized), first: Option<String>) {
        let elsewhere = first.filter(|first| Some(first) != self.file.as_ref());
        let elsewhere = elsewhere.map(|first| format!(": it is in {first}, too")).unwrap_or_default();
        self.fault(place, format!("its id, {id}, is there twice{elsewhere}"));
    }

    /// The map that an object says it lies on.
    pub fn map_id(&mut self, object: &Object) -> Option<MapId> {
        self.id_text(object, "map_id").map(|id| MapId::from(id.as_str()))
    }

    /// A zone's shape, from closed rings in metres.
    ///
    /// The check compares every edge with every other, and every hole with every other: so a document has a budget.
    pub fn zone(&mut self, place: &str, rings: Vec<Vec<[f64; 2]>>) -> Option<Shape> {
        let corners: usize = rings.iter().map(Vec::len).sum();
        // More corners than an outline may have are refused by their number alone.
        if corners <= CORNERS_MAX {
            let cost = (corners as u64 + 10 * rings.len() as u64).pow(2);
            if cost > COST_MAX - self.cost {
                self.fault(place, "has more corners or holes than can be checked, with those of the zones before it");
                return None;
            }
            self.cost += cost;
        }
        match Outline::from_rings(rings) {
            Ok(outline) => Some(Shape::Zone(outline)),
            Err(error) => {
                self.fault(place, error.to_string());
                None
            }
        }
    }

    /// A place on a map, metres, if it is near enough to be one.
    pub fn near(&mut self, place: &str, [x_m, y_m]: [f64; 2]) -> Option<[f64; 2]> {
        let is_near = |v: f64| v.abs() <= FAR_M;
        if is_near(x_m) && is_near(y_m) {
            return Some([x_m, y_m]);
        }
        self.fault(place, "lies more than 1,000,000 metres from the map's origin");
        None
    }
}

pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
