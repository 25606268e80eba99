//! Settings that were given and have no part in what the recipe kept.

use budwood_train::recipe::Chosen;

use crate::RunSpec;

/// Settings of steps on batches with labels. The probe is solved without steps; training on pairs
/// has steps of its own, which see a few texts at a time as they are.
const OF_BATCHES: &[&str] = &[
    "epochs",
    "batch-size",
    "batch-tokens",
    "accumulate",
    "drop-last",
    "dropout",
    "drop-path",
    "frozen-dropout",
    "label-smoothing",
    "flip",
    "random-crop",
];
/// Settings of steps of any kind.
const OF_STEPS: &[&str] =
    &["lr", "warmup", "schedule", "min-lr", "optimizer", "weight-decay", "clip"];
/// Settings of scores between steps, which only the method has, on validation rows.
const OF_SCORES: &[&str] = &["eval-every", "patience"];

/// The settings that were given and have no part in what was kept.
pub(super) fn without_effect(spec: &RunSpec, chosen: Chosen, has_dev: bool) -> Vec<&'static str> {
    let idle: &[&[&str]] = match chosen {
        Chosen::Method if has_dev => &[],
        Chosen::Method => &[OF_SCORES],
        Chosen::Contrastive => &[OF_BATCHES, OF_SCORES],
        Chosen::Linear | Chosen::Probe | Chosen::OnlyProbe => &[OF_BATCHES, OF_STEPS, OF_SCORES],
    };
    spec.given(idle.concat().into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ScheduleChoice;

    #[test]
    fn names_are_those_of_settings() {
        let all = serde_json::to_value(RunSpec::default()).unwrap();
        for name in [OF_BATCHES, OF_STEPS, OF_SCORES].concat() {
            assert!(all.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn only_what_was_given_is_named_and_only_where_it_is_idle() {
        let idle = |spec: &RunSpec, chosen| without_effect(spec, chosen, false);
        let all = [Chosen::Linear, Chosen::Probe, Chosen::Contrastive, Chosen::Method];
        assert!(all.iter().all(|&chosen| idle(&RunSpec::default(), chosen).is_empty()));
        let spec = RunSpec {
            batch_size: Some(8),
            dropout: Some(0.3),
            lr: Some(1e-3),
            schedule: ScheduleChoice::Cosine,
            patience: Some(2),
            seed: 7,
            ..RunSpec::default()
        };
        assert_eq!(idle(&spec, Chosen::Contrastive), ["batch-size", "dropout", "patience"]);
        let by_probe = ["batch-size", "dropout", "lr", "schedule", "patience"];
        assert_eq!(idle(&spec, Chosen::Probe), by_probe);
        assert_eq!(idle(&spec, Chosen::Method), ["patience"]);
        assert!(without_effect(&spec, Chosen::Method, true).is_empty());
    }
}
