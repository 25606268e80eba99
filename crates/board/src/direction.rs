//! Which way a metric is better. The archive does not say; the name does, or the order of the rows.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Larger ones.
    Higher,
    /// Smaller ones.
    Lower,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Higher, Self::Lower];

    /// `higher` or `lower`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        }
    }
}

/// How a direction is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectionSource {
    /// The source says so.
    Declared,
    /// From the metric's name.
    NameRule,
    /// From the rows, which stand best first.
    RowOrder,
    /// Nothing says; larger is taken as better.
    Assumed,
    /// Someone set it on this board.
    User,
}

/// Words of errors and losses.
const LOWER: &[&str] = &[
    "err", "loss", "ppl", "bpc", "bpb", "bits", "bit", "nats", "nll", "wer", "cer", "per", "ter",
    "eer", "rmse", "mse", "mae", "mape", "epe", "fid", "kid", "fvd", "entropy", "distance", "ece",
    "brier", "lpips", "der", "jer", "mcd", "hd95", "emd", "regret", "latency",
];
/// Words of costs, which are also units: they count where no word of what is good stands beside
/// them.
const COSTS: &[&str] = &[
    "params",
    "param",
    "parameters",
    "flops",
    "gflops",
    "macs",
    "memory",
    "seconds",
    "time",
    "runtime",
    "size",
];
/// Beginnings of such words.
const LOWER_STEMS: &[&str] = &["error", "perplex", "misclass", "logloss"];
/// Words of what is good.
const HIGHER: &[&str] = &[
    "accuracy",
    "acc",
    "f1",
    "f",
    "bleu",
    "sacrebleu",
    "rouge",
    "meteor",
    "cider",
    "spice",
    "auc",
    "auroc",
    "auprc",
    "roc",
    "precision",
    "recall",
    "map",
    "ap",
    "ar",
    "iou",
    "miou",
    "dice",
    "em",
    "exact",
    "match",
    "correct",
    "success",
    "score",
    "top",
    "hits",
    "hit",
    "mrr",
    "ndcg",
    "mcc",
    "matthews",
    "pearson",
    "spearman",
    "kendall",
    "correlation",
    "psnr",
    "ssim",
    "uas",
    "las",
    "kappa",
    "reward",
    "return",
    "average",
    "likelihood",
    "specificity",
    "sensitivity",
    "fps",
    "elo",
    "smatch",
    "pck",
];

/// The direction that a metric's name says, if it says one.
pub fn from_name(name: &str) -> Option<Direction> {
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
    // "Pixel accuracy error" is an error: what is bad is looked for first.
    if has(LOWER) || words.iter().any(|w| LOWER_STEMS.iter().any(|s| w.starts_with(s))) {
        // "Log-likelihood per word" and "frames per second" speak of a unit, not of an error.
        if words.iter().any(|w| w == "per") && has(HIGHER) {
            return Some(Direction::Higher);
        }
        return Some(Direction::Lower);
    }
    if has(HIGHER) {
        return Some(Direction::Higher);
    }
    has(COSTS).then_some(Direction::Lower)
}

/// The direction that the order of the primary metric's values says: they stand best first if they
/// never turn. At least three are needed, and rows in the order of their dates say nothing.
pub fn from_order(values: &[f64], dates: &[Option<String>]) -> Option<Direction> {
    let known: Vec<&String> = dates.iter().flatten().collect();
    let by_date = known.len() >= 3
        && (known.windows(2).all(|w| w[0] <= w[1]) || known.windows(2).all(|w| w[0] >= w[1]));
    let (first, last) = (values.first()?, values.last()?);
    if values.len() < 3 || first == last || by_date {
        return None;
    }
    if values.windows(2).all(|w| w[0] >= w[1]) {
        Some(Direction::Higher)
    } else if values.windows(2).all(|w| w[0] <= w[1]) {
        Some(Direction::Lower)
    } else {
        None
    }
}

/// The direction of a metric: from its name, then from the order of its values, else larger is
/// better.
pub fn infer(name: &str, values: &[f64], dates: &[Option<String>]) -> (Direction, DirectionSource) {
    if let Some(direction) = from_name(name) {
        return (direction, DirectionSource::NameRule);
    }
    match from_order(values, dates) {
        Some(direction) => (direction, DirectionSource::RowOrder),
        None => (Direction::Higher, DirectionSource::Assumed),
    }
}

/// Whether a metric counts something, so that `24m` is 24 million.
pub fn of_size(name: &str) -> bool {
    let sizes = ["params", "param", "parameters", "size", "flops", "macs", "tokens"];
    words(name).iter().any(|w| sizes.contains(&w.as_str()))
}

impl DirectionSource {
    /// Its name, as in addresses and exports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::NameRule => "name-rule",
            Self::RowOrder => "row-order",
            Self::Assumed => "assumed",
            Self::User => "user",
        }
    }

    /// A few words on it.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Declared => "the source",
            Self::NameRule => "the metric's name",
            Self::RowOrder => "the order of the rows",
            Self::Assumed => "nothing (larger is taken as better)",
            Self::User => "someone on this board",
        }
    }
}

impl Direction {
    /// Whether `a` is better than `b`.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Higher => a > b,
            Self::Lower => a < b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Higher, Lower};

    #[test]
    fn names_say_the_direction() {
        for name in [
            "Error",
            "Top-1 Error Rate",
            "Test perplexity",
            "WER",
            "bits per character",
            "RMSE",
            "FID",
            "Number of params",
            "Percentage error",
            "BPC",
            "Cross-Entropy",
            "LogLoss",
        ] {
            assert_eq!(from_name(name), Some(Lower), "{name}");
        }
        for name in
            ["Accuracy", "F1", "BLEU", "Percentage correct", "Top-5", "Answer EM", "mAP", "ROUGE-L"]
        {
            assert_eq!(from_name(name), Some(Higher), "{name}");
        }
        // "answer" and "power" hold "wer", "after" holds "ter".
        for name in ["Answer", "Power", "After", "Dev", "IN-DOMAIN"] {
            assert_eq!(from_name(name), None, "{name}");
        }
    }

    #[test]
    fn order_says_it_where_names_do_not() {
        let none = [None, None, None];
        assert_eq!(infer("Joint", &[1.0, 2.0, 3.0], &none), (Lower, DirectionSource::RowOrder));
        assert_eq!(infer("Joint", &[3.0, 2.0, 2.0], &none), (Higher, DirectionSource::RowOrder));
        assert_eq!(infer("Joint", &[3.0, 1.0, 2.0], &none), (Higher, DirectionSource::Assumed));
        assert_eq!(infer("Error", &[3.0, 2.0, 1.0], &none), (Lower, DirectionSource::NameRule));
        let years = ["2017", "2018", "2019"].map(|y| Some(y.to_owned()));
        assert_eq!(infer("Joint", &[1.0, 2.0, 3.0], &years), (Higher, DirectionSource::Assumed));
    }
}
