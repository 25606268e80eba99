//! From the last hidden states to the graph's outputs.

use budwood_base::encoder::{Activation, InputSpec, PoolerForm};
use budwood_base::head::{HeadKind, Pooling};
use budwood_base::names;
use budwood_base::tensor::Tensor;
use budwood_model::ModelError;
use budwood_model::modules::Affine;

use crate::builder::{Builder, Rows};
use crate::embed::{BATCH, SEQUENCE};
use crate::graph::{Attribute, Dim};
use crate::{Error, Precision};

impl<E: From<Error>> Builder<'_, E> {
    /// Pooling, the head's layers, and the outputs.
    pub(crate) fn head(&mut self, rows: &Rows) -> Result<(), E> {
        let head = self.request.head;
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
        let y = match head.kind {
            HeadKind::MaskedLm => self.all_words(&x)?,
            _ => {
                let out = self.head_layer("head.out", head.bias)?;
                self.affine(&out, &x)
            }
        };
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
        let weight = self.head_tensor(&format!("{name}.weight"))?;
        let bias = match has_bias {
            true => self.head_tensor(&format!("{name}.bias"))?,
            false => Tensor::zeros([weight.shape[0]]),
        };
        Ok(Affine { weight, bias })
    }

    fn head_tensor(&self, name: &str) -> Result<Tensor, E> {
        let found = self.request.tensors.get(name).cloned();
        Ok(found.ok_or_else(|| Error::Model(ModelError::Missing { name: name.into() }))?)
    }

    /// `x Eᵀ + b` with the encoder's own table of words E, which the file holds once.
    fn all_words(&mut self, x: &str) -> Result<String, E> {
        let y = match self.request.precision {
            Precision::F32 => self.words_product(x),
            Precision::Int8 => {
                let [bytes, scales] = self.word_bytes()?;
                let bytes = self.transpose(&bytes, &[1, 0]);
                let axes = self.graph.ints(&[-1]);
                let scales = self.graph.op("Reshape", &[&scales, &axes]);
                self.int8_sums(&bytes, &scales, x)
            }
        };
        if !self.request.head.bias {
            return Ok(y);
        }
        let bias = self.head_tensor("head.out.bias")?;
        let bias = self.graph.floats(&bias.shape, &bias.data);
        Ok(self.graph.op("Add", &[&y, &bias]))
    }

    /// By an operator that reads the table as it lies in the file.
    fn words_product(&mut self, x: &str) -> String {
        let (table, words) = (self.tensor(names::WORD), self.request.head.outputs);
        let width = self.spec.embedding_width();
        let rows = self.reshape(x, &[-1, width as i64]);
        let turned = [("transB", Attribute::Int(1))];
        let y = self.graph.op_with("Gemm", &[&rows, &table], &turned);
        let shape = self.graph.op("Shape", &[x]);
        let shape = self.slice(&shape, 0, 0, Some(2));
        let words = self.graph.ints(&[words as i64]);
        let shape = self.concat(&[&shape, &words], 0);
        self.graph.op("Reshape", &[&y, &shape])
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
