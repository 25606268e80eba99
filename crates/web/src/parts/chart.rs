//! Scores over time, and scores against trained parameters, as SVG in the page.
//!
//! Colours come from the style sheet, so that a chart follows light and dark. Every point has a
//! `<title>`, which a browser shows under the pointer; the script shows more. The table below a
//! chart says all of it in text.

use std::fmt::Write as _;

use budwood_board::State;
use budwood_board::direction::Direction;
use budwood_charts::Scale;
use maud::{Markup, html};

use super::number::value;

/// A point.
pub(crate) struct Dot {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) result: i64,
    pub(crate) model: String,
    /// What stands below the model under the pointer.
    pub(crate) note: String,
    pub(crate) state: State,
    /// Whether it is on the line.
    pub(crate) leads: bool,
}

/// What the horizontal axis shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Across {
    /// Days since 1970.
    Time,
    /// Numbers of parameters, on a logarithmic scale.
    Parameters,
}

/// A chart.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) caption: Markup,
    pub(crate) across: Across,
    pub(crate) metric: &'a str,
    pub(crate) direction: Direction,
    pub(crate) dots: Vec<Dot>,
    /// The best so far: at each place, the value from there on.
    pub(crate) line: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 34.0;
/// Days in a year.
const YEAR: f64 = 365.2425;

/// The steps of the best value from left to right.
pub(crate) fn frontier(dots: &[Dot], direction: Direction) -> Vec<(f64, f64)> {
    let mut order: Vec<&Dot> =
        dots.iter().filter(|d| !matches!(d.state, State::Mismatch | State::Retracted)).collect();
    order.sort_by(|a, b| {
        let by_value =
            if direction == Direction::Higher { b.y.total_cmp(&a.y) } else { a.y.total_cmp(&b.y) };
        a.x.total_cmp(&b.x).then(by_value)
    });
    let mut line: Vec<(f64, f64)> = Vec::new();
    for dot in order {
        if line.last().is_none_or(|l| direction.better(dot.y, l.1)) {
            line.push((dot.x, dot.y));
        }
    }
    line
}

