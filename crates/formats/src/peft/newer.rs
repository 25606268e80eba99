//! Modules whose names changed in `transformers` 5. Its checkpoints keep the older names, but PEFT
//! names an adapter's tensors and targets by the modules that it finds.

use crate::family::Family;

/// Pieces of names: in `transformers` 5, and before it. A piece stands between full stops.
type Renamed = &'static [(&'static str, &'static str)];

const ATTENTION: Renamed = &[
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
];
const VIT: Renamed =
    &[("layers", "encoder.layer"), ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense")];

fn renamed(family: &Family) -> impl Iterator<Item = (&'static str, &'static str)> {
    let (of_layers, of_attention): (Renamed, Renamed) = match family.prefix {
        "vit" | "deit" => (VIT, ATTENTION),
        "dinov2" | "dinov2_with_registers" => (&[], ATTENTION),
        _ => (&[], &[]),
    };
    of_layers.iter().chain(of_attention).copied()
}

/// Whether the family's modules have other names since then.
pub(super) fn is_renamed(family: &Family) -> bool {
    renamed(family).next().is_some()
}

/// A name with a piece in the place of another.
fn with(name: &str, from: &str, to: &str) -> String {
    let dotted = format!(".{name}.").replace(&format!(".{from}."), &format!(".{to}."));
    dotted[1..dotted.len() - 1].to_string()
}

/// The name before `transformers` 5 of a tensor or a module.
pub(super) fn older(family: &Family, name: &str) -> String {
    renamed(family).fold(name.to_string(), |name, (new, old)| with(&name, new, old))
}

/// The module's name in `transformers` 5.
pub(super) fn newer(family: &Family, module: &str) -> String {
    // Attention first: its output's name ends as that of the feed-forward network.
    let all: Vec<_> = renamed(family).collect();
    all.iter().rev().fold(module.to_string(), |name, (new, old)| with(&name, old, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::find;

    #[test]
    fn modules_go_there_and_back() {
        let names = [
            (
                "vit",
                "vit.layers.1.attention.q_proj",
                "vit.encoder.layer.1.attention.attention.query",
            ),
            ("vit", "vit.layers.0.attention.o_proj", "vit.encoder.layer.0.attention.output.dense"),
            ("vit", "vit.layers.0.mlp.fc2", "vit.encoder.layer.0.output.dense"),
            ("dinov2", "dinov2.encoder.layer.0.mlp.fc2", "dinov2.encoder.layer.0.mlp.fc2"),
            (
                "dinov2",
                "dinov2.encoder.layer.0.attention.v_proj",
                "dinov2.encoder.layer.0.attention.attention.value",
            ),
            ("bert", "bert.encoder.layer.0.output.dense", "bert.encoder.layer.0.output.dense"),
        ];
        for (family, new, old) in names {
            let family = find(family).unwrap();
            assert_eq!((older(family, new), newer(family, old)), (old.into(), new.into()));
            // Names that are old already stay.
            assert_eq!(older(family, old), old);
        }
    }
}
