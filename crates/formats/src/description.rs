//! What an adapter's description may say: checked against its tensors and its base before anything
//! is made of it.
//!
//! How many options of a method fit the tensors is checked where the method is built (`model`),
//! tensor by tensor and before memory is taken for one.

use budwood_base::difference::{self, Difference};
use budwood_base::digest;
use budwood_base::encoder::{EncoderSpec, InputSpec, TextInput};
use budwood_base::head::{self, HeadKind, HeadSpec};
use budwood_base::method::{MethodPart, MethodSpec};
use serde_json::Value;

use crate::native::AdapterMeta;
use crate::{BaseModel, Error};

/// Longest name of a class, in bytes.
const LABEL_MOST: usize = 4096;

/// Refuses class names that cannot be told apart or would steer a terminal.
///
/// # Errors
/// Which name, and why, in words.
pub fn check_labels(labels: &[String]) -> Result<(), String> {
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
        return Err(format!("the label {:?} is there twice", twice[0]));
    }
    for label in labels {
        if label.len() > LABEL_MOST {
            let n = label.len();
            return Err(format!("a label has {n} bytes; at most {LABEL_MOST} are taken"));
        }
        if label.chars().any(char::is_control) {
            return Err(format!("the label {label:?} holds a control character"));
        }
    }
    Ok(())
}

impl AdapterMeta {
    /// Checks the description by itself and against the shapes of the adapter's tensors. Returns
    /// the fault in words.
    pub(crate) fn check<'a>(
        &self,
        shape: impl Fn(&str) -> Option<&'a [usize]>,
        elements: u64,
    ) -> Result<(), String> {
        let (head, task) = (&self.head, &self.task);
        check_labels(&self.labels)?;
        if self.base.encoder_sha256.as_ref().is_some_and(|sha| *sha != self.encoder.sha256()) {
            return Err(
                "the encoder's specification was changed: its digest is not the one in 'base'"
                    .into(),
            );
        }
        let hashes = [Some(&self.base.weights_sha256), self.base.tokenizer_sha256.as_ref()];
        if let Some(bad) = hashes.into_iter().flatten().find(|h| !digest::is_sha256(h)) {
            return Err(format!("{bad:?} is not a SHA-256"));
        }
        check_head(head, &self.encoder, &shape)?;
        let named = if head.kind.has_labels() { head.outputs } else { 0 };
        if self.labels.len() != named {
            let (n, outputs) = (self.labels.len(), head.outputs);
            return Err(format!(
                "there are {n} labels for {outputs} outputs of a head for {:?}; {named} belong there",
                head.kind
            ));
        }
        if !["f32", "int8"].contains(&self.precision.as_str()) {
            return Err(format!(
                "the precision {:?} is not known; f32 and int8 are",
                self.precision
            ));
        }
        if task.max_length == 0 && matches!(self.encoder.input, InputSpec::Text(_)) {
            return Err("max_length is 0".into());
        }
        if task.doc_stride == Some(0) {
            return Err("doc_stride is 0: windows of a text would never go on".into());
        }
        if let Some(thresholds) = &task.thresholds {
            if head.kind != HeadKind::MultiLabel || thresholds.len() != self.labels.len() {
                return Err(format!(
                    "there are {} thresholds for {} labels of a head for {:?}; one a label belongs to a \
                     head for several labels",
                    thresholds.len(),
                    self.labels.len(),
                    head.kind
                ));
            }
            if let Some(bad) = thresholds.iter().find(|t| !(0.0..=1.0).contains(*t)) {
                return Err(format!("the threshold {bad} is not a probability from 0 to 1"));
            }
        }
        if let Some(masking) = &task.masking {
            masking.check().map_err(|why| format!("the share that is masked: {why}"))?;
        }
        if self.parameters_trained != elements {
            return Err(format!(
                "parameters_trained is {}, but the tensors have {elements} elements",
                self.parameters_trained
            ));
        }
        Ok(())
    }

    /// Refuses a base that the adapter was not trained on, or on which its description makes no
    /// sense. Returns what could not be checked, a line each.
    ///
    /// # Errors
    /// Naming what differs, with both values.
    pub fn check_base(&self, base: &BaseModel) -> Result<Vec<String>, Error> {
        let id = base.id("");
        let in_encoder = difference::first(&self.encoder.acting(), &base.spec().acting());
        let found = (self.base.weights_sha256 == id.weights_sha256)
            .then_some(in_encoder)
            .flatten()
            .map(|d| Difference { what: format!("the encoder's {}", d.what), ..d })
            .or_else(|| self.base.difference(&id));
        if let Some(Difference { what, ours, theirs }) = found {
            let (expected, found, name) = (ours, theirs, self.base.name.clone());
            return Err(Error::OtherBase { what, expected, found, name });
        }
        if let InputSpec::Text(text) = &self.encoder.input
            && self.task.max_length > length_max(text, &self.method)
        {
            return Err(Error::Description(format!(
                "max_length is {}, more than the {} positions that the base model has for texts",
                self.task.max_length,
                length_max(text, &self.method)
            )));
        }
        let mut notes = Vec::new();
        if self.base.is_of_old() {
            let settings = match id.tokenizer_settings {
                Some(_) => "; nor can the tokenizer's settings (tokenizer_config.json)",
                None => "",
            };
            notes.push(format!(
                "the adapter is of an older Budwood: whether its description was changed since cannot be checked{settings}"
            ));
        }
        if base.int8_sha256().is_some() && self.base.int8_sha256.is_none() {
            notes.push(format!(
                "{} is stored in int8; that it was made from the base that the adapter was trained on is what its budwood.json says, and was not checked",
                base.folder().display()
            ));
        }
        Ok(notes)
    }

    /// That the adapter meets weights in f32 where it goes, and was trained on others.
    pub fn trained_on_bytes(&self) -> Option<String> {
        let note = "the adapter was trained on weights in int8 and will be used on weights in f32: \
                    probabilities differ a little. `budwood predict --base-precision f32` gives \
                    those; `budwood train --base-precision f32` trains on them";
        (self.precision == "int8").then(|| note.into())
    }

    /// What answers depend on beside the weights, and no folder of another library holds.
    pub fn without_thresholds(&self) -> Option<String> {
        let (what, values) = match (&self.task.thresholds, self.task.none_threshold) {
            (Some(all), _) => {
                let each = self.labels.iter().zip(all);
                let each: Vec<_> = each.map(|(label, from)| format!("{label} {from}")).collect();
                ("labels hold from these probabilities on, not from 0.5", each.join(", "))
            }
            (None, Some(margin)) => {
                let what = "a question has no answer where the score of none is above that of the \
                            best answer by more than this";
                (what, margin.to_string())
            }
            (None, None) => return None,
        };
        Some(format!("this form keeps no thresholds. Whoever uses it must know: {what}: {values}"))
    }
}

