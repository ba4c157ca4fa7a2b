//! Floorplan images: PNG, JPEG or SVG, told by their content and not by what the sender calls them.

use imagesize::ImageType;

/// What an image is; pixels where it states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    pub content_type: &'static str,
    pub width_px: Option<u32>,
    pub height_px: Option<u32>,
}

/// Why bytes are no floorplan image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImageError {
    #[error("this is no PNG, JPEG or SVG image")]
    Unknown,
    #[error("this {0} image is damaged: its size cannot be read")]
    Damaged(&'static str),
    #[error("this SVG holds {0:?}: a floorplan may not run scripts, load other files or declare entities")]
    Active(&'static str),
}

/// Looks at the bytes. An SVG is shown to people in a browser later, so one that could do more than draw is refused.
pub fn check_image(bytes: &[u8]) -> Result<Image, ImageError> {
    match imagesize::image_type(bytes) {
        Ok(ImageType::Png) => sized("image/png", "PNG", bytes),
        Ok(ImageType::Jpeg) => sized("image/jpeg", "JPEG", bytes),
        _ => check_svg(bytes),
    }
}

fn sized(content_type: &'static str, name: &'static str, bytes: &[u8]) -> Result<Image, ImageError> {
    let size = imagesize::blob_size(bytes).map_err(|_| ImageError::Damaged(name))?;
    let pixels = |px: usize| u32::try_from(px).ok().filter(|px| *px > 0);
    match (pixels(size.width), pixels(size.height)) {
        (width_px @ Some(_), height_px @ Some(_)) => Ok(Image { content_type, width_px, height_px }),
        _ => Err(ImageError::Damaged(name)),
    }
}

/// What an SVG that only draws has no need of; compared in lower case.
const ACTIVE: [&str; 10] = [
    "<script",
    "<foreignobject",
    "<!doctype",
    "<!entity",
    "<iframe",
    "<embed",
    "<object",
    "javascript:",
    "@import",
    "<animate",
];

fn check_svg(bytes: &[u8]) -> Result<Image, ImageError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ImageError::Unknown)?.to_ascii_lowercase();
    if !root_element(&text).is_some_and(|root| root.starts_with("<svg") && text.contains("</svg>")) {
        return Err(ImageError::Unknown);
    }
    if let Some(active) = ACTIVE.iter().find(|active| text.contains(**active)) {
        return Err(ImageError::Active(active));
    }
    if has_event_handler(&text) {
        return Err(ImageError::Active("on...="));
    }
    if let Some(link) = ["href=\"", "href='"].into_iter().find(|link| links_elsewhere(&text, link)) {
        return Err(ImageError::Active(link));
    }
    if text.split("url(").skip(1).any(|rest| !rest.trim_start_matches(['"', '\'', ' ']).starts_with('#')) {
        return Err(ImageError::Active("url("));
    }
    Ok(Image { content_type: "image/svg+xml", width_px: None, height_px: None })
}

/// The text from the first element on, past an XML declaration and comments.
fn root_element(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        rest = match rest {
            _ if rest.starts_with("<?") => rest.split_once("?>")?.1,
            _ if rest.starts_with("<!--") => rest.split_once("-->")?.1,
            _ => return Some(rest),
        }
        .trim_start();
    }
}

/// An attribute whose name begins with `on`, such as onload.
fn has_event_handler(text: &str) -> bool {
    text.split(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '/')).any(|word| {
        let name = word.split('=').next().unwrap_or_default();
        name.len() > 2 && name.starts_with("on") && word.contains('=') && name.bytes().all(|b| b.is_ascii_alphabetic())
    })
}

/// A link to anything but a part of the same image or a picture inside it.
fn links_elsewhere(text: &str, link: &str) -> bool {
    let inside = ["#", "data:image/png", "data:image/jpeg"];
    text.split(link).skip(1).any(|target| !inside.iter().any(|start| target.trim_start().starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = &[
        0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 4, 0, 0, 0, 3, 0, 8,
        2, 0, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn a_png_tells_its_size_and_a_broken_one_is_refused() {
        let found = check_image(PNG).unwrap();
        assert_eq!((found.content_type, found.width_px, found.height_px), ("image/png", Some(1024), Some(768)));
        assert_eq!(check_image(&PNG[..14]), Err(ImageError::Damaged("PNG")));
    }

    #[test]
    fn an_svg_that_only_draws_is_taken() {
        let svg = "<?xml version=\"1.0\"?><!-- plan --><svg xmlns=\"http://www.w3.org/2000/svg\">\
                   <defs><g id=\"d\"/></defs><use href=\"#d\" fill=\"url(#g)\"/><text>one = on</text></svg>";
        assert_eq!(check_image(svg.as_bytes()).unwrap().content_type, "image/svg+xml");
    }

    #[test]
    fn an_svg_that_could_do_more_is_refused() {
        for inner in [
            "<script>alert(1)</script>",
            "<rect onload=\"x()\"/>",
            "<rect\nonClick='x()'/>",
            "<a href=\"https://example.com\"/>",
            "<image xlink:href='//x/y.png'/>",
            "<foreignObject/>",
            "<style>@import 'x'</style>",
            "<rect fill=\"url(http://x/)\"/>",
        ] {
            let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{inner}</svg>");
            assert!(matches!(check_image(svg.as_bytes()), Err(ImageError::Active(_))), "{inner}");
        }
    }

    #[test]
    fn other_bytes_are_no_image() {
        for bytes in [&b""[..], b"GIF89a", b"<html></html>", b"{}", &[0xff; 20], b"<svg"] {
            assert!(check_image(bytes).is_err());
        }
    }
}
