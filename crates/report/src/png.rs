//! Figures as PNG.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// The letters of the figures travel with the program: a machine may have none.
const FONT: &[u8] = include_bytes!("../assets/charts-sans.ttf");

/// A figure that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the figure cannot be drawn as PNG: {0}")]
pub struct Error(String);

/// Draws an SVG document at twice its size.
///
/// # Errors
/// If the document is not SVG or too large.
pub fn png(svg: &str) -> Result<Vec<u8>, Error> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        let family = fonts.faces().find_map(|f| f.families.first().map(|(name, _)| name.clone()));
        if let Some(family) = family {
            fonts.set_sans_serif_family(family);
        }
        Arc::new(fonts)
    });
    let options = Options { fontdb: Arc::clone(fonts), ..Options::default() };
    let fail = |e: &dyn std::fmt::Display| Error(e.to_string());
    let tree = Tree::from_str(svg, &options).map_err(|e| fail(&e))?;
    let size = tree.size();
    let (width, height) = ((2.0 * size.width()).ceil(), (2.0 * size.height()).ceil());
    let mut pixels =
        Pixmap::new(width as u32, height as u32).ok_or_else(|| fail(&"it is too large"))?;
    resvg::render(&tree, Transform::from_scale(2.0, 2.0), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| fail(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_drawn() {
        let svg = |text: &str| {
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"60\" height=\"30\" font-family=\"system-ui, sans-serif\"><text x=\"5\" y=\"20\">{text}</text></svg>"
            )
        };
        let (with, without) = (png(&svg("Ab1 ±")).unwrap(), png(&svg("")).unwrap());
        assert!(with.starts_with(b"\x89PNG") && with.len() > without.len() + 100);
        assert!(png("no drawing").is_err());
    }
}
