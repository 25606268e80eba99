//! Values in cells, as colours.

use crate::svg::{Anchor, Svg};

/// A table of values as colours.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// Stands above.
    pub title: String,
    /// Stands below, a line each.
    pub caption: Vec<String>,
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// Values by row and column; cells without a value stay white. 0 is the best, the largest fall
    /// is darkest.
    pub values: Vec<Vec<Option<f64>>>,
}

const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;

impl HeatMap {
    /// The map as an SVG document.
    pub fn svg(&self) -> String {
        let cell = (620.0 / self.columns.len().max(1) as f64).clamp(24.0, 64.0);
        let (across, down) = (cell * self.columns.len() as f64, cell * self.rows.len() as f64);
        // Letters of the title are about 8.5 wide.
        let title = 40.0 + 8.5 * self.title.chars().count() as f64;
        let width = (LEFT + across + 24.0).max(title);
        let height = TOP + down + 52.0 + 16.0 * self.caption.len() as f64;
        let mut svg = Svg::new(width, height, &self.title);
        svg.text((16.0, 22.0), Anchor::Start, "font-size=\"15\" font-weight=\"600\"", &self.title);
        let deepest = self.values.iter().flatten().flatten().fold(0.0f64, |m, v| m.min(*v));
        for (r, row) in self.values.iter().enumerate() {
            for (c, value) in row.iter().enumerate() {
                let Some(value) = value else { continue };
                let share = if deepest < 0.0 { (value / deepest).clamp(0.0, 1.0) } else { 0.0 };
                let at = (LEFT + cell * c as f64, TOP + cell * r as f64);
                let fill = format!("fill=\"{}\" stroke=\"#ffffff\"", colour(share));
                let note = format!("{} to {}: {value:.1}", self.rows[r], self.columns[c]);
                svg.rect(at, (cell, cell), &fill, &note);
                let ink = if share > 0.55 { "#ffffff" } else { "#222222" };
                let style =
                    format!("fill=\"{ink}\" font-size=\"{:.0}\"", (cell / 3.6).clamp(8.0, 12.0));
                let middle = (at.0 + cell / 2.0, at.1 + cell / 2.0 + 4.0);
                svg.text(middle, Anchor::Middle, &style, &format!("{value:.1}"));
            }
        }
        for (c, name) in self.columns.iter().enumerate() {
            svg.text((LEFT + cell * (c as f64 + 0.5), TOP + down + 16.0), Anchor::Middle, "", name);
        }
        for (r, name) in self.rows.iter().enumerate() {
            svg.text((LEFT - 8.0, TOP + cell * (r as f64 + 0.5) + 4.0), Anchor::End, "", name);
        }
        svg.text((LEFT + across / 2.0, TOP + down + 34.0), Anchor::Middle, "", &self.x_label);
        let middle = TOP + down / 2.0;
        let turn = format!("transform=\"rotate(-90 16 {middle:.1})\"");
        svg.text((16.0, middle), Anchor::Middle, &turn, &self.y_label);
        for (i, line) in self.caption.iter().enumerate() {
            let place = (16.0, TOP + down + 54.0 + 16.0 * i as f64);
            svg.text(place, Anchor::Start, "fill=\"#555555\" font-size=\"11\"", line);
        }
        svg.finish()
    }
}

/// From nearly white to dark blue.
fn colour(share: f64) -> String {
    let mix = |from: f64, to: f64| (from + share * (to - from)).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(240.0, 8.0), mix(246.0, 48.0), mix(252.0, 107.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_without_value_stay_empty() {
        let map = HeatMap {
            title: "t".into(),
            caption: Vec::new(),
            x_label: "last".into(),
            y_label: "first".into(),
            columns: vec!["0".into(), "1".into()],
            rows: vec!["0".into(), "1".into()],
            values: vec![vec![Some(-1.0), Some(-4.0)], vec![None, Some(0.0)]],
        };
        let svg = map.svg();
        assert_eq!(svg.matches("<rect").count(), 1 + 3);
        assert!(svg.contains("#08306b"), "the deepest is darkest");
    }
}
