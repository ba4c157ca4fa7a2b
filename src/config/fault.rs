//! What is wrong with a configuration, told without what may be a secret: what is told goes to the log.

use figment::Error;
use figment::error::{Actual, Kind};

/// Sections that hold secrets.
const SECRET: [&str; 2] = ["sources", "postgres"];

/// The same, without values of those sections and without lines of a file.
pub fn without_secrets(error: Error) -> Error {
    // The newest first.
    let mut faults: Vec<Error> = error.into_iter().map(hide).collect();
    let mut told = faults.pop().expect("an error is at least one fault");
    while let Some(newer) = faults.pop() {
        told = told.chain(newer);
    }
    told
}

fn hide(mut error: Error) -> Error {
    let is_secret = error.path.first().is_some_and(|section| SECRET.contains(&section.as_str()));
    match &mut error.kind {
        Kind::InvalidType(found, _)
        | Kind::InvalidValue(found, _)
        | Kind::Unsupported(found)
        | Kind::UnsupportedKey(found, _)
            if is_secret =>
        {
            *found = Actual::Other("a value that is not shown".into());
        }
        // What is no TOML is quoted, line number and bar before it.
        Kind::Message(text) => {
            let is_quoted = |line: &&str| {
                line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
            };
            *text = text.lines().filter(|line| !is_quoted(line)).collect::<Vec<_>>().join("; ");
        }
        _ => {}
    }
    error
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// What a file that cannot be read is told of.
    fn told(text: &str) -> String {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("footfall.toml");
        std::fs::write(&file, text).unwrap();
        let error = Config::load(Some(&file)).unwrap_err();
        format!("{:#}", anyhow::Error::from(error))
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_told_and_the_place_is() {
        for (text, place) in [
            ("[sources.default]\nsecrets = \"hunter2\"", "sources.default.secrets"),
            ("[sources]\ndefault = \"hunter2\"", "sources.default"),
            ("[postgres.users]\nann = [\"hunter2\"]", "postgres.users.ann"),
            ("[postgres]\nusers = \"hunter2\"", "postgres.users"),
            ("[sources.default]\nsecrets = [hunter2]", "line 2"),
            ("[sources.default]\nsecrets = [\"hunter2]", "line 2"),
        ] {
            let told = told(text);
            assert!(told.contains(place) && !told.contains("hunter2"), "{text}: {told}");
        }
        assert!(told("[postgres.users]\nann = 8213374").contains("postgres.users.ann"));
        assert!(!told("[postgres.users]\nann = 8213374").contains("8213374"));
        assert!(told("[server]\nconnections_max = \"many\"").contains("many"));
    }
}
