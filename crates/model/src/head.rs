//! Pooling, and the head.

use std::ops::Range;

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_engine::{Activation, Buf, Context, Device, View};

use crate::base::{Base, engine_activation};
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

    /// Whether it reads the first row of each sequence and no other.
    pub(crate) fn reads_firsts(&self, base: &Base) -> bool {
        !self.spec.kind.over_tokens()
            && match self.spec.pooling {
                Pooling::Cls => true,
                Pooling::Pooler => matches!(base.pooler, Some(Pooler::FirstToken(_))),
                Pooling::Mean | Pooling::PatchMean | Pooling::ClsMean => false,
            }
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
