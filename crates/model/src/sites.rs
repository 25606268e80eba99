//! All places where one adapter acts: plain data that a [`crate::builder::Builder`] fills.

use budwood_base::encoder::NormPlacement;
use budwood_engine::Device;

use crate::distance::by_distance;
use crate::linear::TrainedLinear;
use crate::norm::NormSlots;
use crate::params::Slot;
use crate::prefix::Prefix;
use crate::site::{AtProduct, OutputSite};

/// How far down gradients must flow, and forward must save for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// To the embeddings.
    Embeddings,
    /// To this layer.
    Layer(usize),
    /// Only through the head.
    Head,
}

/// What a method does in one layer.
#[derive(Default)]
pub(crate) struct LayerSites {
    pub(crate) outputs: [Option<Box<dyn OutputSite>>; 2],
    pub(crate) products: [Option<AtProduct>; 6],
    pub(crate) norms: [Option<NormSlots>; 2],
    /// Trained products that make terms of distances.
    pub(crate) relative: [Option<TrainedLinear>; 2],
    /// Trained layer scale of each sub-layer.
    pub(crate) scales: [Option<Slot>; 2],
    /// Whether a prefix acts in its attention.
    pub(crate) prefix: bool,
}

impl LayerSites {
    /// Whether anything is trained before the output site of the feed-forward network.
    pub(crate) fn acts_before_ffn_output(&self, norm: NormPlacement) -> bool {
        self.outputs[0].is_some()
            || self.norms[0].is_some()
            || (self.norms[1].is_some() && norm == NormPlacement::Pre)
            || self.scales[0].is_some()
            || self.prefix
            || self.products.iter().any(Option::is_some)
    }

    /// Whether anything is trained before the output site of attention.
    pub(crate) fn acts_before_attention_output(&self, norm: NormPlacement) -> bool {
        (self.norms[0].is_some() && norm == NormPlacement::Pre)
            || self.prefix
            || self.products[..4].iter().any(Option::is_some)
    }

    fn is_empty(&self) -> bool {
        !self.prefix
            && self.outputs.iter().all(Option::is_none)
            && self.norms.iter().all(Option::is_none)
            && self.scales.iter().all(Option::is_none)
            && self.products.iter().all(Option::is_none)
    }
}

/// Trained embeddings.
pub(crate) enum EmbeddingSlots {
    Text(Box<TextSlots>),
    Image(Box<ImageSlots>),
}

/// Where a trained table of distances stands in the parameter vector.
pub(crate) enum RelativeSlots {
    Bias {
        table: Slot,
        heads: usize,
        buckets: Vec<u16>,
        /// `[heads, distances]`
        by_distance: Vec<f32>,
    },
    Disentangled {
        table: Slot,
        norm: Option<NormSlots>,
    },
}

/// Where trained embeddings of images stand in the parameter vector.
pub(crate) struct ImageSlots {
    pub(crate) patch: TrainedLinear,
    /// Those of the tokens before the patches, which are neighbours.
    pub(crate) special: Slot,
    pub(crate) position: Option<Slot>,
}

/// Where trained embedding tables of texts stand in the parameter vector.
pub(crate) struct TextSlots {
    pub(crate) word: Slot,
    pub(crate) position: Option<Slot>,
    pub(crate) token_type: Option<Slot>,
    pub(crate) projection: Option<TrainedLinear>,
}

/// A trained pooler.
pub(crate) enum PoolerSlots {
    FirstToken(Box<TrainedLinear>),
    Attention(Box<AttentionPoolerSlots>),
}

/// Where trained pooling by attention stands in the parameter vector.
pub(crate) struct AttentionPoolerSlots {
    pub(crate) probe: Slot,
    pub(crate) products: [TrainedLinear; 4],
    pub(crate) norm: NormSlots,
}

impl PoolerSlots {
    /// Packs the values again after they have changed.
    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        let products = match self {
            Self::FirstToken(product) => std::slice::from_mut(&mut **product),
            Self::Attention(slots) => &mut slots.products[..],
        };
        products.iter_mut().for_each(|product| product.refresh(device, params));
    }
}

