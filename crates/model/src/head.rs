//! Pooling, the head, and the losses over its outputs.

use std::borrow::Cow;
use std::ops::Range;

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_engine::{Activation, Buf, Context, Device, View, loss};

use crate::base::engine_activation;
use crate::builder::Builder;
use crate::encoder::pass::{DropoutPlace, Part, Pass};
use crate::error::ModelError;
use crate::frozen::Pooler;
use crate::linear::TrainedLinear;
use crate::norm::{NormRef, NormSlots};
use crate::params::Init;
use crate::pooler;
use crate::tape::{Grads, Save};
use crate::words::Words;

/// What the outputs of some sequences should have been.
#[derive(Clone, Debug)]
pub enum Targets {
    /// A class for each sequence.
    Classes(Vec<u32>),
    /// A number for each sequence.
    Values(Vec<f32>),
    /// For each sequence and label, 1 where the label holds.
    Labels(Vec<Vec<f32>>),
    /// For each token of each sequence its tag; none where it does not count.
    Tags(Vec<Vec<Option<u32>>>),
    /// For each sequence the first and the last token of the answer.
    Spans(Vec<(u32, u32)>),
    /// For each sequence the tokens that belong at the places which its batch asks for.
    Words(Vec<Vec<u32>>),
}

impl Targets {
    /// Losses that a sequence's loss is the sum of: its tokens with tags, its masked places; 1
    /// where a sequence has one loss.
    pub fn losses(&self, sequence: usize) -> usize {
        match self {
            Self::Tags(tags) => tags[sequence].iter().flatten().count(),
            Self::Words(words) => words[sequence].len(),
            _ => 1,
        }
    }
}

/// How the loss of a batch is made from its examples.
#[derive(Clone, Debug)]
pub struct Loss {
    /// A weight for each example, already divided by their sum over the step (an example counts as
    /// often as it has losses), so that a step's loss is a mean however it is cut into chunks.
    pub weights: Vec<f32>,
    /// Share of a class's probability that goes to all classes alike (Szegedy et al. 2016); of a
    /// label, to yes and no alike. Numbers and places have none.
    pub smoothing: f32,
}

/// A head with its parameters.
pub(crate) struct Head {
    spec: HeadSpec,
    dense: Option<Dense>,
    out: Out,
}

/// The first of two layers.
struct Dense {
    linear: TrainedLinear,
    activation: Activation,
    norm: Option<Norm>,
}

/// A norm between two layers.
struct Norm {
    slots: NormSlots,
    eps: f32,
    /// Its bias where it has none.
    zeros: Vec<f32>,
}

impl Norm {
    fn with<'a>(&'a self, params: &'a [f32]) -> NormRef<'a> {
        let Self { slots, eps, zeros } = self;
        let beta = slots.beta.as_ref().map_or(&zeros[..], |beta| &params[beta.clone()]);
        NormRef { gamma: &params[slots.gamma.clone()], beta, eps: *eps, slots: Some(slots) }
    }
}

/// The last layer.
enum Out {
    Own(Box<TrainedLinear>),
    /// The encoder's table of words.
    Words(Words),
}