/// Whether a head's tensors are those that its description speaks of.
fn check_head<'a>(
    head: &HeadSpec,
    encoder: &EncoderSpec,
    shape: &impl Fn(&str) -> Option<&'a [usize]>,
) -> Result<(), String> {
    let fixed = match (head.kind, &encoder.input) {
        (HeadKind::Regression, _) => Some(1),
        (HeadKind::QuestionAnswering, _) => Some(2),
        (HeadKind::MaskedLm, InputSpec::Text(text)) => Some(text.vocab),
        (HeadKind::MaskedLm, InputSpec::Image(_)) => Some(0),
        _ => None,
    };
    if fixed.is_some_and(|n| n != head.outputs) || head.outputs == 0 {
        return Err(format!("a head for {:?} cannot have {} outputs", head.kind, head.outputs));
    }
    if !(0.0..1.0).contains(&head.dropout) {
        return Err(format!("the head's dropout is {}, not a probability below 1", head.dropout));
    }
    if head.norm.is_some_and(|norm| !(0.0..1.0).contains(&norm.eps)) {
        return Err("the epsilon of the head's norm is not a number from 0 on and below 1".into());
    }
    if head.dense.is_none() && (head.norm.is_some() || head.kind == HeadKind::MaskedLm) {
        let what = if head.norm.is_some() { "with a norm" } else { "for words" };
        return Err(format!("a head {what} has two layers, but 'dense' is missing"));
    }
    let tensors = head.tensors(encoder.hidden, encoder.embedding_width());
    let tensors = tensors.ok_or("the encoder's width is beyond any number")?;
    for name in head::TENSORS {
        let expected = tensors.iter().find(|(own, _)| *own == name).map(|(_, shape)| &shape[..]);
        let found = shape(name);
        if found != expected {
            let shown = |shape: Option<&[usize]>| match shape {
                Some(shape) => format!("of shape {shape:?}"),
                None => "absent".into(),
            };
            return Err(format!(
                "the head asks for a tensor '{name}' {}, but in the weights it is {}",
                shown(expected),
                shown(found)
            ));
        }
    }
    Ok(())
}

/// The longest text that an encoder has positions for, beside those that an adapter's prompts or
/// prefixes take before it.
pub fn length_max(text: &TextInput, method: &MethodSpec) -> usize {
    let taken = |part: &MethodPart| {
        let (counting, length) = match part.name.as_str() {
            "prompt_tuning" => ("as_words", "prompt_length"),
            "prefix_tuning" => ("counted", "prefix_length"),
            _ => return 0,
        };
        if part.options.get(counting) != Some(&Value::Bool(true)) {
            return 0;
        }
        let length = part.options.get(length).and_then(Value::as_u64);
        // A description holds all options: one without leaves room for no text.
        length.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)
    };
    method.parts.iter().map(taken).fold(text.length_max(), usize::saturating_sub)
}
