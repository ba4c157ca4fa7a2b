//! `footfall import`: floorplans from a file or a folder.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;

use super::Server;
use crate::cli::Import;
use crate::floorplan::{self, SourceFile};

/// Sends the plans, and says what they change.
pub async fn run(args: Import) -> anyhow::Result<()> {
    let body = upload(&args.path)?;
    let server = Server::reach(&args.reach).await?;
    let asked = server.request(Method::POST, "/v1/maps/import").query(&query(&args)).body(body);
    let answer = server.answer(asked).await;
    server.close().await?;
    write!(std::io::stdout(), "{}", report(&answer?))?;
    Ok(())
}

fn query(args: &Import) -> Vec<(&'static str, String)> {
    let said = |key: &'static str, value: Option<String>| value.map(|value| (key, value));
    [
        said("dry_run", args.dry_run.then(|| "true".into())),
        said("replace", args.replace.then(|| "true".into())),
        said("site", args.site.clone()),
        said("map", args.map.clone()),
        said("units", args.units.clone()),
        said("ppm", args.ppm.map(|ppm| ppm.to_string())),
        said("onto", (!args.onto.is_empty()).then(|| args.onto.join(","))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A zip archive as it is; a file or a folder packed into one, so that faults can name files.
fn upload(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut files = Vec::new();
    if path.is_dir() {
        gather(path, "", &mut files)?;
    } else {
        let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        if bytes.starts_with(b"PK") {
            return Ok(bytes);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.push(SourceFile { name, bytes });
    }
    Ok(floorplan::pack(&files))
}

/// The files below a folder, in the order of their names.
fn gather(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    let reading = || format!("read {}", folder.display());
    let mut entries: Vec<_> =
        fs::read_dir(folder).with_context(reading)?.collect::<Result<_, _>>().with_context(reading)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if floorplan::is_hidden(&name) {
            continue;
        }
        // Links to folders may go round in circles, and what is no file may never end.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            gather(&path, &format!("{name}/"), files)?;
        } else if path.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            files.push(SourceFile { name, bytes });
        }
    }
    Ok(())
}

/// What changed, thing by thing, and what to know and to do next.
fn report(answer: &Value) -> String {
    let mut text = String::new();
    let word = |thing: &Value, key: &str| thing[key].as_str().unwrap_or_default().to_owned();
    let things = answer["things"].as_array().map(Vec::as_slice).unwrap_or_default();
    for thing in things.iter().filter(|thing| thing["effect"] != "unchanged") {
        let name = thing["name"].as_str().map(|name| format!("{name:?} ")).unwrap_or_default();
        let on_map = thing["map_id"].as_str().map(|map| format!(", map {map}")).unwrap_or_default();
        let (effect, what, id) = (word(thing, "effect"), word(thing, "what"), word(thing, "id"));
        text += &format!("{effect:<9} {what:<12} {name}({id}){on_map}\n");
    }
    for note in answer["notes"].as_array().into_iter().flatten() {
        let file = note["file"].as_str().map(|file| format!("{file}: ")).unwrap_or_default();
        text += &format!("note      {file}{}\n", word(note, "text"));
    }
    let verb = if answer["dry_run"] == true { "would be " } else { "" };
    text += &format!(
        "{} {verb}new, {} {verb}changed, {} {verb}ended; {} unchanged\n",
        answer["new"], answer["changed"], answer["ended"], answer["unchanged"]
    );
    let offer = &answer["rebuild_offer"];
    if let Some(message) = offer["message"].as_str() {
        let map = offer["request"]["map_id"].as_str().map(|map| format!(" --map {map}")).unwrap_or_default();
        text += &format!("{message} About {} s: footfall rebuild{map}\n", offer["estimated_s"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_is_packed_with_the_names_below_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/.git")).unwrap();
        for name in ["z.json", "b/a.png", "b/.git/config"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let files = floorplan::unpack(None, upload(folder.path()).unwrap()).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["b/a.png", "z.json"]);
        let files = floorplan::unpack(None, upload(&folder.path().join("z.json")).unwrap()).unwrap();
        assert_eq!(files[0].name, "z.json");
        assert!(upload(Path::new("/nowhere.json")).unwrap_err().to_string().contains("/nowhere.json"));
    }

    #[test]
    fn a_report_tells_what_changed_and_how_to_go_on() {
        let answer = json!({"dry_run": true, "new": 1, "changed": 0, "ended": 0, "unchanged": 1, "things": [
            {"what": "zone", "id": "z", "name": "Cafe", "map_id": "m", "effect": "new"},
            {"what": "map", "id": "m", "name": null, "map_id": null, "effect": "unchanged"}],
            "notes": [{"file": "a.png", "text": "left out"}],
            "rebuild_offer": {"message": "5 fixes on this map since June: rebuild?", "estimated_s": 0.1, "request": {"map_id": "m"}}});
        assert_eq!(
            report(&answer),
            "new       zone         \"Cafe\" (z), map m\nnote      a.png: left out\n\
             1 would be new, 0 would be changed, 0 would be ended; 1 unchanged\n\
             5 fixes on this map since June: rebuild? About 0.1 s: footfall rebuild --map m\n"
        );
    }
}
