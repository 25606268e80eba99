//! One layer: attention, the feed-forward network, and what methods put at their ends.

use budwood_base::encoder::{Ffn, NormPlacement, Positions};
use budwood_base::names;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_model::modules::{BottleneckInput, PrefixModule};

use crate::Error;
use crate::builder::{Builder, Rows};
use crate::graph::Attribute;
use crate::scores::{Angles, Scores};

impl<E: From<Error>> Builder<'_, E> {
    /// The layer's output from its input.
    pub(crate) fn layer(
        &mut self,
        layer: usize,
        rows: &Rows,
        scores: &Scores,
    ) -> Result<String, E> {
        // Where all layers are one, so is what methods put into it.
        let own = layer % self.spec.own_layers();
        let window = self.spec.window(layer).is_some();
        let input = self.input(own, Sublayer::Attention, rows);
        let h = self.attention(own, &input, scores, window)?;
        let x = self.output(own, Sublayer::Attention, h, rows);
        let rows = Rows { x, mask: rows.mask.clone() };
        let input = self.input(own, Sublayer::Ffn, &rows);
        let h = self.ffn(own, &input)?;
        Ok(self.output(own, Sublayer::Ffn, h, &rows))
    }

    /// What a sub-layer's products read.
    fn input(&mut self, layer: usize, sublayer: Sublayer, rows: &Rows) -> Rows {
        let before = self.spec.norm == NormPlacement::Pre && self.spec.has_norm(layer, sublayer);
        if !before {
            return rows.clone();
        }
        let x = self.norm(&names::in_layer(layer, sublayer.norm_name()), &rows.x);
        Rows { x, mask: rows.mask.clone() }
    }

    fn ffn(&mut self, layer: usize, rows: &Rows) -> Result<String, E> {
        let pre = self.site(layer, WeightSite::FfnIn, rows)?;
        let active = match self.spec.axes.ffn {
            Ffn::Plain => self.activation(self.spec.activation, &pre),
            Ffn::Gated => {
                let half = self.spec.intermediate;
                let (a, b) = (self.slice(&pre, 2, 0, Some(half)), self.slice(&pre, 2, half, None));
                let a = self.activation(self.spec.activation, &a);
                self.graph.op("Mul", &[&a, &b])
            }
        };
        self.site(layer, WeightSite::FfnOut, &Rows { x: active, mask: rows.mask.clone() })
    }

    /// Layer scale, what a method does at the end of a sub-layer, residual sum and norm.
    fn output(&mut self, layer: usize, sublayer: Sublayer, h: String, rows: &Rows) -> String {
        let mut h = h;
        let scale = names::in_layer(layer, sublayer.scale_name());
        if self.has(&scale) {
            let scale = self.tensor(&scale);
            h = self.graph.op("Mul", &[&h, &scale]);
        }
        let modules = self.modules;
        let Some(bottleneck) = modules.bottlenecks.get(&(layer, sublayer)) else {
            return self.ended(layer, sublayer, &h, &rows.x);
        };
        let x = match bottleneck.input {
            BottleneckInput::Output => h.clone(),
            BottleneckInput::NormedSum => self.ended(layer, sublayer, &h, &rows.x),
            BottleneckInput::Residual => rows.x.clone(),
        };
        let inner = self.affine(&bottleneck.down, &x);
        let inner = self.activation(bottleneck.activation, &inner);
        let mut more = self.affine(&bottleneck.up, &inner);
        if let Some(gate) = &bottleneck.gate {
            let gate = self.gate(gate, &Rows { x: x.clone(), mask: rows.mask.clone() });
            more = self.graph.op("Mul", &[&more, &gate]);
        }
        let kept = if bottleneck.keeps_input { &x } else { &h };
        let y = self.graph.op("Add", &[kept, &more]);
        if bottleneck.norm_after { self.ended(layer, sublayer, &y, &rows.x) } else { y }
    }

    /// The residual sum, and the norm where it stands after it.
    fn ended(&mut self, layer: usize, sublayer: Sublayer, h: &str, residual: &str) -> String {
        let sum = self.graph.op("Add", &[h, residual]);
        match self.spec.norm {
            NormPlacement::Pre => sum,
            NormPlacement::Post => self.norm(&names::in_layer(layer, sublayer.norm_name()), &sum),
        }
    }

    fn attention(
        &mut self,
        layer: usize,
        rows: &Rows,
        scores: &Scores,
        window: bool,
    ) -> Result<String, E> {
        let mut qkv = Vec::new();
        for site in WeightSite::ATTENTION_INPUTS {
            let y = self.site(layer, site, rows)?;
            qkv.push(self.heads(&y));
        }
        if let Some(angles) = &scores.angles {
            let angles = &angles[usize::from(window)];
            for x in &mut qkv[..2] {
                *x = self.turned(x, angles);
            }
        }
        let [q, k, v] = [&qkv[0], &qkv[1], &qkv[2]];
        let keys = self.transpose(k, &[0, 1, 3, 2]);
        let mut s = self.graph.op("MatMul", &[q, &keys]);
        let mut terms = 0;
        if let (Some((table, at)), Positions::Disentangled(of)) =
            (&scores.table, &self.spec.axes.positions)
        {
            let sites = [
                (of.keys, WeightSite::Key, names::RELATIVE_KEY, q),
                (of.queries, WeightSite::Query, names::RELATIVE_QUERY, k),
            ];
            for (i, (_, site, own, x)) in sites.into_iter().enumerate().filter(|(_, s)| s.0) {
                let y = match of.shared {
                    true => {
                        let rows = Rows { x: table.clone(), mask: None };
                        self.site(layer, site, &rows)?
                    }
                    false => self.product(&names::in_layer(layer, own), table),
                };
                let term = self.by_distance(x, &y, at, i == 1);
                s = self.graph.op("Add", &[&s, &term]);
                terms += 1;
            }
        }
        let scale = 1.0 / ((self.spec.head_dim() * (1 + terms)) as f32).sqrt();
        let factor = self.graph.float(scale);
        s = self.graph.op("Mul", &[&s, &factor]);
        let hidden = if window { &scores.hidden_in_window } else { &scores.hidden };
        for bias in [&scores.by_distance, hidden].into_iter().flatten() {
            s = self.graph.op("Add", &[&s, bias]);
        }
        let modules = self.modules;
        let context = match modules.prefixes.get(&layer) {
            None => {
                let p = self.softmax(&s);
                self.graph.op("MatMul", &[&p, v])
            }
            Some(prefix) => self.with_prefix(prefix, rows, (q, v, &s), &factor),
        };
        let context = self.transpose(&context, &[0, 2, 1, 3]);
        let x = self.reshape(&context, &[0, 0, self.spec.hidden as i64]);
        self.site(layer, WeightSite::AttentionOut, &Rows { x, mask: rows.mask.clone() })
    }

    /// `[batch, heads, rows, width of a head]`
    pub(crate) fn heads(&mut self, x: &str) -> String {
        let (heads, dim) = (self.spec.heads as i64, self.spec.head_dim() as i64);
        let x = self.reshape(x, &[0, 0, heads, dim]);
        self.transpose(&x, &[0, 2, 1, 3])
    }

    pub(crate) fn softmax(&mut self, x: &str) -> String {
        self.graph.op_with("Softmax", &[x], &[("axis", Attribute::Int(-1))])
    }

    /// Heads whose pairs are turned.
    fn turned(&mut self, x: &str, Angles { cos, sin, pairs }: &Angles) -> String {
        let pairs = *pairs;
        let (a, b) = (self.slice(x, 3, 0, Some(pairs)), self.slice(x, 3, pairs, Some(2 * pairs)));
        let mut product = |x: &str, y: &str| self.graph.op("Mul", &[x, y]);
        let [ac, bs, bc, sa] =
            [product(&a, cos), product(&b, sin), product(&b, cos), product(&a, sin)];
        let first = self.graph.op("Sub", &[&ac, &bs]);
        let second = self.graph.op("Add", &[&bc, &sa]);
        if 2 * pairs == self.spec.head_dim() {
            return self.concat(&[&first, &second], 3);
        }
        let rest = self.slice(x, 3, 2 * pairs, None);
        self.concat(&[&first, &second, &rest], 3)
    }

    /// Scores of `x` with the table's rows `y` by the distance of query and key; `of_keys` where x
    /// are keys.
    fn by_distance(&mut self, x: &str, y: &str, at: &str, of_keys: bool) -> String {
        let y = self.heads(y);
        let y = self.transpose(&y, &[0, 1, 3, 2]);
        let all = self.graph.op("MatMul", &[x, &y]);
        let at = if of_keys { self.transpose(at, &[1, 0]) } else { at.into() };
        let at = self.unsqueeze(&at, &[0, 1]);
        // One row of places for each batch, head and row of x: its own dimensions, then all keys.
        let shape = self.graph.op("Shape", &[x]);
        let outer = self.slice(&shape, 0, 0, Some(3));
        let rows = self.slice(&shape, 0, 2, Some(3));
        let shape = self.concat(&[&outer, &rows], 0);
        let at = self.graph.op("Expand", &[&at, &shape]);
        let axis = [("axis", Attribute::Int(3))];
        let term = self.graph.op_with("GatherElements", &[&all, &at], &axis);
        if of_keys { self.transpose(&term, &[0, 1, 3, 2]) } else { term }
    }

    /// The context of attention whose keys and values stand behind those of a prefix.
    fn with_prefix(
        &mut self,
        prefix: &PrefixModule,
        rows: &Rows,
        (q, v, s): (&str, &str, &str),
        factor: &str,
    ) -> String {
        let [length, d] = [prefix.key.shape[0], prefix.key.shape[1]];
        let [key, value] = [&prefix.key, &prefix.value].map(|rows| {
            let rows = self.graph.floats(&[1, length, d], &rows.data);
            self.heads(&rows)
        });
        let gates = prefix.gate.as_ref().map(|gate| {
            let open = self.gate(gate, rows);
            [0, gate.weight.shape[0] as i64 - 1].map(|place| {
                let one = self.pick(&open, 2, place);
                self.unsqueeze(&one, &[2, 3])
            })
        });
        let keys = self.transpose(&key, &[0, 1, 3, 2]);
        let mut before = self.graph.op("MatMul", &[q, &keys]);
        before = self.graph.op("Mul", &[&before, factor]);
        if let Some([open, _]) = &gates {
            before = self.graph.op("Mul", &[&before, open]);
        }
        let all = self.concat(&[&before, s], 3);
        let p = self.softmax(&all);
        let (first, rest) = (self.slice(&p, 3, 0, Some(length)), self.slice(&p, 3, length, None));
        let mut more = self.graph.op("MatMul", &[&first, &value]);
        if let Some([_, open]) = &gates {
            more = self.graph.op("Mul", &[&more, open]);
        }
        let own = self.graph.op("MatMul", &[&rest, v]);
        self.graph.op("Add", &[&own, &more])
    }
}
