//! Points and lines.

use crate::Scale;
use crate::svg::{Anchor, Svg};

/// A chart of series over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Stands above.
    pub title: String,
    /// Stands below, a line each: what the data are.
    pub caption: Vec<String>,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, in this order.
    pub series: Vec<Series>,
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// How values stand on it.
    pub scale: Scale,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points in the order of the line.
    pub points: Vec<Point>,
    /// Whether a line joins them.
    pub line: bool,
    /// Whether `low` to `high` is an area, instead of a bar at each point.
    pub band: bool,
}

/// One point.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// Its place.
    pub x: f64,
    /// Its height.
    pub y: f64,
    /// Lower end of its error bar or of the band.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What the pointer shows.
    pub note: String,
}

/// Colours that people with colour blindness can tell apart (Okabe and Ito 2008).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#7a5c00", "#e69f00", "#000000"];
const WIDTH: f64 = 760.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = 340.0;

impl Chart {
    /// The chart as an SVG document, 760 units wide.
    pub fn svg(&self) -> String {
        let legend = self.legend_rows();
        let top = 40.0 + 18.0 * legend.len() as f64;
        let height = top + PLOT + 52.0 + 16.0 * self.caption.len() as f64;
        let mut svg = Svg::new(WIDTH, height, &self.title);
        svg.text((LEFT, 22.0), Anchor::Start, "font-size=\"15\" font-weight=\"600\"", &self.title);
        for (i, row) in legend.iter().enumerate() {
            let y = 42.0 + 18.0 * i as f64;
            for &(series, x) in row {
                let colour = COLOURS[series % COLOURS.len()];
                svg.circle((x + 5.0, y - 4.0), 5.0, &format!("fill=\"{colour}\""), "");
                svg.text((x + 15.0, y), Anchor::Start, "", &self.series[series].name);
            }
        }
        let points = || self.series.iter().flat_map(|s| &s.points);
        let xs = self.x.scale.range(points().map(|p| p.x));
        let ys = self.y.scale.range(
            points()
                .flat_map(|p| [Some(p.y), p.low, p.high].into_iter().flatten())
                .collect::<Vec<_>>()
                .into_iter(),
        );
        let at = |x: f64, y: f64| {
            let across = LEFT + self.x.scale.place(x, xs) * (WIDTH - LEFT - RIGHT);
            (across, top + PLOT * (1.0 - self.y.scale.place(y, ys)))
        };
        self.axes(&mut svg, top, xs, ys);
        for (i, series) in self.series.iter().enumerate() {
            series.draw(&mut svg, COLOURS[i % COLOURS.len()], &at);
        }
        for (i, line) in self.caption.iter().enumerate() {
            let place = (LEFT, top + PLOT + 54.0 + 16.0 * i as f64);
            svg.text(place, Anchor::Start, "fill=\"#555555\" font-size=\"11\"", line);
        }
        svg.finish()
    }

    /// Places of the names, in rows that fit the width.
    fn legend_rows(&self) -> Vec<Vec<(usize, f64)>> {
        let mut rows: Vec<Vec<(usize, f64)>> = Vec::new();
        let mut x = f64::INFINITY;
        for (i, series) in self.series.iter().enumerate().filter(|(_, s)| !s.name.is_empty()) {
            let width = 28.0 + 7.2 * series.name.chars().count() as f64;
            if x + width > WIDTH - RIGHT {
                rows.push(Vec::new());
                x = LEFT;
            }
            if let Some(row) = rows.last_mut() {
                row.push((i, x));
            }
            x += width;
        }
        rows
    }

    fn axes(&self, svg: &mut Svg, top: f64, xs: (f64, f64), ys: (f64, f64)) {
        let (right, bottom) = (WIDTH - RIGHT, top + PLOT);
        for (value, text) in self.y.scale.ticks(ys) {
            let y = top + PLOT * (1.0 - self.y.scale.place(value, ys));
            svg.line((LEFT, y), (right, y), "stroke=\"#e3e3e3\"");
            svg.text((LEFT - 8.0, y + 4.0), Anchor::End, "fill=\"#444444\"", &text);
        }
        for (value, text) in self.x.scale.ticks(xs) {
            let x = LEFT + self.x.scale.place(value, xs) * (right - LEFT);
            svg.line((x, bottom), (x, bottom + 5.0), "stroke=\"#888888\"");
            svg.text((x, bottom + 18.0), Anchor::Middle, "fill=\"#444444\"", &text);
        }
        svg.line((LEFT, bottom), (right, bottom), "stroke=\"#888888\"");
        svg.text(((LEFT + right) / 2.0, bottom + 36.0), Anchor::Middle, "", &self.x.label);
        let middle = top + PLOT / 2.0;
        let turn = format!("transform=\"rotate(-90 16 {middle:.1})\"");
        svg.text((16.0, middle), Anchor::Middle, &turn, &self.y.label);
    }
}

impl Series {
    fn draw(&self, svg: &mut Svg, colour: &str, at: &impl Fn(f64, f64) -> (f64, f64)) {
        let ends: Vec<_> =
            self.points.iter().filter_map(|p| Some((p.x, p.low?, p.high?))).collect();
        if self.band {
            let up = ends.iter().map(|&(x, _, high)| at(x, high));
            let down = ends.iter().rev().map(|&(x, low, _)| at(x, low));
            svg.path(up.chain(down), true, &format!("fill=\"{colour}\" fill-opacity=\"0.15\""));
        } else {
            for &(x, low, high) in &ends {
                svg.line(
                    at(x, low),
                    at(x, high),
                    &format!("stroke=\"{colour}\" stroke-width=\"1.5\""),
                );
            }
        }
        if self.line && self.points.len() > 1 {
            let points = self.points.iter().map(|p| at(p.x, p.y));
            svg.path(
                points,
                false,
                &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\""),
            );
        }
        for point in &self.points {
            let style = format!("fill=\"{colour}\" stroke=\"#ffffff\" stroke-width=\"1\"");
            svg.circle(at(point.x, point.y), 4.5, &style, &point.note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_points_drawn() {
        let point = |x, y| Point { x, y, note: "<b>".into(), ..Point::default() };
        let series = Series {
            name: "a & b".into(),
            points: vec![point(1.0, 2.0), point(10.0, 3.0)],
            line: true,
            band: false,
        };
        let axis = |label: &str, scale| Axis { label: label.into(), scale };
        let chart = Chart {
            title: "<script>".into(),
            caption: vec!["below".into()],
            x: axis("x", Scale::Log),
            y: axis("y", Scale::Linear),
            series: vec![series],
        };
        let svg = chart.svg();
        assert!(!svg.contains("<script>") && !svg.contains("<b>") && svg.contains("a &amp; b"));
        assert_eq!(svg.matches("<circle").count(), 3, "two points and one of the legend");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