/// Trained rows among each sequence's embedded tokens.
pub(crate) struct Prompt {
    pub(crate) slot: Slot,
    pub(crate) length: usize,
    /// Tokens before it.
    pub(crate) at: usize,
    /// Whether its rows are words that the embeddings make rows of.
    pub(crate) as_words: bool,
    /// 0, 1, ... length - 1.
    pub(crate) numbers: Vec<u32>,
}

/// All places where an adapter acts, the head aside.
#[derive(Default)]
pub(crate) struct Sites {
    /// One for each layer that has weights of its own.
    pub(crate) layers: Vec<LayerSites>,
    /// Layers of the encoder.
    pub(crate) all_layers: usize,
    /// Layers in which only trained norms act.
    pub(crate) left_out: Vec<usize>,
    pub(crate) embeddings: Option<EmbeddingSlots>,
    pub(crate) embedding_norm: Option<NormSlots>,
    pub(crate) relative: Option<RelativeSlots>,
    pub(crate) final_norm: Option<NormSlots>,
    /// Whether the head reads what is before the final norm.
    pub(crate) without_final_norm: bool,
    pub(crate) pooler: Option<PoolerSlots>,
    pub(crate) prompt: Option<Prompt>,
    pub(crate) prefix: Option<Prefix>,
}

impl Sites {
    /// Places in an encoder of so many layers, of which so many have weights of their own; all of
    /// them free.
    pub(crate) fn new(layers: usize, own: usize) -> Self {
        let sites = (0..own).map(|_| LayerSites::default()).collect();
        Self { layers: sites, all_layers: layers, ..Self::default() }
    }

    /// The place in `layers` of what acts in a layer.
    pub(crate) fn own(&self, layer: usize) -> usize {
        layer % self.layers.len()
    }

    /// Positions before those of a text's tokens.
    pub(crate) fn positions_before(&self) -> usize {
        let prompt = self.prompt.as_ref().filter(|prompt| prompt.as_words).map_or(0, |p| p.length);
        let prefix = self.prefix.as_ref().filter(|prefix| prefix.counted).map_or(0, |p| p.length);
        prompt + prefix
    }

    /// How far down gradients must flow.
    pub(crate) fn depth(&self) -> Depth {
        let input = [
            self.embeddings.is_some(),
            self.embedding_norm.is_some(),
            self.relative.is_some(),
            self.prompt.is_some(),
            // The embedded tokens are not those of the base.
            self.positions_before() > 0,
        ];
        if input.contains(&true) {
            return Depth::Embeddings;
        }
        match self.layers.iter().position(|layer| !layer.is_empty()) {
            Some(layer) => Depth::Layer(layer),
            // A trained final norm alone is reached from above the last layer.
            None if self.final_norm.is_some() => Depth::Layer(self.all_layers),
            None => Depth::Head,
        }
    }

    /// Brings packed copies of the parameters up to date, on up to `threads` threads.
    pub(crate) fn refresh(&mut self, device: Device, params: &[f32], threads: usize) {
        budwood_engine::for_each(threads, self.layers.iter_mut(), |layer| {
            layer.outputs.iter_mut().flatten().for_each(|site| site.refresh(device, params));
            layer.products.iter_mut().flatten().for_each(|site| site.refresh(device, params));
            layer.relative.iter_mut().flatten().for_each(|product| product.refresh(device, params));
        });
        match &mut self.embeddings {
            Some(EmbeddingSlots::Image(image)) => image.patch.refresh(device, params),
            Some(EmbeddingSlots::Text(text)) => {
                text.projection.iter_mut().for_each(|p| p.refresh(device, params));
            }
            None => {}
        }
        if let Some(RelativeSlots::Bias { table, heads, buckets, by_distance: all }) =
            &mut self.relative
        {
            *all = by_distance(&params[table.clone()], *heads, buckets);
        }
        if let Some(pooler) = &mut self.pooler {
            pooler.refresh(device, params);
        }
        if let Some(prefix) = &mut self.prefix {
            prefix.refresh(device, params);
        }
    }
}
