//! How long and how fast to train, by the method and the number of rows.

use budwood_base::method::MethodSpec;
use budwood_tasks::batch::BatchSize;

use crate::OptimizerSpec;

/// What the recipe would choose; what the user asks for goes before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Passes over the training set.
    pub epochs: usize,
    /// Size of a batch.
    pub batch: BatchSize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// AdamW with bias correction.
    pub optimizer: OptimizerSpec,
}

/// Rows of a batch, up to so many rows in all: many small steps are worth more than few large ones.
const BATCHES: [(usize, usize); 3] = [(100, 8), (400, 16), (usize::MAX, 32)];
/// Passes at least; as many as in the paper's protocol.
const PASSES: usize = 3;
/// Steps at least for 50 rows, how they grow with the rows, and where they stop growing: more rows
/// than that are seen [`PASSES`] times.
const STEPS: f64 = 60.0;
const GROWTH: f64 = 0.37;
const STEPS_MAX: f64 = 160.0;

/// Rates for few rows (50) and many (2,000); between them the rate goes with the logarithm of the
/// rows.
const RATE: (f64, f64) = (3e-4, 6e-4);
/// Those of methods that train the model's own weights, which need smaller steps, and of methods
/// with very few or oddly scaled parameters, which need larger ones.
const RATES: &[(&str, (f64, f64))] = &[
    ("full", (2e-5, 5e-5)),
    ("top_k", (2e-5, 5e-5)),
    ("compacter", (1e-3, 2e-3)),
    ("compacter++", (1e-3, 2e-3)),
    ("ia3", (2e-3, 5e-3)),
    // Not measured: vectors that scale, as those of (IA)³.
    ("vera", (2e-3, 5e-3)),
    ("linear", (1e-3, 3e-3)),
];

/// The plan for a method and so many rows; `batch` is what the user asked for.
pub fn plan(method: &MethodSpec, rows: usize, batch: Option<BatchSize>) -> Plan {
    let usual = BATCHES.iter().find(|(most, _)| rows < *most).map_or(32, |(_, batch)| *batch);
    let batch = batch.unwrap_or(BatchSize::Examples(usual));
    let each = if let BatchSize::Examples(n) = batch { n.max(1) } else { usual };
    let least = (STEPS * (rows as f64 / 50.0).powf(GROWTH)).min(STEPS_MAX);
    let steps_a_pass = rows.div_ceil(each).max(1);
    let epochs = (least / steps_a_pass as f64).ceil() as usize;
    // Of a union, the part that needs the smallest steps says how large they are.
    let rate = |name: &str| {
        let found = RATES.iter().find(|(known, _)| *known == name);
        let (few, many) = found.map_or(RATE, |(_, rates)| *rates);
        let share = ((rows.max(1) as f64 / 50.0).ln() / 40f64.ln()).clamp(0.0, 1.0);
        few * (many / few).powf(share)
    };
    let rates = method.parts.iter().map(|part| rate(&part.name));
    Plan {
        epochs: epochs.max(PASSES),
        batch,
        learning_rate: rates.fold(f64::INFINITY, f64::min),
        optimizer: OptimizerSpec { eps: 1e-8, bias_correction: true, ..OptimizerSpec::bert() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(rows: usize) -> usize {
        let plan = plan(&MethodSpec::named("adapter"), rows, None);
        let BatchSize::Examples(batch) = plan.batch else { unreachable!() };
        plan.epochs * rows.div_ceil(batch)
    }

    #[test]
    fn few_rows_are_seen_often_enough_and_many_three_times() {
        assert!(steps(1) >= 10 && steps(8) >= 25);
        assert!((60..=66).contains(&steps(50)), "{}", steps(50));
        assert!((100..=110).contains(&steps(200)), "{}", steps(200));
        assert_eq!(steps(2000), 189);
        assert_eq!(steps(10_000), 3 * 313);
        for rows in 1..3000 {
            assert!(steps(rows) < 2 * steps(rows + 1), "{rows}");
        }
    }

    #[test]
    fn rates_are_of_methods_that_there_are_and_unions_take_the_smallest() {
        for (name, _) in RATES {
            let found = budwood_model::method::resolve(&MethodSpec::named(name)).unwrap();
            assert_eq!(found.parts[0].name, *name);
        }
        let rate = |text: &str, rows| plan(&text.parse().unwrap(), rows, None).learning_rate;
        assert_eq!(rate("lora|full", 50), rate("full", 50));
        assert!(rate("adapter", 50) < rate("adapter", 500));
        assert_eq!(rate("adapter", 2000), rate("adapter", 100_000));
    }
}
