//! Charts of scores as SVG: points and lines with error bars and bands on linear or logarithmic
//! axes, and heat maps.
//!
//! A chart is plain data; [`Chart::svg`] and [`HeatMap::svg`] draw it. Every text is escaped, every
//! point has a `<title>`, so that a browser shows it under the pointer.

mod chart;
mod heat_map;
mod scale;
mod svg;

pub use chart::{Axis, Chart, Point, Series};
pub use heat_map::HeatMap;
pub use scale::Scale;
