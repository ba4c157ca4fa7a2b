//! Floorplan images: PNG, JPEG or SVG, told by their content and not by what the sender calls them.

use imagesize::ImageType;

use super::svg;

/// What an image is; pixels where it states them, which an SVG need not.
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
    #[error("this SVG image is not well-formed XML: {0}")]
    Malformed(&'static str),
    #[error("this SVG holds {0}: a floorplan may not run scripts, load other files or declare entities")]
    Active(String),
}

/// Looks at the bytes. An SVG is shown to people in a browser later, so one that could do more than draw is refused.
pub fn check_image(bytes: &[u8]) -> Result<Image, ImageError> {
    match imagesize::image_type(bytes) {
        Ok(ImageType::Png) => sized("image/png", "PNG", bytes),
        Ok(ImageType::Jpeg) => sized("image/jpeg", "JPEG", bytes),
        _ => {
            svg::check(std::str::from_utf8(bytes).map_err(|_| ImageError::Unknown)?)?;
            Ok(Image { content_type: "image/svg+xml", width_px: None, height_px: None })
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0\x08\x02\0\0\0\0\0\0\0";

    /// Start, an empty application segment, a frame header of 640 x 480, end.
    const JPEG: &[u8] =
        b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x11\x08\x01\xe0\x02\x80\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9";

    #[test]
    fn a_png_and_a_jpeg_tell_their_size() {
        let png = Image { content_type: "image/png", width_px: Some(1024), height_px: Some(768) };
        assert_eq!(check_image(PNG), Ok(png));
        let jpeg = Image { content_type: "image/jpeg", width_px: Some(640), height_px: Some(480) };
        assert_eq!(check_image(JPEG), Ok(jpeg));
    }

    #[test]
    fn a_broken_image_is_refused() {
        assert_eq!(check_image(&PNG[..14]), Err(ImageError::Damaged("PNG")));
        assert_eq!(check_image(&JPEG[..14]), Err(ImageError::Damaged("JPEG")));
        let flat: Vec<u8> = PNG.iter().enumerate().map(|(at, byte)| if at < 16 { *byte } else { 0 }).collect();
        assert_eq!(check_image(&flat), Err(ImageError::Damaged("PNG")));
    }

    #[test]
    fn other_bytes_are_no_image() {
        for bytes in [&b""[..], b"GIF89a\x01\0\x01\0", b"<html></html>", b"{}", &[0xff; 20], b"\xff\xfe<\0s\0v\0g\0"] {
            assert_eq!(check_image(bytes), Err(ImageError::Unknown));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in 0..3, cut in 0..40usize, tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = [&b""[..], PNG, JPEG][kind as usize];
            let bytes = [&head[..cut.min(head.len())], &tail].concat();
            let _ = check_image(&bytes);
        }
    }
}
