//! The tensors of an encoder.

use super::axes::{PoolerForm, Positions};
use super::input::InputSpec;
use super::spec::{EncoderSpec, NormPlacement};
use crate::names;
use crate::site::{Sublayer, WeightSite};

impl EncoderSpec {
    /// Every tensor of the encoder, by its canonical name (`base::names`): the only list of them.
    ///
    /// The order is that of the data flow: embeddings, layers from the lowest, what follows the
    /// last layer.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut list = self.embedding_tensors();
        (0..self.own_layers()).for_each(|layer| list.extend(self.layer_tensors(layer)));
        if self.norm == NormPlacement::Pre {
            list.extend(self.norm_tensors(names::FINAL_NORM, self.hidden));
        }
        list.extend(self.pooler_tensors());
        list
    }

    /// The tensors of the checkpoint's own pooler, where it has one.
    pub fn pooler_tensors(&self) -> Vec<TensorSpec> {
        let d = self.hidden;
        match self.axes.pooler {
            _ if !self.pooler => Vec::new(),
            PoolerForm::FirstToken => product(names::POOLER, [d, d], true),
            PoolerForm::Attention => {
                let mut list = vec![tensor(names::POOLER_PROBE, &[d], TensorKind::Token)];
                list.extend(product(names::POOLER_IN, [3 * d, d], true));
                list.extend(product(names::POOLER_OUT, [d, d], true));
                list.extend(self.norm_tensors(names::POOLER_NORM, d));
                list.extend(product(names::POOLER_FFN_IN, [self.intermediate, d], true));
                list.extend(product(names::POOLER_FFN_OUT, [d, self.intermediate], true));
                list
            }
        }
    }

    /// The tensors below the first layer.
    fn embedding_tensors(&self) -> Vec<TensorSpec> {
        use TensorKind::{Table, Token};
        let (d, width) = (self.hidden, self.embedding_width());
        let table = |name: &str, rows: usize| tensor(name, &[rows, width], Table);
        let positions = !self.axes.without_position_table;
        let mut list = Vec::new();
        match &self.input {
            InputSpec::Text(text) => {
                list.push(table(names::WORD, text.vocab));
                list.extend(positions.then(|| table(names::POSITION, text.positions)));
                if text.token_types > 0 {
                    list.push(table(names::TOKEN_TYPE, text.token_types));
                }
            }
            InputSpec::Image(image) => {
                let bias = !image.axes.without_patch_bias;
                list.extend(product(names::PATCH, [d, image.patch_elements()], bias));
                list.extend(image.special().map(|(name, tokens)| match name {
                    names::REGISTERS => tensor(name, &[tokens, d], Token),
                    _ => tensor(name, &[d], Token),
                }));
                list.extend(positions.then(|| table(names::POSITION, image.positions())));
            }
        }
        if self.has_embedding_norm() {
            list.extend(self.norm_tensors(names::EMBEDDING_NORM, width));
        }
        if self.axes.embedding_width.is_some() {
            list.extend(product(names::EMBEDDING_PROJECTION, [d, width], true));
        }
        match &self.axes.positions {
            Positions::Embedded | Positions::Rotary { .. } | Positions::RotaryPatches { .. } => {}
            Positions::Bias { buckets, .. } => {
                list.push(tensor(names::RELATIVE, &[*buckets, self.heads], Table));
            }
            Positions::Disentangled(relative) => {
                list.push(tensor(names::RELATIVE, &[2 * relative.span, d], Table));
                if relative.norm {
                    list.extend(self.norm_tensors(names::RELATIVE_NORM, d));
                }
            }
        }
        list
    }

    /// The tensors of one layer.
    fn layer_tensors(&self, layer: usize) -> Vec<TensorSpec> {
        let named = |rest: &str| names::in_layer(layer, rest);
        let site = |&site: &WeightSite| {
            product(&named(site.name()), self.site_shape(site), self.has_bias(site))
        };
        let mut list: Vec<_> = WeightSite::ALL.iter().flat_map(site).collect();
        if let Positions::Disentangled(relative) = &self.axes.positions {
            let terms =
                [(names::RELATIVE_KEY, relative.keys), (names::RELATIVE_QUERY, relative.queries)];
            for (name, _) in terms.iter().filter(|(_, exists)| *exists && !relative.shared) {
                list.extend(product(&named(name), [self.hidden, self.hidden], true));
            }
        }
        let norms = Sublayer::ALL.iter().filter(|s| self.has_norm(layer, **s));
        list.extend(norms.flat_map(|s| self.norm_tensors(&named(s.norm_name()), self.hidden)));
        if self.layer_scale {
            let scale =
                |s: &Sublayer| tensor(&named(s.scale_name()), &[self.hidden], TensorKind::Scale);
            list.extend(Sublayer::ALL.iter().map(scale));
        }
        list
    }

    /// Gain and shift of a norm.
    fn norm_tensors(&self, name: &str, d: usize) -> Vec<TensorSpec> {
        let shift = !self.axes.norms_without_bias;
        let mut list = vec![tensor(&format!("{name}.weight"), &[d], TensorKind::Gain)];
        list.extend(shift.then(|| tensor(&format!("{name}.bias"), &[d], TensorKind::Shift)));
        list
    }

    /// Elements of all tensors of the encoder.
    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(|t| t.shape.iter().product::<usize>()).sum()
    }
}

