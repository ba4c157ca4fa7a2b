//! Whether an SVG only draws: it is served to browsers, which would run its scripts and fetch what it links to.
//!
//! A strict reading of XML 1.0, because a lenient one sees other elements than the browser does: names are compared
//! without prefix and case, references in values are resolved first, and what is not well formed is refused.

use super::image::ImageError;

/// Elements, without prefix and in lower case, that run or embed something or change attributes later.
const ELEMENTS: [&str; 10] = [
    "script",
    "foreignobject",
    "handler",
    "listener",
    "iframe",
    "embed",
    "object",
    "set",
    "animate",
    "animatetransform",
];

/// Parts of styles that load something, beside `url(`.
const STYLES: [&str; 3] = ["@import", "image-set(", "javascript:"];

/// Links that stay inside the image.
const INSIDE: [&str; 5] = ["#", "data:image/png;", "data:image/png,", "data:image/jpeg;", "data:image/jpeg,"];

/// Says why a text is no SVG that only draws.
pub fn check(text: &str) -> Result<(), ImageError> {
    let mut rest = declaration(text.trim_start_matches('\u{feff}'))?;
    let mut inside = Inside::default();
    while let Some(at) = rest.find('<') {
        let (words, markup) = rest.split_at(at);
        inside.words(words, resolved)?;
        rest = if let Some(comment) = markup.strip_prefix("<!--") {
            past(comment, "-->", "a comment does not end")?.1
        } else if let Some(instruction) = markup.strip_prefix("<?") {
            let (instruction, rest) = past(instruction, "?>", "an instruction does not end")?;
            if instruction.to_ascii_lowercase().starts_with("xml") {
                return Err(active("a style sheet or second declaration in <?xml ...?>"));
            }
            rest
        } else if let Some(words) = markup.strip_prefix("<![CDATA[") {
            let (words, rest) = past(words, "]]>", "a CDATA section does not end")?;
            inside.words(words, |words| Ok(words.to_owned()))?;
            rest
        } else if markup.starts_with("<!") {
            return Err(active("a DOCTYPE or ENTITY"));
        } else if let Some(end) = markup.strip_prefix("</") {
            let (name, rest) = past(end, ">", "an end tag does not end")?;
            inside.close(name.trim_end_matches(is_blank))?;
            rest
        } else {
            let tag = Tag::read(&markup[1..])?;
            inside.open(&tag)?;
            tag.check()?;
            tag.rest
        };
    }
    inside.words(rest, resolved)?;
    match (inside.has_root, inside.open.is_empty()) {
        (false, _) => Err(ImageError::Unknown),
        (true, false) => Err(ImageError::Malformed("an element does not end")),
        (true, true) => Ok(()),
    }
}

/// Where the reading is: the elements that are open, by name, outermost first.
#[derive(Default)]
struct Inside<'a> {
    open: Vec<&'a str>,
    has_root: bool,
    /// The words of the style element that is open: comments and CDATA may cut a word in two.
    style: String,
}

impl<'a> Inside<'a> {
    fn open(&mut self, tag: &Tag<'a>) -> Result<(), ImageError> {
        if self.open.is_empty() && (self.has_root || local(tag.name) != "svg") {
            return Err(ImageError::Unknown);
        }
        self.has_root = true;
        if !tag.is_closed {
            self.open.push(tag.name);
        }
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), ImageError> {
        if self.open.pop() != Some(name) {
            return Err(ImageError::Malformed("an end tag has no start tag"));
        }
        if local(name) == "style" { check_style(&std::mem::take(&mut self.style)) } else { Ok(()) }
    }

    /// Text between tags: blank outside the root, a style inside a style element, else anything.
    fn words(&mut self, words: &str, read: impl Fn(&str) -> Result<String, ImageError>) -> Result<(), ImageError> {
        match self.open.last() {
            None if words.trim().is_empty() => {}
            None if self.has_root => return Err(ImageError::Malformed("text follows the image")),
            None => return Err(ImageError::Unknown),
            Some(name) if local(name) == "style" => self.style.push_str(&read(words)?),
            Some(_) => {}
        }
        Ok(())
    }
}

fn active(what: impl Into<String>) -> ImageError {
    ImageError::Active(what.into())
}

