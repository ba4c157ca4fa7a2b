//! What a PostgreSQL client's text is: something about its session, a question about the catalogue, or a question to
//! the views.
//!
//! A text is cut into tokens as PostgreSQL's and DuckDB's lexers do. That decides only where a statement goes; what it
//! may do is decided there, by DuckDB's own parser.

use std::collections::HashMap;
use std::ops::Range;

/// One statement, told apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Session(Session),
    /// About tables, columns and types, in words that the catalogue understands.
    Catalogue(String),
    Question(String),
}

/// What concerns only the session. Nothing of it reaches the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Session {
    Begin,
    Commit,
    Rollback,
    /// Taken and without effect; the answer's tag.
    Nothing(&'static str),
    Set {
        name: String,
        value: String,
    },
    Show(String),
    /// Forget a prepared statement, or all.
    Deallocate(Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes.
    Name,
    /// A quoted text of any kind.
    Text,
    Number,
    /// `$1`
    Parameter,
    Symbol,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    at: Range<usize>,
}

/// Cuts a text. What is never closed reaches to the end: a parser will say so.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let rest = &text[at..];
        let kind = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += comment_length(rest);
                continue;
            }
            b'\'' => {
                at += quoted_length(rest, b'\'', false);
                Kind::Text
            }
            b'e' | b'E' if bytes.get(at + 1) == Some(&b'\'') => {
                at += 1 + quoted_length(&rest[1..], b'\'', true);
                Kind::Text
            }
            b'"' => {
                at += quoted_length(rest, b'"', false);
                Kind::Name
            }
            b'$' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                at += 1 + rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                Kind::Parameter
            }
            b'$' if dollar_tag(rest).is_some() => {
                let tag = dollar_tag(rest).unwrap_or_default();
                at += rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len());
                Kind::Text
            }
            byte if byte.is_ascii_digit() => {
                at += rest.bytes().take_while(|byte| is_name(*byte) || *byte == b'.').count();
                Kind::Number
            }
            byte if is_name(byte) => {
                at += rest.bytes().take_while(|byte| is_name(*byte) || *byte == b'$').count();
                Kind::Word
            }
            _ => {
                at += if rest.starts_with("::") { 2 } else { 1 };
                Kind::Symbol
            }
        };
        tokens.push(Token { kind, at: start..at });
    }
    tokens
}

/// Comments nest.
fn comment_length(text: &str) -> usize {
    let (bytes, mut at, mut depth) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        match &bytes[at..(at + 2).min(bytes.len())] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// A quote in it is written twice, and after a backslash where that escapes.
fn quoted_length(text: &str, quote: u8, is_escaping: bool) -> usize {
    let (bytes, mut at) = (text.as_bytes(), 1);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if is_escaping => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `$$` or `$word$` at the beginning.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 1;
    let word = &text[1..end];
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then(|| &text[..=end])
}

/// The statements of a text, told apart. `views` are the names that questions are asked of, `user` who asks.
pub fn read(text: &str, views: &[String], user: &str) -> Result<Vec<Statement>, String> {
    let tokens = tokens(text);
    tokens
        .split(|token| &text[token.at.clone()] == ";")
        .filter(|tokens| !tokens.is_empty())
        .map(|tokens| read_one(&Cut { text, tokens }, views, user))
        .collect()
}

/// Tokens of one statement.
struct Cut<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Cut<'a> {
    fn get(&self, place: usize) -> &'a str {
        self.tokens.get(place).map_or("", |token| &self.text[token.at.clone()])
    }

    fn kind(&self, place: usize) -> Option<Kind> {
        self.tokens.get(place).map(|token| token.kind)
    }

    /// A word in lower case, a name without its quotes, else nothing.
    fn name(&self, place: usize) -> String {
        match self.kind(place) {
            Some(Kind::Word) => self.get(place).to_lowercase(),
            Some(Kind::Name) => self.get(place).trim_matches('"').replace("\"\"", "\""),
            _ => String::new(),
        }
    }

    fn is_word(&self, place: usize, word: &str) -> bool {
        self.kind(place) == Some(Kind::Word) && self.get(place).eq_ignore_ascii_case(word)
    }

    /// Where the parenthesis that opens at a token closes.
    fn closing(&self, opening: usize) -> Option<usize> {
        let mut depth = 0;
        (opening..self.tokens.len()).find(|place| {
            depth += match self.get(*place) {
                "(" => 1,
                ")" => -1,
                _ => 0,
            };
            depth == 0
        })
    }

    /// What stands from a token on, quotes gone where it is one quoted thing.
    fn rest(&self, place: usize) -> String {
        let (Some(first), Some(last)) = (self.tokens.get(place), self.tokens.last()) else { return String::new() };
        let text = &self.text[first.at.start..last.at.end];
        if self.tokens.len() == place + 1 { text.trim_matches(['\'', '"']).to_owned() } else { text.to_owned() }
    }
}