/// One tensor of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Canonical name.
    pub name: String,
    /// Size of each dimension; a product's weight is `[outputs, inputs]`, a table `[rows, width]`.
    pub shape: Vec<usize>,
    /// What it is for.
    pub kind: TensorKind,
}

/// What a tensor of an encoder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorKind {
    /// The weight of a product.
    Product,
    /// The bias of a product.
    Bias,
    /// The gain of a norm, by which it multiplies.
    Gain,
    /// The shift of a norm, which it adds.
    Shift,
    /// A table of which the input chooses rows.
    Table,
    /// Factors of the elements of a sub-layer's output (layer scale).
    Scale,
    /// A token that stands before those of the input.
    Token,
}

fn tensor(name: &str, shape: &[usize], kind: TensorKind) -> TensorSpec {
    TensorSpec { name: name.into(), shape: shape.into(), kind }
}

/// Weight of a product, and its bias if it has one.
fn product(name: &str, shape: [usize; 2], bias: bool) -> Vec<TensorSpec> {
    let mut list = vec![tensor(&format!("{name}.weight"), &shape, TensorKind::Product)];
    list.extend(bias.then(|| tensor(&format!("{name}.bias"), &shape[..1], TensorKind::Bias)));
    list
}

#[cfg(test)]
mod tests {
    use super::super::{Activation, Axes, ImageAxes, ImageInput, TextInput};
    use super::*;

    fn encoder(input: InputSpec, norm: NormPlacement, pooler: bool, scale: bool) -> EncoderSpec {
        EncoderSpec {
            family: String::new(),
            hidden: 768,
            layers: 12,
            heads: 12,
            intermediate: 3072,
            activation: Activation::Gelu,
            norm_eps: 1e-12,
            norm,
            input,
            pooler,
            layer_scale: scale,
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
            axes: Axes::default(),
        }
    }

    fn text(vocab: usize, positions: usize, token_types: usize) -> InputSpec {
        InputSpec::Text(TextInput { vocab, positions, position_offset: 0, token_types, pad_id: 0 })
    }

    fn image(image_size: usize, patch: usize, distillation: bool) -> InputSpec {
        let axes = ImageAxes::default();
        InputSpec::Image(ImageInput { image_size, patch, channels: 3, distillation, axes })
    }

    /// The numbers that `transformers` counts in these models without heads; of DINOv2 without its
    /// mask token, which only its pre-training reads.
    #[test]
    fn the_tensors_of_known_models_have_as_many_elements_as_those() {
        use NormPlacement::{Post, Pre};
        let models = [
            ("bert-base-uncased", encoder(text(30_522, 512, 2), Post, true, false), 109_482_240),
            ("roberta-base", encoder(text(50_265, 514, 1), Post, true, false), 124_645_632),
            ("vit-base-patch16-224", encoder(image(224, 16, false), Pre, false, false), 85_798_656),
            ("deit-base-distilled", encoder(image(224, 16, true), Pre, false, false), 85_800_192),
            ("dinov2-base", encoder(image(518, 14, false), Pre, false, true), 86_580_480 - 768),
        ];
        for (name, spec, expected) in models {
            assert_eq!(spec.parameters(), expected, "{name}");
        }
    }

    #[test]
    fn stochastic_depth_rises_by_equal_steps() {
        let mut spec = encoder(image(224, 16, false), NormPlacement::Pre, false, false);
        (spec.layers, spec.drop_path) = (5, 0.2);
        let rates: Vec<f32> = (0..5).map(|layer| spec.drop_path_at(layer)).collect();
        assert_eq!(rates, [0.0, 0.05, 0.1, 0.15, 0.2].map(|p: f32| p));
        (spec.layers, spec.drop_path) = (1, 0.2);
        assert_eq!(spec.drop_path_at(0), 0.0);
    }

    #[test]
    fn names_are_unlike_and_shapes_fit_their_kinds() {
        let spec = encoder(image(224, 16, true), NormPlacement::Pre, true, true);
        let tensors = spec.tensors();
        let names: std::collections::BTreeSet<_> = tensors.iter().map(|t| &t.name).collect();
        assert_eq!(names.len(), tensors.len());
        for tensor in &tensors {
            let matrix = matches!(tensor.kind, TensorKind::Product | TensorKind::Table);
            assert_eq!(tensor.shape.len(), 1 + usize::from(matrix), "{}", tensor.name);
        }
        let of = |kind| tensors.iter().filter(|t| t.kind == kind).count();
        // Six products a layer, that of patches and the pooler; two norms a layer and the last one.
        assert_eq!((of(TensorKind::Product), of(TensorKind::Bias)), (74, 74));
        assert_eq!((of(TensorKind::Gain), of(TensorKind::Shift)), (25, 25));
        assert_eq!(
            (of(TensorKind::Scale), of(TensorKind::Token), of(TensorKind::Table)),
            (24, 2, 1)
        );
    }
}