impl Head {
    /// Adds the head's parameters. BERT's code initialises heads with a normal distribution of 0.02
    /// cut at two deviations.
    ///
    /// # Errors
    /// If it has no outputs, reads a pooler that the base does not have, or a parameter is refused.
    pub(crate) fn new(spec: HeadSpec, builder: &mut Builder<'_>) -> Result<Self, ModelError> {
        let base = builder.base();
        if spec.outputs == 0 {
            return Err(ModelError::Base("the head has no outputs".into()));
        }
        let pools = !spec.kind.over_tokens();
        if pools
            && spec.pooling == Pooling::PatchMean
            && matches!(base.spec().input, InputSpec::Text(_))
        {
            return Err(ModelError::Base("a text has no patches; use another pooling".into()));
        }
        if pools && spec.pooling == Pooling::Pooler && base.pooler.is_none() {
            return Err(ModelError::Base(
                "this base model has no pooler; use --pooling cls or --pooling mean".into(),
            ));
        }
        let spec_of = base.spec();
        let (d, words) = (spec_of.hidden, spec_of.embedding_width());
        let pooled = if pools { spec.pooling.width(d) } else { d };
        let tied = spec.kind == HeadKind::MaskedLm;
        if tied {
            check_tied(&spec, &spec_of.input)?;
        }
        let dense = match spec.dense {
            None => None,
            Some(activation) => {
                let width = if tied { words } else { d };
                let bias = (!spec.dense_without_bias).then_some(Init::Constant(0.0));
                let start = Init::TruncatedNormal(0.02);
                let linear = builder.linear("head.dense", [width, pooled], start, bias)?;
                let norm = spec.norm.map(|norm| {
                    let slots = builder.new_norm("head.norm", width, norm.bias)?;
                    Ok::<_, ModelError>(Norm { slots, eps: norm.eps, zeros: vec![0.0; width] })
                });
                let activation = engine_activation(activation);
                Some(Dense { linear, activation, norm: norm.transpose()? })
            }
        };
        let inputs = match &dense {
            Some(dense) => dense.linear.packed().outputs(),
            None => pooled,
        };
        let bias = spec.bias.then_some(Init::Constant(0.0));
        let out = match tied {
            true => Out::Words(Words::new(builder, bias)?),
            false => {
                let (shape, start) = ([spec.outputs, inputs], Init::TruncatedNormal(0.02));
                Out::Own(Box::new(builder.linear("head.out", shape, start, bias)?))
            }
        };
        Ok(Self { spec, dense, out })
    }

    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        if let Some(dense) = &mut self.dense {
            dense.linear.refresh(device, params);
        }
        match &mut self.out {
            Out::Own(linear) => linear.refresh(device, params),
            Out::Words(words) => words.refresh(device, params),
        }
    }

    /// The rows of each sequence of a part among the head's outputs.
    pub(crate) fn rows(&self, pass: &Pass<'_>, part: &Part<'_>) -> Vec<Range<usize>> {
        if let Some(asked) = self.asked(pass, part) {
            let end = |rows: Range<usize>| asked.partition_point(|token| *token < rows.end);
            let spans = part.token_spans();
            let mut start = 0;
            let rows = spans.iter().map(|rows| {
                let own = start..end(rows);
                start = own.end;
                own
            });
            return rows.collect();
        }
        if self.spec.kind.over_tokens() {
            return part.token_spans().iter().collect();
        }
        (0..part.spans.len()).map(|i| i..i + 1).collect()
    }

    /// The tokens of a part that have outputs, counted from its first; none where all have, or
    /// sequences have one.
    fn asked(&self, pass: &Pass<'_>, part: &Part<'_>) -> Option<Vec<usize>> {
        let asked = pass.batch.asked().filter(|_| self.spec.kind == HeadKind::MaskedLm)?;
        let own = asked.iter().filter(|token| part.tokens.contains(token));
        Some(own.map(|token| token - part.tokens.start).collect())
    }

    /// Tokens of a part that have outputs and where they stand among its rows: runs of neighbours.
    fn token_runs(&self, pass: &Pass<'_>, part: &Part<'_>) -> Vec<(Range<usize>, Range<usize>)> {
        let all = part.token_runs();
        let Some(asked) = self.asked(pass, part) else { return all };
        let mut runs = all.iter().filter(|(tokens, _)| !tokens.is_empty()).peekable();
        let row = |(i, token): (usize, &usize)| {
            while runs.next_if(|(tokens, _)| tokens.end <= *token).is_some() {}
            let (tokens, rows) = runs.peek()?;
            let row = rows.start + token - tokens.start;
            Some((i..i + 1, row..row + 1))
        };
        asked.iter().enumerate().filter_map(row).collect()
    }

    /// Outputs `[sequences, outputs]` of one part of a batch, or `[tokens, outputs]`.
    pub(crate) fn forward(
        &self,
        cx: &mut Context,
        pass: &Pass<'_>,
        part: &Part<'_>,
        hidden: View<'_>,
        mut save: Save<'_>,
    ) -> Buf {
        let params = part.acting.params();
        let mut x = self.pool(cx, pass, part, hidden, save.reborrow());
        let dropout = |place| pass.dropout(pass.base.spec().layers, place, self.spec.dropout);
        cx.dropout(dropout(DropoutPlace::Pooled), x.view_mut());
        if let Some(Dense { linear, activation, norm }) = &self.dense {
            let pre = linear.forward(cx, params, x.view());
            let mut active = cx.take(pre.rows(), pre.columns());
            cx.activation(*activation, pre.view(), active.view_mut());
            save.push(cx, x);
            save.push(cx, pre);
            if let Some(norm) = norm {
                norm.with(params).forward(cx, active.view_mut(), save.reborrow());
            }
            cx.dropout(dropout(DropoutPlace::HeadDense), active.view_mut());
            x = active;
        }
        let y = match &self.out {
            Out::Own(linear) => linear.forward(cx, params, x.view()),
            Out::Words(words) => words.forward(cx, params, x.view()),
        };
        save.push(cx, x);
        y
    }

    /// Adds the gradients of the head and returns that of the hidden states.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        pass: &Pass<'_>,
        part: &Part<'_>,
        d_y: View<'_>,
        grads: &mut Grads<'_>,
    ) -> Buf {
        let dropout = |place| pass.dropout(pass.base.spec().layers, place, self.spec.dropout);
        let x = grads.pop();
        let mut d = match &self.out {
            Out::Own(linear) => linear.backward(cx, x.view(), d_y, grads),
            Out::Words(words) => words.backward(cx, x.view(), d_y, grads),
        };
        cx.give(x);
        if let Some(Dense { linear: dense, activation, norm }) = &self.dense {
            cx.dropout(dropout(DropoutPlace::HeadDense), d.view_mut());
            if let Some(norm) = norm {
                norm.with(part.acting.params()).backward(cx, d.view_mut(), grads);
            }
            let (pre, x) = (grads.pop(), grads.pop());
            cx.activation_backward(*activation, pre.view(), d.view_mut());
            let d_x = dense.backward(cx, x.view(), d.view(), grads);
            [pre, x, std::mem::replace(&mut d, d_x)].into_iter().for_each(|b| cx.give(b));
        }
        cx.dropout(dropout(DropoutPlace::Pooled), d.view_mut());
        self.pool_backward(cx, pass, part, d, grads)
    }

    /// The checkpoint's own pooler, where it is read.
    fn pooler<'a>(&self, part: &Part<'a>) -> Option<&'a Pooler> {
        part.acting.base.pooler.as_ref().filter(|_| self.spec.pooling == Pooling::Pooler)
    }

    fn pool(
        &self,
        cx: &mut Context,
        pass: &Pass<'_>,
        part: &Part<'_>,
        hidden: View<'_>,
        save: Save<'_>,
    ) -> Buf {
        let spans = &part.spans;
        let d = hidden.n_columns();
        if self.spec.kind.over_tokens() {
            let runs = self.token_runs(pass, part);
            let mut tokens = cx.take(runs.last().map_or(0, |(own, _)| own.end), d);
            for (own, rows) in runs {
                cx.assign(tokens.view_mut().rows(own), hidden.rows(rows));
            }
            return tokens;
        }
        if let Some(pooler) = self.pooler(part) {
            return pooler::forward(cx, part, pooler, hidden, save);
        }
        let mut pooled = cx.take(spans.len(), self.spec.pooling.width(d));
        match self.spec.pooling {
            Pooling::Mean => cx.mean_rows(hidden, (spans, 0), pooled.view_mut()),
            Pooling::PatchMean => {
                let others = (spans, part.acting.base.spec().input.first_tokens());
                cx.mean_rows(hidden, others, pooled.view_mut());
            }
            Pooling::ClsMean => {
                let others = (spans, part.acting.base.spec().input.first_tokens());
                cx.first_rows(hidden, spans, pooled.view_mut().columns(0..d));
                cx.mean_rows(hidden, others, pooled.view_mut().columns(d..2 * d));
            }
            Pooling::Cls | Pooling::Pooler => cx.first_rows(hidden, spans, pooled.view_mut()),
        }
        pooled
    }

    fn pool_backward(
        &self,
        cx: &mut Context,
        pass: &Pass<'_>,
        part: &Part<'_>,
        d: Buf,
        grads: &mut Grads<'_>,
    ) -> Buf {
        let spans = &part.spans;
        let width = part.acting.base.spec().hidden;
        if self.spec.kind.over_tokens() {
            let mut d_hidden = cx.zeros(spans.rows(), width);
            for (own, rows) in self.token_runs(pass, part) {
                cx.assign(d_hidden.view_mut().rows(rows), d.view().rows(own));
            }
            cx.give(d);
            return d_hidden;
        }
        if let Some(pooler) = self.pooler(part) {
            return pooler::backward(cx, part, pooler, d, grads);
        }
        let mut d_hidden = match self.spec.pooling {
            // What stands before the patches gets nothing.
            Pooling::PatchMean => cx.zeros(spans.rows(), width),
            _ => cx.take(spans.rows(), width),
        };
        match self.spec.pooling {
            Pooling::Mean => cx.mean_rows_backward(d.view(), (spans, 0), d_hidden.view_mut()),
            Pooling::PatchMean => {
                let others = (spans, part.acting.base.spec().input.first_tokens());
                cx.mean_rows_backward(d.view(), others, d_hidden.view_mut());
            }
            Pooling::ClsMean => {
                let (first, rest) = (0..width, width..2 * width);
                let others = (spans, part.acting.base.spec().input.first_tokens());
                cx.first_rows_backward(d.view().columns(first), spans, d_hidden.view_mut());
                cx.mean_rows_backward(d.view().columns(rest), others, d_hidden.view_mut());
            }
            Pooling::Cls | Pooling::Pooler => {
                cx.first_rows_backward(d.view(), spans, d_hidden.view_mut());
            }
        }
        cx.give(d);
        d_hidden
    }
}