fn read_one(cut: &Cut, views: &[String], user: &str) -> Result<Statement, String> {
    let word = |place: usize| if cut.kind(place) == Some(Kind::Word) { cut.name(place) } else { String::new() };
    let nothing = |tag| Ok(Statement::Session(Session::Nothing(tag)));
    let session = match (word(0).as_str(), word(1).as_str()) {
        ("begin", _) | ("start", "transaction") => Session::Begin,
        ("commit" | "end", _) => Session::Commit,
        ("rollback", "to") => return nothing("ROLLBACK"),
        ("rollback" | "abort", _) => Session::Rollback,
        ("savepoint", _) => return nothing("SAVEPOINT"),
        ("release", _) => return nothing("RELEASE"),
        ("reset", "all") => return nothing("RESET"),
        ("reset", _) => Session::Set { name: cut.name(1), value: "default".into() },
        ("discard", _) => return nothing("DISCARD ALL"),
        ("close", "all") => return nothing("CLOSE CURSOR ALL"),
        ("unlisten", _) => return nothing("UNLISTEN"),
        ("deallocate", "all") => Session::Deallocate(None),
        ("deallocate", "prepare") => Session::Deallocate(Some(cut.name(2)).filter(|name| name != "all")),
        ("deallocate", _) => Session::Deallocate(Some(cut.name(1))),
        ("set", "transaction") => return nothing("SET"),
        ("set", "session") if word(2) == "characteristics" => return nothing("SET"),
        ("set", _) => read_set(cut)?,
        ("show", "tables") => return Ok(Statement::Question(cut.rest(0))),
        ("show", "all") if word(2) == "tables" => return Ok(Statement::Question(cut.rest(0))),
        ("show", "time") => Session::Show("timezone".into()),
        ("show", "transaction") => Session::Show("transaction_isolation".into()),
        ("show", _) => Session::Show(cut.name(1)),
        _ => {
            return Ok(match is_about_catalogue(cut, views) {
                true => Statement::Catalogue(in_words_of_catalogue(cut, user)),
                false => Statement::Question(cut.rest(0)),
            });
        }
    };
    Ok(Statement::Session(session))
}

fn read_set(cut: &Cut) -> Result<Session, String> {
    let mut place = 1;
    if cut.is_word(1, "session") || cut.is_word(1, "local") {
        place = 2;
    }
    if cut.is_word(place, "time") && cut.is_word(place + 1, "zone") {
        return Ok(Session::Set { name: "timezone".into(), value: cut.rest(place + 2) });
    }
    if cut.is_word(place, "names") {
        return Ok(Session::Set { name: "client_encoding".into(), value: cut.rest(place + 1) });
    }
    if cut.get(place + 1) != "=" && !cut.is_word(place + 1, "to") {
        return Err("write SET name = value".into());
    }
    Ok(Session::Set { name: cut.name(place), value: cut.rest(place + 2) })
}

/// Functions that only the catalogue answers as PostgreSQL does.
const CATALOGUE_FUNCTIONS: [&str; 16] = [
    "version",
    "current_schema",
    "current_schemas",
    "current_database",
    "current_setting",
    "set_config",
    "format_type",
    "quote_ident",
    "obj_description",
    "col_description",
    "shobj_description",
    "has_schema_privilege",
    "has_table_privilege",
    "has_database_privilege",
    "to_regclass",
    "txid_current",
];

fn is_about_catalogue(cut: &Cut, views: &[String]) -> bool {
    let mut is_about = false;
    for place in 0..cut.tokens.len() {
        let name = cut.name(place);
        let is_qualified = place > 0 && cut.get(place - 1) == "." && cut.name(place.wrapping_sub(2)) != "main";
        let is_called = cut.get(place + 1) == "(";
        if !is_called && !is_qualified && views.contains(&name) {
            return false;
        }
        is_about |= name.starts_with("pg_") || name == "information_schema";
        is_about |= is_called && CATALOGUE_FUNCTIONS.contains(&name.as_str());
        is_about |= matches!(name.as_str(), "current_user" | "session_user" | "current_catalog");
    }
    is_about
}

