//! SVG text.

use std::fmt::{Display, Write as _};

/// An SVG document that grows.
pub(crate) struct Svg {
    text: String,
}

/// Where a text stands on its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut text = String::new();
        let _ = write!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12\">\
             <title>{}</title><rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>",
            escape(title)
        );
        Self { text }
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, more: &str, content: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" {more}>{}</text>",
            escape(content)
        );
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), more: &str) {
        let _ = write!(
            self.text,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {more}/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// A line through points, or an area if it is closed.
    pub(crate) fn path(
        &mut self,
        points: impl IntoIterator<Item = (f64, f64)>,
        close: bool,
        more: &str,
    ) {
        let mut d = String::new();
        for (i, (x, y)) in points.into_iter().enumerate() {
            let _ = write!(d, "{}{x:.1},{y:.1}", if i == 0 { "M" } else { "L" });
        }
        let _ = write!(self.text, "<path d=\"{d}{}\" {more}/>", if close { "Z" } else { "" });
    }

    pub(crate) fn rect(&mut self, at: (f64, f64), size: (f64, f64), more: &str, title: &str) {
        let _ = write!(
            self.text,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" {more}>",
            at.0, at.1, size.0, size.1
        );
        let _ = write!(self.text, "<title>{}</title></rect>", escape(title));
    }

    pub(crate) fn circle(&mut self, (x, y): (f64, f64), radius: f64, more: &str, title: &str) {
        let _ = write!(
            self.text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" {more}><title>{}</title></circle>",
            escape(title)
        );
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// A text that is safe between tags and in attributes.
pub(crate) fn escape(text: impl Display) -> String {
    let mut out = String::new();
    for c in text.to_string().chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no place for other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