/// Refuses a head for words that the encoder's table cannot end.
fn check_tied(spec: &HeadSpec, input: &InputSpec) -> Result<(), ModelError> {
    let InputSpec::Text(text) = input else {
        let message = "a masked language model reads texts, and this base model reads images";
        return Err(ModelError::Base(message.into()));
    };
    if spec.outputs != text.vocab || spec.dense.is_none() {
        let message = format!(
            "a head for words has two layers and an output for each of the base model's {} words, \
             not {} outputs",
            text.vocab, spec.outputs
        );
        return Err(ModelError::Base(message));
    }
    Ok(())
}

/// The loss of outputs `[rows, columns]` and its gradient. Sequence `i`, whose outputs are
/// `rows[i]`, is example `first + i`.
///
/// # Panics
/// If the targets are not of the head's kind.
pub(crate) fn loss_of(
    outputs: &[f32],
    columns: usize,
    rows: &[Range<usize>],
    targets: &Targets,
    loss: &Loss,
    first: usize,
) -> (f64, Vec<f32>) {
    let mut d = vec![0.0; outputs.len()];
    let mut total = 0.0;
    for (i, rows) in rows.iter().enumerate() {
        let example = first + i;
        let weight = loss.weights[example];
        let at = rows.start * columns..rows.end * columns;
        let (y, d) = (&outputs[at.clone()], &mut d[at]);
        let value = match targets {
            Targets::Classes(classes) => {
                cross_entropy(y, classes[example] as usize, (weight, loss.smoothing), d)
            }
            Targets::Values(values) => {
                loss::squared_error(y[0], values[example], weight, &mut d[0])
            }
            Targets::Labels(labels) => {
                let smooth = |t: &f32| t + loss.smoothing * (0.5 - t);
                let labels = &labels[example][..];
                let labels: Cow<'_, [f32]> = match loss.smoothing == 0.0 {
                    true => labels.into(),
                    false => labels.iter().map(smooth).collect(),
                };
                loss::binary_cross_entropy(y, &labels, weight, d)
            }
            Targets::Tags(tags) => {
                assert_eq!(tags[example].len(), rows.len(), "a tag or none for each token");
                let tokens = y.chunks(columns).zip(d.chunks_mut(columns)).zip(&tags[example]);
                let tagged = tokens.filter_map(|((y, d), tag)| Some((y, d, (*tag)?)));
                let given = (weight, loss.smoothing);
                tagged.map(|(y, d, tag)| cross_entropy(y, tag as usize, given, d)).sum()
            }
            Targets::Words(words) => {
                assert_eq!(words[example].len(), rows.len(), "a token for each place");
                let places = y.chunks(columns).zip(d.chunks_mut(columns)).zip(&words[example]);
                let given = (weight, loss.smoothing);
                places.map(|((y, d), word)| cross_entropy(y, *word as usize, given, d)).sum()
            }
            Targets::Spans(spans) => {
                let (start, end) = spans[example];
                let ends = [start as usize, end as usize];
                let losses = ends
                    .into_iter()
                    .enumerate()
                    .map(|(column, place)| place_loss(y, columns, column, place, weight / 2.0, d));
                losses.sum::<f32>() / 2.0
            }
        };
        total += f64::from(value) * f64::from(weight);
    }
    (total, d)
}