/// The same statement as the catalogue's DuckDB reads it: PostgreSQL's own spellings are put into ones it knows.
fn in_words_of_catalogue(cut: &Cut, user: &str) -> String {
    let mut said: Vec<String> = Vec::new();
    // What is said in place of a token, and the token that is read next.
    let mut instead: HashMap<usize, (String, usize)> = HashMap::new();
    // Of each open parenthesis, whether what is read now stands after its FROM.
    let mut is_from = vec![false];
    let mut place = 0;
    while place < cut.tokens.len() {
        let (name, next) = (cut.name(place), cut.get(place + 1));
        if let Some((words, next)) = instead.remove(&place) {
            said.push(words);
            place = next;
            continue;
        }
        match (cut.get(place), name.as_str()) {
            ("(", _) => is_from.push(false),
            (")", _) => drop(is_from.pop()),
            (_, "from" | "join") => set_last(&mut is_from, true),
            (_, "select" | "where" | "on" | "group" | "order" | "having" | "union") => set_last(&mut is_from, false),
            (_, "generate_series" | "unnest" | "string_to_array") if next == "(" && is_from.last() == Some(&true) => {
                say_value_as_table(cut, place, &mut said, &mut instead);
            }
            _ => {}
        }
        let is_schema = matches!(name.as_str(), "pg_catalog" | "information_schema") && next == ".";
        match name.as_str() {
            // OPERATOR(pg_catalog.~) is ~.
            "operator" if next == "(" => {
                let end = (place..cut.tokens.len()).find(|place| cut.get(*place) == ")").unwrap_or(cut.tokens.len());
                let symbols =
                    (place + 2..end).filter(|place| cut.kind(*place) == Some(Kind::Symbol)).map(|place| cut.get(place));
                said.push(symbols.filter(|symbol| *symbol != ".").collect());
                place = end + 1;
            }
            "collate" => place += if cut.get(place + 2) == "." { 4 } else { 2 },
            "pg_catalog" if is_schema => place += 2,
            "information_schema" if is_schema => {
                said.push(format!("information_schema_{}", cut.name(place + 2)));
                place += 3;
            }
            "current_user" | "session_user" => {
                said.push(format!("'{}'", user.replace('\'', "''")));
                place += 1;
            }
            "json_build_object" => {
                said.push("json_object".into());
                place += 1;
            }
            "current_catalog" => {
                said.push("current_database()".into());
                place += 1;
            }
            "cast" if next == "(" && say_cast_in_words(cut, place, &mut said, &mut instead) => place += 2,
            // '{a,b}'::text[]
            _ if cut.get(place).starts_with("'{") && cut.get(place).ends_with("}'") && is_list_cast(cut, place + 1) => {
                let items = cut.get(place).trim_matches('\'').trim_matches(['{', '}']);
                said.push(format!("'[{items}]'"));
                place += 1;
            }
            _ if cut.get(place) == "::" => place = say_cast(cut, place, &mut said),
            _ if cut.kind(place) == Some(Kind::Text) && said.last().is_some_and(|last| last.ends_with('~')) => {
                // Any part may match in PostgreSQL, and in DuckDB the whole must.
                said.push(format!("('.*(?:' || {} || ').*')", cut.get(place)));
                place += 1;
            }
            _ => {
                let is_operator = |text: &str| matches!(text, "!" | "~" | "<" | ">" | "=" | "|" | "*");
                match said.last_mut() {
                    // The parts of an operator stay together.
                    Some(last)
                        if is_operator(cut.get(place))
                            && last.chars().all(|c| is_operator(&c.to_string()))
                            && touches(cut, place) =>
                    {
                        last.push_str(cut.get(place));
                    }
                    _ => said.push(cut.get(place).to_owned()),
                }
                place += 1;
            }
        }
    }
    said.join(" ")
}

fn set_last(flags: &mut [bool], flag: bool) {
    if let Some(last) = flags.last_mut() {
        *last = flag;
    }
}

