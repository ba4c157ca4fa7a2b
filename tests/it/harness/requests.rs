//! Requests made up from the document and a seed: what it shows as examples, and what nobody should send.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{LOBBY, MAP, SITE};

/// One request.
#[derive(Debug)]
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// Makes requests up.
pub struct Inventor {
    rng: StdRng,
}

impl Inventor {
    pub fn new(seed: u64) -> Inventor {
        Inventor { rng: StdRng::seed_from_u64(seed) }
    }

    /// A request to an operation of the document.
    pub fn request(&mut self, path: &str, method: &str, operation: &Value) -> Asked {
        let (mut path, mut query, mut headers) = (path.to_owned(), Vec::new(), Vec::new());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let value = self.value(&path, parameter);
            if parameter["in"] == "header" {
                let is_sendable = value.bytes().all(|byte| (b' '..0x7f).contains(&byte));
                headers.extend(is_sendable.then(|| (name.to_owned(), value)));
            } else if parameter["in"] == "path" {
                let value = if value.is_empty() { "x".into() } else { value };
                path = path.replace(&format!("{{{name}}}"), &escaped(&value));
            } else if parameter["required"] == true && self.rng.random_bool(0.9) || self.rng.random_bool(0.3) {
                query.push(format!("{name}={}", escaped(&value)));
            }
        }
        if self.rng.random_bool(0.05) {
            query.push(format!("{}={}", escaped(self.text()), escaped(self.text())));
        }
        if self.rng.random_bool(0.02) {
            // No text at all.
            path = path.replace(MAP, "%FF").replace(SITE, "%ff%fe");
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let accepted =
            ["*/*", "text/csv", "application/vnd.apache.parquet", "image/gif", "", "nonsense", "text/html, */*;q=0.1"];
        headers.push(("accept".into(), (*self.one_of(&accepted)).to_owned()));
        let body = operation.get("requestBody").map(|body| {
            let types = ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"];
            headers.push(("content-type".into(), (*self.one_of(&types)).to_owned()));
            self.body(body)
        });
        Asked { method: method.to_uppercase(), path, headers, body }
    }

    fn text(&mut self) -> &'static str {
        TEXTS.choose(&mut self.rng).unwrap()
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        choices.choose(&mut self.rng).unwrap()
    }

    /// Mostly what the document shows, or a choice that it offers; else anything.
    fn value(&mut self, path: &str, parameter: &Value) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let known: Vec<String> = match parameter["name"].as_str().unwrap() {
            "id" if path.starts_with("/v1/sites") => vec![SITE.into()],
            "id" if path.starts_with("/v1/maps") => vec![MAP.into()],
            "id" if path.starts_with("/v1/areas") => vec![LOBBY.into()],
            "id" if path.starts_with("/v1/clients") => vec!["00000000000a".into()],
            "source" if path.contains("webhooks") => vec!["open".into(), "default".into()],
            _ => parameter["schema"]["enum"].as_array().into_iter().flatten().map(text).collect(),
        };
        match self.rng.random_range(0..10) {
            0..4 if !known.is_empty() => self.one_of(&known).clone(),
            0..7 => text(&parameter["example"]),
            _ => self.text().into(),
        }
    }

    fn body(&mut self, body: &Value) -> Vec<u8> {
        let Some(media) = body["content"].get("application/json") else {
            let bytes: [&[u8]; 4] = [
                b"<svg xmlns=\"http://www.w3.org/2000/svg\"><rect width=\"9\" height=\"9\"/></svg>",
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
                b"PK\x03\x04 and then nothing",
                b"{\"id\": \"63eda950-c6da-11e4-a628-60f81dd250cc\", \"type\": \"image\", \"ppm\": 1e-400}",
            ];
            return self.one_of(&bytes).to_vec();
        };
        if self.rng.random_bool(0.15) {
            return self.one_of(&BROKEN).as_bytes().to_vec();
        }
        let mut document = media["example"].clone();
        for _ in 0..self.rng.random_range(0..3) {
            self.spoil(&mut document);
        }
        document.to_string().into_bytes()
    }

    /// Puts something else in one place of a document, takes it away, or adds what nobody knows.
    fn spoil(&mut self, value: &mut Value) {
        let is_deeper = self.rng.random_bool(0.7);
        match value {
            Value::Object(members) if !members.is_empty() && is_deeper => {
                let names: Vec<String> = members.keys().cloned().collect();
                let name = self.one_of(&names).clone();
                match self.rng.random_range(0..10) {
                    0 => drop(members.remove(&name)),
                    1 => drop(members.insert(self.text().into(), json!(1))),
                    _ => self.spoil(&mut members[&name]),
                }
            }
            Value::Array(items) if !items.is_empty() && is_deeper => {
                let place = self.rng.random_range(0..items.len());
                self.spoil(&mut items[place]);
            }
            other => *other = self.anything(),
        }
    }

    fn anything(&mut self) -> Value {
        let numbers = [
            json!(0),
            json!(-1),
            json!(1e308),
            json!(-0.0),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.1),
            json!(1e-300),
        ];
        match self.rng.random_range(0..8) {
            0 => Value::Null,
            1 => json!(self.rng.random_bool(0.5)),
            2..4 => self.one_of(&numbers).clone(),
            4 => json!([]),
            5 => json!({}),
            6 => json!([[[null, {"a": ["b"]}]], 1, "x"]),
            _ => json!(self.text()),
        }
    }
}

/// What stands where something else was expected.
const TEXTS: [&str; 28] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\u{1f4a5}\u{202e}\u{feff}",
    "e\u{301}",
    "\u{ffff}",
    "\r\n\r\nHTTP/1.1 200 OK",
    "null",
    "true",
    "-1",
    "0",
    "1.5",
    "1e400",
    "NaN",
    "-inf",
    "99999999999999999999999",
    "-9999999999999w",
    "9223372036854775807",
    "2026-13-45T00:00:00Z",
    "+275760-09-13T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "0000-01-01T00:00:00+23:59",
    "[]",
    "{}",
    "'; DROP TABLE visits; --",
    "../../../etc/passwd",
    "%25%00%FF",
];

/// What is no document, or hardly one.
const BROKEN: [&str; 12] = [
    "",
    "null",
    "[]",
    "[[], 1]",
    "\"text\"",
    "0",
    "{",
    "{\"name\": ",
    "{}",
    "{\"name\": \"\\ud800\"}",
    "{\"sql\": \"SELECT 1\", \"sql\": \"SELECT 2\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// Every byte that is not plain, escaped.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
