//! From the last hidden states to the graph's outputs.

use budwood_base::encoder::{Activation, InputSpec, PoolerForm};
use budwood_base::head::{HeadKind, Pooling};
use budwood_base::names;
use budwood_base::tensor::Tensor;
use budwood_model::ModelError;
use budwood_model::modules::Affine;

use crate::Error;
use crate::builder::{Builder, Rows};
use crate::embed::{BATCH, SEQUENCE};
use crate::graph::Dim;

impl<E: From<Error>> Builder<'_, E> {
    /// Pooling, the head's layers, and the outputs.
    pub(crate) fn head(&mut self, rows: &Rows) -> Result<(), E> {
        let head = self.request.head;
        if head.kind == HeadKind::MaskedLm {
            let message = "the head of a masked language model, which multiplies by all words";
            return Err(Error::Cannot(message.into()).into());
        }
        let over_tokens = head.kind.over_tokens();
        let mut x = if over_tokens { self.tokens(rows) } else { self.pooled(rows) };
        if let Some(activation) = head.dense {
            let dense = self.head_layer("head.dense", !head.dense_without_bias)?;
            x = self.affine(&dense, &x);
            x = self.activation(activation, &x);
        }
        if let Some(norm) = head.norm {
            let Affine { weight, bias } = self.head_layer("head.norm", norm.bias)?;
            let [gain, bias] = [weight, bias].map(|t| self.graph.floats(&t.shape, &t.data));
            x = self.normed(&x, &gain, Some(&bias), norm.eps);
        }
        let out = self.head_layer("head.out", head.bias)?;
        let y = self.affine(&out, &x);
        let outputs = Dim::Fixed(head.outputs);
        // Patches of an image have a fixed number.
        let sequence = match &self.spec.input {
            InputSpec::Text(_) => SEQUENCE,
            InputSpec::Image(_) => Dim::Named("tokens"),
        };
        match head.kind {
            HeadKind::QuestionAnswering => {
                for (i, name) in ["start_logits", "end_logits"].into_iter().enumerate() {
                    let one = self.pick(&y, 2, i as i64);
                    self.graph.output(name, &one, &[BATCH, sequence]);
                }
            }
            HeadKind::TokenClassification | HeadKind::MaskedLm => {
                self.graph.output("logits", &y, &[BATCH, sequence, outputs]);
            }
            HeadKind::Classification | HeadKind::MultiLabel | HeadKind::Regression => {
                self.graph.output("logits", &y, &[BATCH, outputs]);
            }
        }
        Ok(())
    }

    /// A layer of the head.
    fn head_layer(&mut self, name: &str, has_bias: bool) -> Result<Affine, E> {
        let tensors = self.request.tensors;
        let take = |role: &str| {
            let name = format!("{name}.{role}");
            let found = tensors.get(&name).cloned();
            found.ok_or(Error::Model(ModelError::Missing { name }))
        };
        let weight = take("weight")?;
        let outputs = weight.shape[0];
        let bias = if has_bias { take("bias")? } else { Tensor::zeros([outputs]) };
        Ok(Affine { weight, bias })
    }

    /// The rows of tokens, without those of a prompt.
    fn tokens(&mut self, rows: &Rows) -> String {
        let modules = self.modules;
        let Some(prompt) = &modules.prompt else { return rows.x.clone() };
        let (at, length) = (prompt.at, prompt.rows.shape[0]);
        let after = self.slice(&rows.x, 1, at + length, None);
        if at == 0 {
            return after;
        }
        let before = self.slice(&rows.x, 1, 0, Some(at));
        self.concat(&[&before, &after], 1)
    }

    /// `[batch, width]`
    fn pooled(&mut self, rows: &Rows) -> String {
        match self.request.head.pooling {
            Pooling::Cls => self.pick(&rows.x, 1, 0),
            Pooling::Mean => self.mean_row(rows),
            Pooling::PatchMean => self.rest_mean(rows),
            Pooling::ClsMean => {
                let first = self.pick(&rows.x, 1, 0);
                let mean = self.rest_mean(rows);
                self.concat(&[&first, &mean], 1)
            }
            Pooling::Pooler => match self.spec.axes.pooler {
                PoolerForm::FirstToken => {
                    let first = self.pick(&rows.x, 1, 0);
                    let x = self.product(names::POOLER, &first);
                    self.activation(Activation::Tanh, &x)
                }
                PoolerForm::Attention => self.attending(rows),
            },
        }
    }

    /// The mean of all but the tokens that stand for all of the input.
    fn rest_mean(&mut self, rows: &Rows) -> String {
        let from = self.spec.input.first_tokens();
        let x = self.slice(&rows.x, 1, from, None);
        let mask = rows.mask.as_ref().map(|mask| self.slice(mask, 1, from, None));
        self.mean_row(&Rows { x, mask })
    }

    fn mean_row(&mut self, rows: &Rows) -> String {
        let mean = self.mean(rows);
        let axis = self.graph.ints(&[1]);
        self.graph.op("Squeeze", &[&mean, &axis])
    }

    /// Pooling by attention: `a + W2 f(W1 norm(a))`, where a trained query attends to all rows.
    fn attending(&mut self, rows: &Rows) -> String {
        let d = self.spec.hidden;
        let probe = self.tensor(names::POOLER_PROBE);
        let probe = self.reshape(&probe, &[1, 1, d as i64]);
        let probe = self.product(names::POOLER_IN, &probe);
        let all = self.product(names::POOLER_IN, &rows.x);
        let q = self.slice(&probe, 2, 0, Some(d));
        let (k, v) = (self.slice(&all, 2, d, Some(2 * d)), self.slice(&all, 2, 2 * d, None));
        let [q, k, v] = [q, k, v].map(|x| self.heads(&x));
        let keys = self.transpose(&k, &[0, 1, 3, 2]);
        let s = self.graph.op("MatMul", &[&q, &keys]);
        let factor = self.graph.float(1.0 / (self.spec.head_dim() as f32).sqrt());
        let mut s = self.graph.op("Mul", &[&s, &factor]);
        if let Some(mask) = &rows.mask {
            let hidden = self.padding(mask);
            s = self.graph.op("Add", &[&s, &hidden]);
        }
        let p = self.softmax(&s);
        let context = self.graph.op("MatMul", &[&p, &v]);
        let context = self.transpose(&context, &[0, 2, 1, 3]);
        let context = self.reshape(&context, &[0, d as i64]);
        let a = self.product(names::POOLER_OUT, &context);
        let inner = self.norm(names::POOLER_NORM, &a);
        let inner = self.product(names::POOLER_FFN_IN, &inner);
        let inner = self.activation(self.spec.activation, &inner);
        let inner = self.product(names::POOLER_FFN_OUT, &inner);
        self.graph.op("Add", &[&a, &inner])
    }
}
