//! The head for masked words that a base's checkpoint holds, or the form of a new one.

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadNorm, HeadSpec, Pooling};
use budwood_base::tensor::TensorMap;
use serde_json::json;

use crate::family::Config;
use crate::text_file::read_json;
use crate::{BaseModel, Error};

/// The head of a masked language model on a base.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedLm {
    /// Its form.
    pub head: HeadSpec,
    /// The values that the checkpoint has for it, by our names; empty where it holds no such head,
    /// so that one begins anew over the table of words.
    pub values: TensorMap,
}

impl BaseModel {
    /// The head of a masked language model on this base.
    ///
    /// # Errors
    /// If the family has none, the model's output words are not its input words, or the
    /// checkpoint's head is not whole.
    pub fn masked_lm(&self) -> Result<MaskedLm, Error> {
        let path = self.folder().join("config.json");
        let family = self.family();
        let (Some(form), InputSpec::Text(text)) = (&family.masked_lm, &self.spec().input) else {
            let what = match &self.spec().input {
                InputSpec::Text(_) => "has no head for masked words that is read here",
                InputSpec::Image(_) => "reads images, which have no words to mask",
            };
            let message = format!("a model of the family {} {what}", family.name);
            return Err(Error::content(path, message));
        };
        let json = read_json(&path)?;
        let config = Config { path: &path, json: &json };
        // Words that come out are those that go in.
        config.expect("tie_word_embeddings", &[json!(true)])?;
        let spec = self.spec();
        let activation = form.activation.unwrap_or(spec.activation);
        let norm = HeadNorm { eps: spec.norm_eps, bias: !spec.axes.norms_without_bias };
        let mut head = HeadSpec {
            dense: Some(config.activation_or("classifier_activation", activation)?),
            norm: Some(norm),
            bias: config.flag_or("decoder_bias", true)?,
            dense_without_bias: form.bias_by_flag && !config.flag_or("classifier_bias", false)?,
            ..HeadSpec::linear(HeadKind::MaskedLm, text.vocab, Pooling::Cls)
        };
        let found = form.names.iter().find_map(|names| self.head_values(names, &mut head));
        let values = found.transpose()?.unwrap_or_default();
        Ok(MaskedLm { head, values })
    }

    /// The values under these names, and what of the form they say; none where there are none.
    fn head_values(
        &self,
        [dense, norm, bias]: &[&str; 3],
        head: &mut HeadSpec,
    ) -> Option<Result<TensorMap, Error>> {
        let file = self.weights();
        let has = |name: &str| file.contains(name);
        let weight = format!("{dense}.weight");
        // A classifier of ModernBERT has the same layers, and no bias of words.
        if !has(&weight) || head.bias && !has(bias) {
            return None;
        }
        head.dense_without_bias = !has(&format!("{dense}.bias"));
        let of_norm = |role: &str, old: &str| {
            let plain = format!("{norm}.{role}");
            if has(&plain) { plain } else { format!("{norm}.{old}") }
        };
        let (gain, shift) = (of_norm("weight", "gamma"), of_norm("bias", "beta"));
        if let Some(norm) = &mut head.norm {
            norm.bias = has(&shift);
        }
        let theirs = [
            ("head.dense.weight", weight),
            ("head.dense.bias", format!("{dense}.bias")),
            ("head.norm.weight", gain),
            ("head.norm.bias", shift),
            ("head.out.bias", (*bias).to_string()),
        ];
        let read = |(name, shape): (&'static str, Vec<usize>)| {
            let (_, theirs) = theirs.iter().find(|(ours, _)| *ours == name)?;
            Some(file.tensor(theirs).and_then(|tensor| match tensor.shape == shape {
                true => Ok((name.to_string(), tensor)),
                false => Err(Error::Shape {
                    path: file.path().into(),
                    name: theirs.clone(),
                    found: tensor.shape,
                    expected: shape,
                }),
            }))
        };
        let spec = self.spec();
        let tensors = head.tensors(spec.hidden, spec.embedding_width()).unwrap_or_default();
        Some(tensors.into_iter().filter_map(read).collect())
    }
}