impl Chart<'_> {
    /// The chart as a figure; nothing without two points.
    pub(crate) fn figure(&self) -> Markup {
        if self.dots.len() < 2 {
            return html! {};
        }
        let (xs, ys) = self.ranges();
        let scale = self.scale();
        let across = if self.across == Across::Time { Scale::Linear } else { Scale::Log };
        let x = |v: f64| LEFT + across.place(v, xs) * (WIDTH - LEFT - RIGHT);
        let y = |v: f64| TOP + (1.0 - scale.place(v, ys)) * (HEIGHT - TOP - BOTTOM);
        let bottom = HEIGHT - BOTTOM;
        let text = |v: f64| format!("{v:.1}");
        let (up, log) =
            (self.direction.name(), if scale == Scale::Log { ", logarithmic" } else { "" });
        html! {
            figure.chart {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.summary()) {
                    g.grid {
                        @for (v, label) in scale.ticks(ys) {
                            line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(text(y(v))) y2=(text(y(v))) {}
                            text x=(LEFT - 8.0) y=(text(y(v) + 4.0)) text-anchor="end" { (label) }
                        }
                        @for (v, label) in self.ticks(xs) {
                            text x=(text(x(v))) y=(bottom + 20.0) text-anchor="middle" { (label) }
                        }
                    }
                    line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(bottom) y2=(bottom) {}
                    @if self.line.len() > 1 || self.across == Across::Time {
                        path.best d=(self.steps(&x, &y)) {}
                    }
                    @for dot in &self.dots {
                        @if let Some((low, high)) = dot.interval {
                            line.interval x1=(text(x(dot.x))) x2=(text(x(dot.x))) y1=(text(y(low))) y2=(text(y(high))) {}
                        }
                        circle data-state=(dot.state.name()) data-leads[dot.leads] data-result=(dot.result)
                            cx=(text(x(dot.x))) cy=(text(y(dot.y))) r=(if dot.leads { 5 } else { 4 }) {
                            title { (dot.model) "\n" (self.metric) " " (value(dot.y)) "\n" (dot.note) "\n" (dot.state.name()) }
                        }
                    }
                }
                figcaption { strong { (self.title) } " " (self.metric) ", " (up) " is better" (log) ". " (self.caption) }
            }
        }
    }

    /// Logarithmic for what falls towards zero over a wide range.
    fn scale(&self) -> Scale {
        let low = self.dots.iter().map(|d| d.y).fold(f64::INFINITY, f64::min);
        let high = self.dots.iter().map(|d| d.y).fold(f64::NEG_INFINITY, f64::max);
        let wide = self.direction == Direction::Lower && low > 0.0 && high / low >= 4.0;
        if wide { Scale::Log } else { Scale::Linear }
    }

    fn ranges(&self) -> ((f64, f64), (f64, f64)) {
        let across: Vec<f64> = self.dots.iter().map(|d| d.x).collect();
        let ends = |d: &Dot| d.interval.map_or([d.y, d.y], |i| [i.0, i.1]);
        let up: Vec<f64> = self.dots.iter().flat_map(ends).collect();
        let scale = if self.across == Across::Time { Scale::Linear } else { Scale::Log };
        let mut xs = scale.range(across.into_iter());
        if self.across == Across::Time && xs.1 - xs.0 < 60.0 {
            xs = (xs.0 - 60.0, xs.1 + 60.0);
        }
        (xs, self.scale().range(up.into_iter()))
    }

    fn ticks(&self, xs: (f64, f64)) -> Vec<(f64, String)> {
        if self.across == Across::Parameters {
            return Scale::Log.ticks(xs);
        }
        let years = (1970.0 + xs.0 / YEAR, 1970.0 + xs.1 / YEAR);
        let step = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
            .into_iter()
            .find(|s| (years.1 - years.0) / s <= 6.0);
        let step = step.unwrap_or(50.0);
        let label = |year: f64| {
            let month = ((year - year.floor()) * 12.0).round() as u32 + 1;
            if step < 1.0 { format!("{}-{month:02}", year.floor()) } else { format!("{year}") }
        };
        let first = (years.0 / step).ceil() as i64;
        let last = (years.1 / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).map(|y| ((y - 1970.0) * YEAR, label(y))).collect()
    }

    fn steps(&self, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> String {
        let mut path = String::new();
        for (i, &(at, best)) in self.line.iter().enumerate() {
            if i == 0 {
                let _ = write!(path, "M{:.1} {:.1}", x(at), y(best));
            } else {
                let _ = write!(path, "H{:.1}V{:.1}", x(at), y(best));
            }
        }
        if !path.is_empty() {
            let _ = write!(path, "H{:.1}", WIDTH - RIGHT);
        }
        path
    }

    fn summary(&self) -> String {
        let mut text = format!("{}: {} points.", self.title, self.dots.len());
        if let (Some(first), Some(last)) = (self.line.first(), self.line.last()) {
            let _ = write!(
                text,
                " The best {} goes from {} to {} in {} steps. The table below has all values.",
                self.metric,
                value(first.1),
                value(last.1),
                self.line.len()
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(x: f64, y: f64) -> Dot {
        let (note, model) = ("<note>".into(), "<script>".into());
        Dot { x, y, interval: None, result: 1, model, note, state: State::Claimed, leads: false }
    }

    #[test]
    fn points_are_drawn_and_texts_escaped() {
        let dots = vec![dot(17_000.0, 90.0), dot(18_000.0, 95.0), dot(18_000.0, 95.0)];
        let line = vec![(17_000.0, 90.0), (18_000.0, 95.0)];
        let (across, direction) = (Across::Time, Direction::Higher);
        let chart =
            Chart { title: "t", caption: html! {}, across, metric: "<b>", direction, dots, line };
        let text = chart.figure().into_string();
        assert_eq!(text.matches("<circle").count(), 3);
        assert!(
            !text.contains("<script>") && !text.contains("<b>") && !text.contains("NaN"),
            "{text}"
        );
        assert!(text.contains(">2017<") && text.contains("H742.0"), "{text}");
    }

    #[test]
    fn errors_over_a_wide_range_are_logarithmic_and_the_frontier_is_one_way() {
        let dots = vec![dot(1e6, 3.0), dot(1e3, 40.0), dot(1e4, 50.0), dot(1e5, 4.0)];
        let line = frontier(&dots, Direction::Lower);
        assert_eq!(line, [(1e3, 40.0), (1e5, 4.0), (1e6, 3.0)]);
        assert_eq!(frontier(&dots, Direction::Higher), [(1e3, 40.0), (1e4, 50.0)]);
        let (across, direction) = (Across::Parameters, Direction::Lower);
        let chart =
            Chart { title: "t", caption: html! {}, across, metric: "Error", direction, dots, line };
        assert!(chart.figure().into_string().contains("logarithmic."));
    }
}