/// A function after FROM has one column, which is meant by the alias alone. DuckDB is to be told so.
fn say_value_as_table(cut: &Cut, place: usize, said: &mut Vec<String>, instead: &mut HashMap<usize, (String, usize)>) {
    let Some(closing) = cut.closing(place + 1) else { return };
    let has_as = cut.is_word(closing + 1, "as");
    let alias = closing + 1 + usize::from(has_as);
    let name = cut.name(alias);
    let is_clause = ["where", "on", "join", "left", "inner", "cross", "group", "order", "union", "with", "limit"];
    if name.is_empty() || cut.get(alias + 1) == "(" || is_clause.contains(&name.as_str()) {
        return;
    }
    let name = cut.get(alias);
    let renamed = if cut.is_word(place, "string_to_array") {
        said.push("(SELECT".into());
        format!("{}{name}) AS {name}", if has_as { "" } else { "AS " })
    } else {
        format!("{name}({name})")
    };
    instead.insert(alias, (renamed, alias + 1));
}

/// Whether a cast to an array stands at a token.
fn is_list_cast(cut: &Cut, place: usize) -> bool {
    let name = if cut.get(place + 2) == "." { place + 3 } else { place + 1 };
    cut.get(place) == "::" && cut.get(name + 1) == "["
}

/// `CAST(x AS regclass)`, like `x::regclass`. Tells whether it was one.
fn say_cast_in_words(
    cut: &Cut,
    place: usize,
    said: &mut Vec<String>,
    instead: &mut HashMap<usize, (String, usize)>,
) -> bool {
    let Some(closing) = cut.closing(place + 1) else { return false };
    let name = cut.name(closing - 1);
    let words = if cut.get(closing - 2) == "." { closing - 4 } else { closing - 2 };
    if !matches!(name.as_str(), "regclass" | "regtype") || !cut.is_word(words, "as") {
        return false;
    }
    let is_column = matches!(cut.kind(words - 1), Some(Kind::Word | Kind::Name));
    said.push(format!("{name}_{}(", if is_column { "name" } else { "oid" }));
    instead.insert(words, (")".into(), closing + 1));
    true
}

/// Whether a token begins where the one before it ends.
fn touches(cut: &Cut, place: usize) -> bool {
    place > 0 && cut.tokens[place - 1].at.end == cut.tokens[place].at.start
}

/// A cast to `regclass` and its like: a name becomes its number, a column of numbers names. Other casts stay.
fn say_cast(cut: &Cut, place: usize, said: &mut Vec<String>) -> usize {
    let mut wanted = place + 1;
    if cut.name(wanted) == "pg_catalog" {
        wanted += 2;
    }
    let name = cut.name(wanted);
    if !matches!(name.as_str(), "regclass" | "regtype") {
        said.push("::".into());
        // information_schema's own types are texts.
        if name == "information_schema" {
            said.push("text".into());
            return wanted + 3;
        }
        return wanted;
    }
    let is_name = matches!(cut.kind(place - 1), Some(Kind::Text | Kind::Parameter));
    // The column may be qualified.
    let mut column = said.pop().unwrap_or_default();
    while said.last().is_some_and(|last| last == ".") {
        let dot = said.pop().unwrap_or_default();
        column = said.pop().unwrap_or_default() + &dot + &column;
    }
    let function = if is_name { "oid" } else { "name" };
    said.push(format!("{name}_{function}({column})"));
    wanted + 1
}

