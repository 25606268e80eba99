//! What attention in all layers reads beside queries and keys: who sees whom, angles of rotary
//! positions, and distances.

use std::f32::consts::PI;

use budwood_base::encoder::{InputSpec, Positions};
use budwood_base::names;
use budwood_model::distance::{DISTANCES_MOST, bias_buckets, disentangled_rows};

use crate::Error;
use crate::builder::{Builder, Rows};
use crate::graph::Type;

/// What is added to scores of what is hidden.
const HIDDEN: f32 = f32::MIN;

/// Cosines and sines that turn pairs of a head: element `i` with `i + pairs`.
#[derive(Clone, Debug)]
pub(crate) struct Angles {
    pub(crate) cos: String,
    pub(crate) sin: String,
    pub(crate) pairs: usize,
}

/// What scores of all layers have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scores {
    /// Added to the scores: 0, or [`HIDDEN`]; of layers that attend to all, and of those with a
    /// window.
    pub(crate) hidden: Option<String>,
    pub(crate) hidden_in_window: Option<String>,
    /// Angles of these two kinds of layers.
    pub(crate) angles: Option<[Angles; 2]>,
    /// Added by distance, `[1, heads, rows, rows]`.
    pub(crate) by_distance: Option<String>,
    /// Disentangled attention's table after its norm, `[1, table, d]`, and the row for each query
    /// and key, `[rows, rows]`.
    pub(crate) table: Option<(String, String)>,
}

impl<E: From<Error>> Builder<'_, E> {
    pub(crate) fn scores(&mut self, rows: &Rows) -> Result<Scores, E> {
        let mut scores = Scores::default();
        let axes = &self.spec.axes;
        let places = self.places(&rows.x);
        if let Some(mask) = &rows.mask {
            let kept = self.kept(mask);
            scores.hidden = Some(self.hidden(&kept));
            if let Some(window) = axes.window {
                let distances = self.distances(&places);
                let far = self.graph.op("Abs", &[&distances]);
                let reach = self.graph.int(window.reach as i64);
                let near = self.graph.op("LessOrEqual", &[&far, &reach]);
                let kept = self.graph.op("And", &[&kept, &near]);
                scores.hidden_in_window = Some(self.hidden(&kept));
            }
        } else if axes.window.is_some() {
            let message = "windows over patches are not written";
            return Err(Error::Cannot(message.into()).into());
        }
        match &axes.positions {
            Positions::Embedded => {}
            Positions::Rotary { base, window_base, width } => {
                let places = self.cast(&places, Type::Float);
                let places = self.unsqueeze(&places, &[1]);
                let all = [*base, *window_base].map(|base| self.rotary(&places, base, *width));
                scores.angles = Some(all);
            }
            Positions::RotaryPatches { base } => {
                let angles = self.patch_angles(*base)?;
                scores.angles = Some([angles.clone(), angles]);
            }
            Positions::Bias { buckets, reach } => {
                let rows = self.rows_by_distance(&places, &bias_buckets(*buckets, *reach));
                let table = self.tensor(names::RELATIVE);
                let bias = self.graph.op("Gather", &[&table, &rows]);
                let bias = self.transpose(&bias, &[2, 0, 1]);
                scores.by_distance = Some(self.unsqueeze(&bias, &[0]));
            }
            Positions::Disentangled(of) => {
                let rows = disentangled_rows(of.span, of.reach, DISTANCES_MOST);
                let rows = self.rows_by_distance(&places, &rows);
                let table = self.tensor(names::RELATIVE);
                let mut table = self.unsqueeze(&table, &[0]);
                if of.norm {
                    table = self.norm(names::RELATIVE_NORM, &table);
                }
                scores.table = Some((table, rows));
            }
        }
        Ok(scores)
    }

    /// Which keys are no padding, `[batch, 1, 1, rows]`.
    fn kept(&mut self, mask: &str) -> String {
        let kept = self.cast(mask, Type::Bool);
        self.unsqueeze(&kept, &[1, 2])
    }

    /// What is added to the scores of keys that are padding, `[batch, 1, 1, rows]`.
    pub(crate) fn padding(&mut self, mask: &str) -> String {
        let kept = self.kept(mask);
        self.hidden(&kept)
    }

    fn hidden(&mut self, kept: &str) -> String {
        let (zero, hidden) = (self.graph.float(0.0), self.graph.float(HIDDEN));
        self.graph.op("Where", &[kept, &zero, &hidden])
    }

    /// The key's place less the query's, `[rows, rows]`.
    fn distances(&mut self, places: &str) -> String {
        let (keys, queries) = (self.unsqueeze(places, &[0]), self.unsqueeze(places, &[1]));
        self.graph.op("Sub", &[&keys, &queries])
    }

    /// The entry of a list for each query and key; it holds one for each distance from `-n` to `n`,
    /// and farther ones count as these.
    fn rows_by_distance(&mut self, places: &str, list: &[u16]) -> String {
        let n = list.len() as i64 / 2;
        let distances = self.distances(places);
        let [least, most, middle] = [-n, n, n].map(|n| self.graph.int(n));
        let near = self.graph.op("Clip", &[&distances, &least, &most]);
        let at = self.graph.op("Add", &[&near, &middle]);
        let list: Vec<i64> = list.iter().map(|&row| row.into()).collect();
        let list = self.graph.ints(&list);
        self.graph.op("Gather", &[&list, &at])
    }

    /// Angles `place * base^(-2 i / width)`, `[rows, width / 2]`, from places `[rows, 1]`.
    fn rotary(&mut self, places: &str, base: f32, width: usize) -> Angles {
        let step = |i: usize| 1.0 / base.powf((2 * i) as f32 / width as f32);
        let steps: Vec<f32> = (0..width / 2).map(step).collect();
        let steps = self.graph.floats(&[1, width / 2], &steps);
        let angles = self.graph.op("Mul", &[places, &steps]);
        let [cos, sin] = ["Cos", "Sin"].map(|kind| self.graph.op(kind, &[&angles]));
        Angles { cos, sin, pairs: width / 2 }
    }

    /// Angles of patches by row and column; rows before the patches are not turned.
    fn patch_angles(&mut self, base: f32) -> Result<Angles, E> {
        let InputSpec::Image(image) = &self.spec.input else {
            return Err(Error::Cannot("rotary positions of patches in a text".into()).into());
        };
        let (height, width) = self.request.image;
        let grid = image.grid(height, width).map_err(|e| Error::Cannot(e.to_string()))?;
        let (dim, modules) = (self.spec.head_dim(), self.modules);
        let prompt = modules.prompt.as_ref().map_or(0, |prompt| prompt.rows.shape[0]);
        let before = (image.special_tokens() + prompt) * dim / 2;
        let (mut cos, mut sin) = (vec![1.0; before], vec![0.0; before]);
        let middle = |i: usize, n: usize| 2.0 * ((i as f32 + 0.5) / n as f32) - 1.0;
        for (y, x) in (0..grid.0).flat_map(|y| (0..grid.1).map(move |x| (y, x))) {
            for place in [middle(y, grid.0), middle(x, grid.1)] {
                for i in 0..dim / 4 {
                    let step = 1.0 / base.powf((4 * i) as f32 / dim as f32);
                    let angle = f64::from(2.0 * PI * place * step);
                    cos.push(angle.cos() as f32);
                    sin.push(angle.sin() as f32);
                }
            }
        }
        let dims = [cos.len() / (dim / 2), dim / 2];
        let [cos, sin] = [cos, sin].map(|values| self.graph.floats(&dims, &values));
        Ok(Angles { cos, sin, pairs: dim / 2 })
    }
}