/// The text past its XML declaration, which must not give another encoding than the one the text was read in.
fn declaration(text: &str) -> Result<&str, ImageError> {
    let Some(declared) = text.strip_prefix("<?xml").filter(|declared| declared.starts_with(is_blank)) else {
        return Ok(text);
    };
    let (declared, rest) = past(declared, "?>", "the XML declaration does not end")?;
    let declared = declared.to_ascii_lowercase();
    let Some((_, encoding)) = declared.split_once("encoding") else { return Ok(rest) };
    let encoding = encoding.trim_start_matches(|c| is_blank(c) || c == '=');
    if ["\"utf-8\"", "'utf-8'", "\"us-ascii\"", "'us-ascii'"].iter().any(|name| encoding.starts_with(name)) {
        return Ok(rest);
    }
    Err(ImageError::Malformed("its encoding must be UTF-8"))
}

/// A name without prefix, in lower case.
fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase()
}

fn past<'a>(text: &'a str, end: &str, otherwise: &'static str) -> Result<(&'a str, &'a str), ImageError> {
    text.split_once(end).ok_or(ImageError::Malformed(otherwise))
}

/// A start tag, and the text behind it.
struct Tag<'a> {
    name: &'a str,
    /// Names as they stand; values with their references resolved.
    attributes: Vec<(&'a str, String)>,
    is_closed: bool,
    rest: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads from behind the `<`.
    fn read(text: &'a str) -> Result<Tag<'a>, ImageError> {
        let (name, mut rest) = named(text)?;
        let mut attributes = Vec::new();
        loop {
            let next = rest.trim_start_matches(is_blank);
            if let Some(rest) = next.strip_prefix('>') {
                return Ok(Tag { name, attributes, is_closed: false, rest });
            }
            if let Some(rest) = next.strip_prefix("/>") {
                return Ok(Tag { name, attributes, is_closed: true, rest });
            }
            if next.len() == rest.len() {
                return Err(ImageError::Malformed("a tag has no blank between its attributes"));
            }
            let (attribute, value) = named(next)?;
            let value =
                value.trim_start_matches(is_blank).strip_prefix('=').map(|value| value.trim_start_matches(is_blank));
            let quote = value.and_then(|value| value.chars().next()).filter(|quote| matches!(quote, '"' | '\''));
            let (Some(value), Some(quote)) = (value, quote) else {
                return Err(ImageError::Malformed("an attribute has no value in quotes"));
            };
            let Some((value, behind)) = value[1..].split_once(quote).filter(|(value, _)| !value.contains('<')) else {
                return Err(ImageError::Malformed("an attribute's value does not end"));
            };
            attributes.push((attribute, resolved(value)?));
            rest = behind;
        }
    }

    fn check(&self) -> Result<(), ImageError> {
        let element = local(self.name);
        if ELEMENTS.contains(&element.as_str()) {
            return Err(active(format!("<{element}>")));
        }
        for (name, value) in &self.attributes {
            let name = name.to_ascii_lowercase();
            let short = local(&name);
            if short.starts_with("on") {
                return Err(active(format!("the event handler {short}")));
            }
            if name == "xml:base" || (name.starts_with("xmlns") && value.contains("1999/xhtml")) {
                return Err(active(format!("{name}={value:?}")));
            }
            if matches!(short.as_str(), "href" | "src") && !is_inside(value) {
                return Err(active(format!("a link in {name} to something outside of it")));
            }
            // What has a prefix belongs to a drawing program, and browsers make nothing of it.
            if !name.contains(':') {
                check_style(value)?;
            }
        }
        Ok(())
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// An XML name and what follows it.
fn named(text: &str) -> Result<(&str, &str), ImageError> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.') || !c.is_ascii();
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let is_name = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || !c.is_ascii());
    if is_name { Ok(text.split_at(end)) } else { Err(ImageError::Malformed("a tag or attribute has no name")) }
}

/// A value with its references resolved. Without a DOCTYPE there are five names, and numbers.
fn resolved(value: &str) -> Result<String, ImageError> {
    let mut pieces = value.split('&');
    let mut found = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (reference, behind) = past(piece, ";", "a reference (&...;) does not end")?;
        let character = match reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match (reference.strip_prefix("#x"), reference.strip_prefix('#')) {
                (Some(hex), _) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
                (None, Some(decimal)) => decimal.parse().ok().and_then(char::from_u32),
                (None, None) => None,
            },
        };
        found.push(character.ok_or(ImageError::Malformed("a reference (&...;) stands for nothing"))?);
        found.push_str(behind);
    }
    Ok(found)
}

/// Whether a link leads to a part of the same image or to a picture inside it.
fn is_inside(link: &str) -> bool {
    let link = link.trim().to_ascii_lowercase();
    link.is_empty() || INSIDE.iter().any(|start| link.starts_with(start))
}

