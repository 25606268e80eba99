//! From values to places on an axis, and the ticks between.

/// Values beyond this, or their inverses on a logarithmic axis, make no range: what is drawn around
/// them stays finite.
const LARGEST: f64 = 1e250;

/// How values stand on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithms; values must be above 0.
    Log,
}

impl Scale {
    /// The share of the axis at which `value` stands, for an axis from `low` to `high`.
    pub fn place(self, value: f64, (low, high): (f64, f64)) -> f64 {
        let f = |x: f64| if self == Self::Log { x.max(f64::MIN_POSITIVE).ln() } else { x };
        (f(value) - f(low)) / (f(high) - f(low))
    }

    /// A range that holds the values with some room, and is never empty.
    pub fn range(self, values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let fits =
            move |x: &f64| x.abs() <= LARGEST && (self == Self::Linear || *x >= 1.0 / LARGEST);
        let values = values.filter(fits);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return if self == Self::Log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        match self {
            Self::Log => {
                let room = (0.05 * (high.ln() - low.ln())).exp().max(1.2);
                (low / room, high * room)
            }
            Self::Linear => {
                let room = if high > low { 0.06 * (high - low) } else { high.abs().max(1.0) * 0.1 };
                (low - room, high + room)
            }
        }
    }

    /// Values at which ticks stand, with their texts.
    pub fn ticks(self, (low, high): (f64, f64)) -> Vec<(f64, String)> {
        match self {
            Self::Linear => {
                let rough = (high - low) / 6.0;
                let power = 10f64.powf(rough.log10().floor());
                let step =
                    [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough);
                let step = step.unwrap_or(power);
                let digits = (-step.log10().floor()).max(0.0) as usize;
                let first = (low / step).ceil() as i64;
                let last = (high / step).floor() as i64;
                (first..=last.min(first.saturating_add(50)))
                    .map(|i| (i as f64 * step, format!("{:.digits$}", i as f64 * step)))
                    .collect()
            }
            Self::Log => {
                let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
                let wide = last - first > 3;
                let steps: &[f64] = if wide { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let values =
                    (first..=last).flat_map(|e| steps.iter().map(move |m| m * 10f64.powi(e)));
                values.filter(|v| (low..=high).contains(v)).map(|v| (v, short(v))).collect()
            }
        }
    }
}

/// A number as people write it on an axis: `2M`, `50k`, `0.01`, `1e-5`.
pub(crate) fn short(value: f64) -> String {
    let trimmed = |x: f64| format!("{}", (x * 1000.0).round() / 1000.0);
    match value.abs() {
        0.0 => "0".into(),
        1e9.. => format!("{}G", trimmed(value / 1e9)),
        1e6.. => format!("{}M", trimmed(value / 1e6)),
        1e3.. => format!("{}k", trimmed(value / 1e3)),
        0.001.. => trimmed(value),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let texts = |scale: Scale, range| -> Vec<String> {
            scale.ticks(range).into_iter().map(|t| t.1).collect()
        };
        assert_eq!(texts(Scale::Linear, (0.0, 1.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(Scale::Linear, (-3.0, 12.0)), ["0", "5", "10"]);
        assert_eq!(texts(Scale::Log, (900.0, 3e7)), ["1k", "10k", "100k", "1M", "10M"]);
        assert_eq!(texts(Scale::Log, (1e-4, 9e-3)).len(), 6);
        assert_eq!(short(1e-5), "1e-5");
    }

    #[test]
    fn ranges_are_never_empty() {
        for scale in [Scale::Linear, Scale::Log] {
            let extreme = vec![1e-320, f64::MIN_POSITIVE, 1e-249, 1e249, f64::MAX, f64::MIN];
            for values in [vec![], vec![3.0], vec![f64::NAN, 0.0], vec![1.0, 2.0], extreme] {
                let (low, high) = scale.range(values.iter().copied());
                assert!(low < high, "{scale:?} {values:?}");
                assert!(!scale.ticks((low, high)).is_empty() || values.len() < 2);
            }
        }
        assert!((Scale::Log.place(100.0, (1.0, 10_000.0)) - 0.5).abs() < 1e-12);
    }
}
