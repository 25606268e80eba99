//! What a run will do, and what it left out, in lines for people.

use budwood_base::head::HeadKind;
use budwood_engine::Precision;
use budwood_tasks::report;
use budwood_train::{Lengths, Scale};

use super::Run;
use crate::Error;
use crate::number::thousands;
use crate::spec::BasePrecision;

impl Run {
    /// What will be done: the data, their lengths, what is left out, the pooling.
    ///
    /// # Errors
    /// If the size of the model's images has no meaning.
    pub fn description(&self) -> Result<Vec<String>, Error> {
        let data = &self.data;
        let mut lines: Vec<String> = data.report.lines();
        let dev = self.dev.as_ref().map_or("none".into(), |d| thousands(d.examples() as u64));
        let kinds = match data.task.head {
            HeadKind::QuestionAnswering | HeadKind::Regression | HeadKind::MaskedLm => {
                String::new()
            }
            HeadKind::TokenClassification => format!(", {} tags", data.labels.len()),
            _ => format!(", {} classes", data.labels.len()),
        };
        let examples = thousands(self.train.examples() as u64);
        lines.push(format!("data: {examples} to train on, {dev} to validate{kinds}"));
        if self.train.scale != Scale::NONE {
            let Scale { mean, deviation } = self.train.scale;
            lines.push(format!(
                "targets are standardised (mean {mean}, deviation {deviation}); answers and errors are \
                 in their own unit"
            ));
        }
        if let Some(l) = report::Lengths::of(self.train.whole.clone()) {
            lines.push(format!(
                "tokens: half of the texts have up to {}, 95 % up to {}, the longest {}",
                l.half, l.most, l.longest
            ));
        }
        if self.train.truncated > 0 {
            let truncated = thousands(self.train.truncated as u64);
            let what = cut(data.task.head, self.lengths);
            lines.push(format!("{truncated} of {examples} training {what}"));
        }
        if let Some(processor) = self.base.reader.processor() {
            let (height, width) = processor.output()?;
            let tokens = self.train.lengths().first().copied().unwrap_or(0);
            lines.push(format!("images: {height} x {width} pixels, {tokens} tokens each"));
        }
        lines.extend(skipped(&data.skipped));
        if let Some(masking) = &self.masking {
            let what = if masking.whole_words { "tokens, by whole words" } else { "tokens" };
            let share = 100.0 * masking.share;
            lines.push(format!("masks: {share} % of the {what}, others in each epoch"));
        }
        lines.extend(self.begin.lines.clone());
        if !data.task.head.over_tokens() {
            lines.push(format!("pooling: {:?}, {}", self.head.pooling, self.why_pooling));
        }
        let stored = self.base.model.is_quantized();
        if self.spec.precision.base_precision == BasePrecision::Auto
            && self.base.packed.precision() != Precision::F32
            && !stored
        {
            lines.push(
                "base weights: int8, which this processor multiplies faster; --base-precision f32 \
                 keeps them as they are stored"
                    .into(),
            );
        }
        Ok(lines)
    }
}

/// What was done with examples that are too long for one input, after their number.
pub fn cut(head: HeadKind, lengths: Lengths) -> String {
    let Lengths { max, stride } = lengths;
    match head {
        HeadKind::QuestionAnswering => format!(
            "questions have texts longer than {max} tokens, which are read in windows that begin \
             {stride} tokens apart"
        ),
        HeadKind::MaskedLm => {
            format!("texts are longer than {max} tokens and are read in windows, one after another")
        }
        HeadKind::TokenClassification => {
            format!("sentences are longer than {max} tokens and were cut into pieces between words")
        }
        _ => format!("texts are longer than {max} tokens and were cut"),
    }
}

/// Rows and images that were left out: how many, and the first of them.
pub fn skipped(skipped: &[String]) -> Vec<String> {
    const SHOWN: usize = 20;
    let mut lines = Vec::new();
    if !skipped.is_empty() {
        lines.push(format!("{} left out:", thousands(skipped.len() as u64)));
        lines.extend(skipped.iter().take(SHOWN).map(|line| format!("  {line}")));
        if skipped.len() > SHOWN {
            lines.push("  ... (--json lists more)".into());
        }
    }
    lines
}

/// Of which class a score of a task of this kind is, in words; empty where that is not a question.
pub fn positive_of(
    metric: &str,
    (kind, labels, positive): (&str, &[String], Option<&String>),
) -> String {
    let two = kind == "classification" && labels.len() == 2 && metric == "f1";
    let class = positive.or(labels.get(1));
    class.filter(|_| two).map_or(String::new(), |class| format!("  (of class '{class}')"))
}
