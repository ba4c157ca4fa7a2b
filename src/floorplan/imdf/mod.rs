//! Apple's Indoor Mapping Data Format (IMDF 1.0.0, OGC 20-094): a venue becomes a site, its levels maps, and units and
//! openings zones.
//!
//! A level's own frame is north up, its origin at the north-west corner of the box around its outline. Coordinates are
//! rounded to millimetres.

mod archive;
mod frame;
mod levels;
mod sketch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use archive::Archive;
use levels::Levels;
use serde_json::Value;
use sketch::{opening, unit};

use super::reader::{Object, Reader};
use super::{Import, ImportOptions, KnownMap, Note, Problem, SitePlan, SourceFile};
use crate::model::ids::{Id, MapId, SiteId};

/// Features that a note names; of more it gives only the number.
const NAMED_MAX: usize = 5;

/// What the server knows of a map.
type Known<'a> = &'a dyn Fn(&MapId) -> Option<KnownMap>;

/// Whether an upload is an IMDF archive: a manifest.json beside venue.geojson or level.geojson, in the root or one folder
/// down.
pub fn is_imdf(files: &[SourceFile]) -> bool {
    !archive::folders(files).is_empty()
}

/// Reads one. All faults at once, each with its file, or nothing is taken.
///
/// Other files than the archive's own are not looked at.
pub fn read(files: &[SourceFile], options: &ImportOptions, known: Known) -> Result<Import, Vec<Problem>> {
    let mut reader = Reader::default();
    let Some(archive) = Archive::open(&mut reader, files) else { return reader.finish(None) };
    let mut import = Import::default();
    let venue = venue(&mut reader, &archive, options);
    let site = options.site.clone().or_else(|| venue.as_ref().map(|venue| venue.id.clone()));
    import.sites.extend(venue);
    if let Some(mut levels) = Levels::read(&mut reader, &archive) {
        let mut remarks = Remarks::default();
        let units = levels.drafts(&mut reader, &archive.labels, archive.unit.as_ref(), unit, &mut remarks);
        let openings = levels.drafts(&mut reader, &archive.labels, archive.opening.as_ref(), opening, &mut remarks);
        levels.choose_maps(&mut reader, options, &site, known, &mut import.notes);
        for draft in units.into_iter().chain(openings) {
            levels.place(&mut reader, draft, &mut remarks);
        }
        levels.give(&mut import);
        import.notes.extend(remarks.notes());
    }
    import.notes.extend(left_out(&archive));
    reader.finish(Some(import))
}

/// Its id and name; the format knows no time zone.
fn venue(reader: &mut Reader, archive: &Archive, options: &ImportOptions) -> Option<SitePlan> {
    let venues = archive.venue.as_ref()?.features(reader, &archive.labels);
    if venues.len() > 1 {
        reader.fault("features", format!("has {} venues, but an archive is of one", venues.len()));
    }
    let venue = venues.first()?;
    let id = needed_id(reader, &venue.whole, "id");
    let name = archive.labels.text(reader, &venue.properties, "name");
    let id = options.site.clone().or_else(|| id.map(|id| SiteId::from(id.as_str())))?;
    Some(SitePlan { id, name, time_zone: None })
}

/// An id that must be there.
fn needed_id(reader: &mut Reader, object: &Object, key: &str) -> Option<String> {
    let id = reader.id_text(object, key);
    let is_blank = |value: &Value| value.as_str().is_some_and(|text| text.trim().is_empty());
    if object.get(key).is_none_or(is_blank) {
        reader.member_fault(object, key, "is missing");
    }
    id
}

/// The beginning of an id, enough to tell features apart.
fn brief(id: &Id) -> String {
    id.to_string().chars().take(8).collect()
}

fn left_out(archive: &Archive) -> Option<Note> {
    let counts = archive.others.iter().filter(|(_, count)| **count > 0);
    let counts: Vec<String> = counts.map(|(kind, count)| format!("{kind} ({count})")).collect();
    let text = format!("left out, for only units and openings are zones: {}", counts.join(", "));
    (!counts.is_empty()).then_some(Note { file: None, text })
}

/// What a person should know of features, by file and remark.
#[derive(Default)]
struct Remarks<'a>(BTreeMap<(&'a str, &'static str), Named>);

/// The first few features of a remark, and the number of all.
#[derive(Default)]
struct Named {
    count: usize,
    places: Vec<String>,
}

impl<'a> Remarks<'a> {
    fn add(&mut self, file: &'a str, remark: &'static str, place: &str) {
        let named = self.0.entry((file, remark)).or_default();
        named.count += 1;
        if named.places.len() < NAMED_MAX {
            named.places.push(place.to_owned());
        }
    }

    fn notes(self) -> impl Iterator<Item = Note> {
        self.0.into_iter().map(|((file, remark), Named { count, places })| {
            let more = match count - places.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Note { file: Some(file.into()), text: format!("{remark}: {}{more}", places.join(", ")) }
        })
    }
}