/// Cross-entropy with a weight and a smoothing `s`. As `-ln p[k]` is `-ln p[class]` and the
/// distance of their logits, the smoothed loss is that of the class and `s` times its logit less
/// the mean.
fn cross_entropy(y: &[f32], class: usize, (weight, s): (f32, f32), d: &mut [f32]) -> f32 {
    let value = loss::cross_entropy(y, class, weight, d);
    if s == 0.0 {
        return value;
    }
    let n = y.len() as f32;
    d[class] += weight * s;
    d.iter_mut().for_each(|d| *d -= weight * s / n);
    value + s * (y[class] - y.iter().sum::<f32>() / n)
}

/// Cross-entropy of softmax over the tokens in one column of `[tokens, columns]`.
fn place_loss(
    y: &[f32],
    columns: usize,
    column: usize,
    place: usize,
    weight: f32,
    d: &mut [f32],
) -> f32 {
    let logits: Vec<f32> = y.iter().skip(column).step_by(columns).copied().collect();
    let mut d_logits = vec![0.0; logits.len()];
    let loss = loss::cross_entropy(&logits, place, weight, &mut d_logits);
    for (d, x) in d.iter_mut().skip(column).step_by(columns).zip(d_logits) {
        *d = x;
    }
    loss
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one example has one range of rows")]
mod tests {
    use super::*;

    /// Expected values: the sums of the definition, in a plain loop over all classes.
    #[test]
    fn smoothed_targets_are_a_share_for_all_classes() {
        let (y, s) = ([0.3f32, -1.2, 2.0, 0.7], 0.2f32);
        let p = |k: usize| y[k].exp() / y.iter().map(|x| x.exp()).sum::<f32>();
        let q = |k: usize| s / 4.0 + if k == 1 { 1.0 - s } else { 0.0 };
        let loss = Loss { weights: vec![0.5], smoothing: s };
        let (value, d) = loss_of(&y, 4, &[0..1], &Targets::Classes(vec![1]), &loss, 0);
        let expected = 0.5 * (0..4).map(|k| -q(k) * p(k).ln()).sum::<f32>();
        assert!((value - f64::from(expected)).abs() < 1e-6, "{value} {expected}");
        let tag = Targets::Tags(vec![vec![Some(1)]]);
        assert_eq!(loss_of(&y, 4, &[0..1], &tag, &loss, 0), (value, d.clone()));
        for (k, d) in d.iter().enumerate() {
            assert!((d - 0.5 * (p(k) - q(k))).abs() < 1e-6, "{k}");
        }
    }

    #[test]
    fn smoothed_labels_are_a_share_for_yes_and_no() {
        let (y, t, s) = ([0.3f32, -1.2], [1.0f32, 0.0], 0.2f32);
        let loss = Loss { weights: vec![0.5], smoothing: s };
        let (value, d) = loss_of(&y, 2, &[0..1], &Targets::Labels(vec![t.to_vec()]), &loss, 0);
        let mut expected = 0.0;
        for k in 0..2 {
            let (p, q) = (1.0 / (1.0 + (-y[k]).exp()), [0.9, 0.1][k]);
            expected -= 0.5 / 2.0 * (q * p.ln() + (1.0 - q) * (1.0 - p).ln());
            assert!((d[k] - 0.5 * (p - q) / 2.0).abs() < 1e-6, "{k}");
        }
        assert!((value - f64::from(expected)).abs() < 1e-6, "{value} {expected}");
    }
}