/// The types that a statement itself says its parameters have: `$1::bigint`. In the order of their numbers.
pub fn parameter_types(text: &str) -> Vec<Option<String>> {
    let tokens = tokens(text);
    let cut = Cut { text, tokens: &tokens };
    let mut types: Vec<Option<String>> = Vec::new();
    for place in 0..tokens.len() {
        if cut.kind(place) != Some(Kind::Parameter) {
            continue;
        }
        let number: usize = cut.get(place)[1..].parse().unwrap_or(0);
        // As many as the protocol can count.
        if !(1..=65_535).contains(&number) {
            continue;
        }
        if types.len() < number {
            types.resize(number, None);
        }
        if cut.get(place + 1) == "::" {
            let mut name = cut.name(place + 2);
            if name == "timestamp" && cut.is_word(place + 3, "with") {
                name = "timestamptz".into();
            }
            types[number - 1] = types[number - 1].take().or(Some(name));
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    fn views() -> Vec<String> {
        ["visits", "clients"].map(String::from).to_vec()
    }

    fn one(text: &str) -> Statement {
        let mut found = read(text, &views(), "ann").unwrap();
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0)
    }

    fn catalogue(text: &str) -> String {
        let Statement::Catalogue(said) = one(text) else { panic!("{text} is not about the catalogue") };
        said
    }

    #[test]
    fn statements_end_only_where_they_do() {
        for text in [
            "SELECT ';' ; ",
            "SELECT 'it''s;' -- ; not here\n;;",
            "SELECT $$;$$, $a$ ; $$ ; $a$",
            "SELECT E'\\';' /* ; /* ; */ ; */",
            "SELECT \"a;\"\"b\"",
        ] {
            assert!(matches!(one(text), Statement::Question(_)), "{text}");
        }
        assert_eq!(read("BEGIN; SELECT 1; COMMIT", &views(), "ann").unwrap().len(), 3);
        assert_eq!(read(" ; -- nothing", &views(), "ann").unwrap(), []);
    }

    #[test]
    fn sessions_are_told_from_questions() {
        assert_eq!(one("begin read only"), Statement::Session(Session::Begin));
        assert_eq!(one("START TRANSACTION"), Statement::Session(Session::Begin));
        let set = |name: &str, value: &str| Statement::Session(Session::Set { name: name.into(), value: value.into() });
        assert_eq!(one("SET TIME ZONE 'UTC'"), set("timezone", "UTC"));
        assert_eq!(one("set session statement_timeout to 5"), set("statement_timeout", "5"));
        assert_eq!(one("SHOW search_path"), Statement::Session(Session::Show("search_path".into())));
        assert_eq!(one("SHOW TABLES"), Statement::Question("SHOW TABLES".into()));
        assert_eq!(one("SELECT * FROM visits"), Statement::Question("SELECT * FROM visits".into()));
        assert_eq!(
            one("SELECT current_database(), v.* FROM main.visits v"),
            Statement::Question("SELECT current_database(), v.* FROM main.visits v".into())
        );
        assert!(read("SET a b", &views(), "ann").is_err());
    }

    #[test]
    fn what_postgresql_writes_is_put_into_words_of_the_catalogue() {
        assert_eq!(
            catalogue(
                "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(visits)$' COLLATE pg_catalog.default"
            ),
            "SELECT c . oid FROM pg_class c WHERE c . relname ~ ('.*(?:' || '^(visits)$' || ').*')"
        );
        assert_eq!(catalogue("SELECT 'visits'::regclass::oid, pg_x"), "SELECT regclass_oid('visits') :: oid , pg_x");
        assert_eq!(
            catalogue("SELECT c.oid::pg_catalog.regclass FROM pg_class c"),
            "SELECT regclass_name(c.oid) FROM pg_class c"
        );
        assert_eq!(
            catalogue("SELECT CAST(CAST(a.b AS pg_catalog.REGCLASS) AS TEXT), CAST($1 AS regclass) FROM pg_class"),
            "SELECT CAST ( regclass_name( a . b ) AS TEXT ) , regclass_oid( $1 ) FROM pg_class"
        );
        assert_eq!(
            catalogue("SELECT * FROM information_schema.tables WHERE a <> b AND x !~ '^pg'"),
            "SELECT * FROM information_schema_tables WHERE a <> b AND x !~ ('.*(?:' || '^pg' || ').*')"
        );
        assert_eq!(catalogue("SELECT current_user"), "SELECT 'ann'");
        assert_eq!(catalogue("SELECT '{a,b}'::text[] FROM pg_class"), "SELECT '[a,b]' :: text [ ] FROM pg_class");
        assert_eq!(
            catalogue("SELECT pg_x, s[i] FROM generate_series(1, len((a))) AS i, string_to_array('a', ',') s WHERE s"),
            "SELECT pg_x , s [ i ] FROM generate_series ( 1 , len ( ( a ) ) ) AS i(i) , \
             (SELECT string_to_array ( 'a' , ',' ) AS s) AS s WHERE s"
        );
    }

    #[test]
    fn parameters_have_the_types_they_are_cast_to() {
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            parameter_types("SELECT $2::bigint, '$3', $1, $2 + 1, $4::timestamp with time zone"),
            [None, some("bigint"), None, some("timestamptz")]
        );
    }
}
