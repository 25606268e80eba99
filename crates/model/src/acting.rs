//! What acts at a place for some rows of a batch: an adapter's part, or the plain encoder.

use std::ops::Range;

use budwood_base::site::{Sublayer, WeightSite};

use crate::base::{Base, Relative};
use crate::frozen::Norm;
use crate::gate::Gate;
use crate::linear::TrainedLinear;
use crate::norm::{NormRef, NormSlots};
use crate::params::Slot;
use crate::prefix::Prefix;
use crate::site::{AtProduct, OutputSite, Plain};
use crate::sites::{EmbeddingSlots, LayerSites, PoolerSlots, Prompt, RelativeSlots, Sites};

/// The base with an adapter's sites and parameters, or alone.
#[derive(Clone, Copy)]
pub(crate) struct Acting<'a> {
    pub(crate) base: &'a Base,
    pub(crate) adapted: Option<Adapted<'a>>,
}

/// Where an adapter acts, and with what values.
#[derive(Clone, Copy)]
pub(crate) struct Adapted<'a> {
    pub(crate) sites: &'a Sites,
    pub(crate) params: &'a [f32],
}

impl<'a> Acting<'a> {
    /// The adapter's parameters; empty for the base alone.
    pub(crate) fn params(&self) -> &'a [f32] {
        self.adapted.map_or(&[], |a| a.params)
    }

    fn sites(&self) -> Option<&'a Sites> {
        self.adapted.map(|a| a.sites)
    }

    /// All that is trained in a layer, left out or not.
    pub(crate) fn trained_in(&self, layer: usize) -> Option<&'a LayerSites> {
        self.sites().map(|sites| &sites.layers[sites.own(layer)])
    }

    /// What the method put into a layer, unless it is left out.
    fn in_layer(&self, layer: usize) -> Option<&'a LayerSites> {
        let sites = self.sites().filter(|sites| !sites.left_out.contains(&layer))?;
        Some(&sites.layers[sites.own(layer)])
    }

    pub(crate) fn output(&self, layer: usize, sublayer: Sublayer) -> &'a dyn OutputSite {
        let site = self.in_layer(layer).and_then(|l| l.outputs[sublayer as usize].as_deref());
        site.unwrap_or(&Plain)
    }

    pub(crate) fn product(&self, layer: usize, site: WeightSite) -> Option<&'a AtProduct> {
        self.in_layer(layer).and_then(|l| l.products[site as usize].as_ref())
    }

    /// Whether anything at these products of a layer, or at the output of a sub-layer, reads more
    /// of a sequence than one row.
    pub(crate) fn reads_sequences(&self, layer: usize, products: &[WeightSite]) -> bool {
        let mut products = products.iter().filter_map(|&site| self.product(layer, site));
        products.any(|product| product.forward_site().reads_sequences())
            || Sublayer::ALL.into_iter().any(|s| self.output(layer, s).reads_sequences())
    }

    /// The norm of a sub-layer, where it has one.
    pub(crate) fn norm(&self, layer: usize, sublayer: Sublayer) -> Option<NormRef<'a>> {
        let norm = self.base.norm(layer, sublayer)?;
        let slots = self.trained_in(layer).and_then(|l| l.norms[sublayer as usize].as_ref());
        Some(self.norm_ref(norm, slots))
    }

    /// The layer scale of a sub-layer, where the encoder has it, and where its gradient goes if it
    /// is trained.
    pub(crate) fn scale(
        &self,
        layer: usize,
        sublayer: Sublayer,
    ) -> Option<(&'a [f32], Option<&'a Slot>)> {
        let frozen = &self.base.layer(layer).scales.as_ref()?[sublayer as usize];
        let slot = self.trained_in(layer).and_then(|l| l.scales[sublayer as usize].as_ref());
        Some((slot.map_or(&frozen[..], |slot| &self.params()[slot.clone()]), slot))
    }

    /// Trained embeddings, with the parameter vector.
    pub(crate) fn embedding_slots(&self) -> Option<(&'a EmbeddingSlots, &'a [f32])> {
        Some((self.sites()?.embeddings.as_ref()?, self.params()))
    }

    /// A trained table of distances, with the parameter vector.
    pub(crate) fn relative_slots(&self) -> Option<(&'a RelativeSlots, &'a [f32])> {
        Some((self.sites()?.relative.as_ref()?, self.params()))
    }

    /// The norm of the table of distances, where it has one.
    pub(crate) fn relative_norm(&self) -> Option<NormRef<'a>> {
        let Some(Relative::Disentangled { norm, .. }) = &self.base.relative else { return None };
        let slots = match self.relative_slots() {
            Some((RelativeSlots::Disentangled { norm, .. }, _)) => norm.as_ref(),
            _ => None,
        };
        norm.as_ref().map(|norm| self.norm_ref(norm, slots))
    }

    /// The trained product that makes a term of distances in a layer.
    pub(crate) fn trained_relative(&self, layer: usize, term: usize) -> Option<&'a TrainedLinear> {
        self.trained_in(layer)?.relative[term].as_ref()
    }

    pub(crate) fn trained_pooler(&self) -> Option<&'a PoolerSlots> {
        self.sites()?.pooler.as_ref()
    }

    pub(crate) fn prompt(&self) -> Option<&'a Prompt> {
        self.sites()?.prompt.as_ref()
    }

    /// Positions before those of a text's tokens.
    pub(crate) fn positions_before(&self) -> usize {
        self.sites().map_or(0, Sites::positions_before)
    }

    pub(crate) fn prefix(&self) -> Option<&'a Prefix> {
        self.sites()?.prefix.as_ref()
    }

    /// What opens the prefix in a layer.
    pub(crate) fn prefix_gate(&self, layer: usize) -> Option<&'a Gate> {
        self.in_layer(layer).filter(|sites| sites.prefix)?;
        self.prefix()?.gate(self.sites()?.own(layer))
    }

    /// The columns of a layer's keys and values in [`Prefix::rows`].
    pub(crate) fn prefix_columns(&self, layer: usize) -> Option<(Range<usize>, Range<usize>)> {
        self.in_layer(layer).filter(|sites| sites.prefix)?;
        self.prefix()?.columns(self.sites()?.own(layer))
    }

    pub(crate) fn embedding_norm(&self) -> Option<NormRef<'a>> {
        let slots = self.sites().and_then(|sites| sites.embedding_norm.as_ref());
        self.base.embedding_norm.as_ref().map(|norm| self.norm_ref(norm, slots))
    }

    /// The norm after the last layer, where there is one and the head reads what is after it.
    pub(crate) fn final_norm(&self) -> Option<NormRef<'a>> {
        if self.sites().is_some_and(|sites| sites.without_final_norm) {
            return None;
        }
        let slots = self.sites().and_then(|sites| sites.final_norm.as_ref());
        self.base.final_norm.as_ref().map(|norm| self.norm_ref(norm, slots))
    }

    /// A norm of the base, or what is trained in its place.
    pub(crate) fn norm_ref(&self, norm: &'a Norm, slots: Option<&'a NormSlots>) -> NormRef<'a> {
        let eps = self.base.spec().norm_eps;
        match slots {
            None => NormRef { gamma: &norm.gamma, beta: &norm.beta, eps, slots: None },
            Some(slots) => NormRef {
                gamma: &self.params()[slots.gamma.clone()],
                beta: slots.beta.as_ref().map_or(&norm.beta, |beta| &self.params()[beta.clone()]),
                eps,
                slots: Some(slots),
            },
        }
    }
}