/// A style, or an attribute that is read as one.
fn check_style(style: &str) -> Result<(), ImageError> {
    let style = style.to_ascii_lowercase();
    if let Some(found) = STYLES.iter().find(|found| style.contains(**found)) {
        return Err(active(format!("{found} in a style")));
    }
    if style.split("url(").skip(1).any(|link| !is_inside(link.trim_start().trim_start_matches(['"', '\'']))) {
        return Err(active("url(...) of something outside of it"));
    }
    // A backslash may spell a letter of `url(` or `@import` otherwise.
    let escapes = style.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_alphanumeric());
    if escapes && style.contains(['(', '@']) {
        return Err(active("an escape in a style"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(inner: &str) -> Result<(), ImageError> {
        check(&format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\">{inner}</svg>"
        ))
    }

    #[test]
    fn an_svg_as_drawing_programs_write_it_is_taken() {
        let svg = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n\
            <!-- Created with Inkscape -->\n\
            <svg:svg xmlns:svg=\"http://www.w3.org/2000/svg\" xmlns:sodipodi=\"http://sodipodi.sourceforge.net/x.dtd\" \
            sodipodi:docname=\"C:\\data (1)\\floor.svg\" viewBox='0 0 48 30'>\
            <metadata><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
            <cc:Work rdf:about=\"\"/></rdf:RDF></metadata>\
            <style type=\"text/css\"><![CDATA[ .a > .b { fill: url(#d); font-family: 'A\\, B' } ]]></style>\
            <defs ><g id=\"d\"/></defs ><use xlink:href=\"#d\" fill=\"url( '#g' )\" />\
            <image href=\"data:image/png;base64,iVBO\"/><text>one = on; url(x) &amp; &#169; a > b</text></svg:svg>\n";
        assert_eq!(check(svg), Ok(()));
    }

    #[test]
    fn an_svg_that_could_do_more_than_draw_is_refused() {
        for inner in [
            "<script>alert(1)</script>",
            "<x:SCRIPT xmlns:x='http://www.w3.org/2000/svg'>alert(1)</x:SCRIPT>",
            "<rect onload=\"x()\"/>",
            "<rect\nonClick\n=\n'x()'/>",
            "<a href=\"https://example.com\"/>",
            "<a xlink:href = 'javascript:x()'/>",
            "<a href='&#106;avascript:x()'/>",
            "<image xlink:href='//x/y.png'/>",
            "<image href='data:image/svg+xml;base64,PHN2'/>",
            "<use href='other.svg#a'/>",
            "<g xml:base='http://x/'><use href='#a'/></g>",
            "<foreignObject/>",
            "<set attributeName='href' to='javascript:x()'/>",
            "<h:img xmlns:h='http://www.w3.org/1999/xhtml'/>",
            "<style>@import 'x'</style>",
            "<style><![CDATA[@import 'x']]></style>",
            "<style>@im<!-- -->port 'x'</style>",
            "<style>a { fill: u<![CDATA[rl(http://x/)]]> }</style>",
            "<style>a { fill: u\\72l(http://x/) }</style>",
            "<rect fill=\"url(http://x/)\"/>",
            "<rect style='fill:&#x75;rl( \"http://x/\")'/>",
            "<?xml-stylesheet href='x.css'?>",
            "<!ENTITY a 'b'>",
        ] {
            assert!(matches!(drawn(inner), Err(ImageError::Active(_))), "{inner}: {:?}", drawn(inner));
        }
        assert!(matches!(check("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>"), Err(ImageError::Active(_))));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for inner in [
            "<g>",
            "</g>",
            "<g></h>",
            "<g",
            "<g a=b/>",
            "<g a/>",
            "<g a='1'b='2'/>",
            "<g a='<'/>",
            "<g a='&x;'/>",
            "<g a='& b'/>",
            "<!-- ",
            "<![CDATA[",
            "< g/>",
        ] {
            assert!(matches!(drawn(inner), Err(ImageError::Malformed(_))), "{inner}: {:?}", drawn(inner));
        }
        for text in ["<svg/>x", "<?xml version='1.0' encoding = 'UTF-16'?><svg/>"] {
            assert!(matches!(check(text), Err(ImageError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn another_root_is_no_svg() {
        for text in ["", "x", "<html/>", "<svg/><svg/>", "x<svg/>", "<!-- <svg/> -->"] {
            assert_eq!(check(text), Err(ImageError::Unknown), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(parts in prop::collection::vec(prop::sample::select(vec![
            "<svg", "<", ">", "/>", "</svg>", "=", "'", "\"", "&", ";", "&#x;", "<!--", "-->", "<?", "?>", "<![CDATA[",
            "]]>", " a", "é", "<style>", "url(", "\\", "\u{feff}",
        ]), 0..30)) {
            let _ = check(&parts.concat());
        }
    }
}
