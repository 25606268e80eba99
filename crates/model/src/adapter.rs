//! One adapter: its parameters and what it does at which sites.

use std::ops::Range;

use budwood_base::encoder::NormPlacement;
use budwood_base::head::{HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::names;
use budwood_base::random::Key;
use budwood_base::tensor::TensorMap;
use budwood_engine::{Device, Table};

use crate::base::{Embeddings, ImageEmbeddings, TextEmbeddings};
use crate::gate::Gate;
use crate::head::Head;
use crate::linear::TrainedLinear;
use crate::method;
use crate::prefix::Prefix;
use crate::site::{NormRef, NormSlots, OutputSite, Plain, ProductSite};
use crate::{Base, Init, ModelError, Norm, Params, Slot, Sublayer, WeightSite};

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
    pub(crate) products: [Option<Box<dyn ProductSite>>; 6],
    pub(crate) norms: [Option<NormSlots>; 2],
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
    Text(TextSlots),
    Image(Box<ImageSlots>),
}

/// Where trained embeddings of images stand in the parameter vector.
pub(crate) struct ImageSlots {
    pub(crate) patch: TrainedLinear,
    pub(crate) special: Slot,
    pub(crate) position: Slot,
}

/// Where trained embedding tables of texts stand in the parameter vector.
pub(crate) struct TextSlots {
    pub(crate) word: Slot,
    pub(crate) position: Slot,
    pub(crate) token_type: Option<Slot>,
}

/// Trained rows among each sequence's embedded tokens.
pub(crate) struct Prompt {
    pub(crate) slot: Slot,
    pub(crate) length: usize,
    /// Tokens before it.
    pub(crate) at: usize,
    /// 0, 1, ... length - 1.
    pub(crate) numbers: Vec<u32>,
}

/// Trained parameters with the sites where they act, and a head.
pub struct Adapter {
    spec: MethodSpec,
    head_spec: HeadSpec,
    /// All trained parameters. After changing values, call [`Adapter::refresh`].
    pub params: Params,
    layers: Vec<LayerSites>,
    /// Layers in which only trained norms act.
    left_out: Vec<usize>,
    embeddings: Option<EmbeddingSlots>,
    embedding_norm: Option<NormSlots>,
    final_norm: Option<NormSlots>,
    pooler: Option<TrainedLinear>,
    prompt: Option<Prompt>,
    prefix: Option<Prefix>,
    pub(crate) head: Head,
    depth: Depth,
}

impl Adapter {
    /// A new adapter with initial values from `seed`.
    ///
    /// # Errors
    /// If the method or an option is unknown, or cannot act on this base.
    pub fn new(
        base: &Base,
        spec: &MethodSpec,
        head: HeadSpec,
        seed: u64,
    ) -> Result<Self, ModelError> {
        Self::build(base, spec, head, (seed, None))
    }

    fn build(
        base: &Base,
        spec: &MethodSpec,
        head: HeadSpec,
        (seed, given): (u64, Option<&TensorMap>),
    ) -> Result<Self, ModelError> {
        let key = Key::new(seed).named("initial values");
        let mut builder = Builder::new(base, key, head.pooling, given);
        let spec = method::build(spec, &mut builder)?;
        let head_spec = head.clone();
        let head = Head::new(head, &mut builder)?;
        builder.check_extra()?;
        let Builder {
            params,
            layers,
            embeddings,
            embedding_norm,
            final_norm,
            pooler,
            prompt,
            prefix,
            ..
        } = builder;
        let bottom = embeddings.is_some() || embedding_norm.is_some() || prompt.is_some();
        let depth = depth(&layers, bottom, final_norm.is_some());
        let mut adapter = Self {
            spec,
            head_spec,
            params,
            layers,
            left_out: Vec::new(),
            embeddings,
            embedding_norm,
            final_norm,
            pooler,
            prompt,
            prefix,
            head,
            depth,
        };
        adapter.refresh(base.device(), 1);
        Ok(adapter)
    }

    /// An adapter with the values of a file. Memory is taken for a tensor only once it is found there in the shape that the
    /// method asks for.
    ///
    /// # Errors
    /// As [`Adapter::new`]; also if a tensor is missing, left over or of another shape.
    pub fn from_tensors(
        base: &Base,
        spec: &MethodSpec,
        head: HeadSpec,
        tensors: &TensorMap,
    ) -> Result<Self, ModelError> {
        Self::build(base, spec, head, (0, Some(tensors)))
    }

    /// The method with all options in force.
    pub fn spec(&self) -> &MethodSpec {
        &self.spec
    }

    /// The head.
    pub fn head_spec(&self) -> &HeadSpec {
        &self.head_spec
    }

    /// Leaves out what the method put into these layers, from now on: AdapterDrop (Rücklé et al. 2021) at use, and the
    /// ablation of Houlsby et al. 2019, section 3.6. Trained norms and the head stay.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn leave_out(&mut self, layers: impl IntoIterator<Item = usize>) {
        self.left_out = layers.into_iter().collect();
        let all = self.layers.len();
        assert!(self.left_out.iter().all(|&l| l < all), "there are {all} layers");
    }

    /// How far down gradients must flow.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Layers, from the lowest, in which and below which nothing is trained.
    pub fn frozen_layers(&self) -> usize {
        match self.depth {
            Depth::Embeddings => 0,
            Depth::Layer(layer) => layer,
            Depth::Head => self.layers.len(),
        }
    }

    /// Parameters in the head.
    pub fn head_parameters(&self) -> usize {
        let head = self.params.entries().iter().filter(|p| p.name.starts_with("head."));
        head.map(|p| p.slot.len()).sum()
    }

    /// Brings packed copies of the parameters up to date after their values have changed, on up to `threads`
    /// threads.
    pub fn refresh(&mut self, device: Device, threads: usize) {
        let params = &self.params.values;
        budwood_engine::for_each(threads, self.layers.iter_mut(), |layer| {
            layer.outputs.iter_mut().flatten().for_each(|site| site.refresh(device, params));
            layer.products.iter_mut().flatten().for_each(|site| site.refresh(device, params));
        });
        if let Some(EmbeddingSlots::Image(image)) = &mut self.embeddings {
            image.patch.refresh(device, params);
        }
        if let Some(pooler) = &mut self.pooler {
            pooler.refresh(device, params);
        }
        if let Some(prefix) = &mut self.prefix {
            prefix.refresh(device, params);
        }
        self.head.refresh(device, params);
    }

    pub(crate) fn layer(&self, layer: usize) -> &LayerSites {
        &self.layers[layer]
    }
}

fn depth(layers: &[LayerSites], bottom: bool, final_norm: bool) -> Depth {
    if bottom {
        return Depth::Embeddings;
    }
    match layers.iter().position(|l| !l.is_empty()) {
        Some(layer) => Depth::Layer(layer),
        // A trained final norm alone is reached from above the last layer.
        None if final_norm => Depth::Layer(layers.len()),
        None => Depth::Head,
    }
}

/// Parameters that any new adapter may have: a gigabyte. More only beside a base that is as large.
const PARAMETERS_MOST: usize = 1 << 28;

/// Looks up what acts at a site for a row of the batch: an adapter's part, or the plain encoder.
#[derive(Clone, Copy)]
pub(crate) struct Acting<'a> {
    pub(crate) base: &'a Base,
    pub(crate) adapter: Option<&'a Adapter>,
}

impl<'a> Acting<'a> {
    pub(crate) fn params(&self) -> &'a [f32] {
        self.adapter.map_or(&[], |a| &a.params.values)
    }

    /// What the method put into a layer, unless it is left out.
    fn sites(&self, layer: usize) -> Option<&'a LayerSites> {
        let adapter = self.adapter.filter(|a| !a.left_out.contains(&layer))?;
        Some(&adapter.layers[layer])
    }

    pub(crate) fn output(&self, layer: usize, sublayer: Sublayer) -> &'a dyn OutputSite {
        let site = self.sites(layer).and_then(|l| l.outputs[sublayer as usize].as_deref());
        site.unwrap_or(&Plain)
    }

    pub(crate) fn product(&self, layer: usize, site: WeightSite) -> Option<&'a dyn ProductSite> {
        self.sites(layer).and_then(|l| l.products[site as usize].as_deref())
    }

    pub(crate) fn norm(&self, layer: usize, sublayer: Sublayer) -> NormRef<'a> {
        let slots = self.adapter.and_then(|a| a.layers[layer].norms[sublayer as usize].as_ref());
        self.norm_ref(self.base.norm(layer, sublayer), slots)
    }

    /// The layer scale of a sub-layer, where the encoder has it, and where its gradient goes if it is trained.
    pub(crate) fn scale(
        &self,
        layer: usize,
        sublayer: Sublayer,
    ) -> Option<(&'a [f32], Option<&'a Slot>)> {
        let frozen = &self.base.layers[layer].scales.as_ref()?[sublayer as usize];
        let slot = self.adapter.and_then(|a| a.layers[layer].scales[sublayer as usize].as_ref());
        Some((slot.map_or(&frozen[..], |slot| &self.params()[slot.clone()]), slot))
    }

    /// Trained embeddings, with the parameter vector.
    pub(crate) fn embedding_slots(&self) -> Option<(&'a EmbeddingSlots, &'a [f32])> {
        let adapter = self.adapter?;
        Some((adapter.embeddings.as_ref()?, &adapter.params.values))
    }

    pub(crate) fn trained_pooler(&self) -> Option<&'a TrainedLinear> {
        self.adapter.and_then(|a| a.pooler.as_ref())
    }

    pub(crate) fn prompt(&self) -> Option<&'a Prompt> {
        self.adapter.and_then(|a| a.prompt.as_ref())
    }

    pub(crate) fn prefix(&self) -> Option<&'a Prefix> {
        self.adapter.and_then(|a| a.prefix.as_ref())
    }

    /// What opens the prefix in a layer.
    pub(crate) fn prefix_gate(&self, layer: usize) -> Option<&'a Gate> {
        self.sites(layer).filter(|sites| sites.prefix)?;
        self.prefix()?.gate(layer)
    }

    /// The columns of a layer's keys and values in [`Prefix::rows`].
    pub(crate) fn prefix_columns(&self, layer: usize) -> Option<(Range<usize>, Range<usize>)> {
        self.sites(layer).filter(|sites| sites.prefix)?;
        self.prefix()?.columns(layer)
    }

    pub(crate) fn embedding_norm(&self) -> Option<NormRef<'a>> {
        let Embeddings::Text(text) = &self.base.embeddings else { return None };
        let slots = self.adapter.and_then(|a| a.embedding_norm.as_ref());
        Some(self.norm_ref(&text.norm, slots))
    }

    pub(crate) fn final_norm(&self) -> Option<NormRef<'a>> {
        let slots = self.adapter.and_then(|a| a.final_norm.as_ref());
        self.base.final_norm.as_ref().map(|norm| self.norm_ref(norm, slots))
    }

    fn norm_ref(&self, norm: &'a Norm, slots: Option<&'a NormSlots>) -> NormRef<'a> {
        let eps = self.base.spec().norm_eps;
        match slots {
            None => NormRef { gamma: &norm.gamma, beta: &norm.beta, eps, slots: None },
            Some(slots) => NormRef {
                gamma: &self.params()[slots.gamma.clone()],
                beta: &self.params()[slots.beta.clone()],
                eps,
                slots: Some(slots),
            },
        }
    }
}

/// Collects what methods put at which sites.
pub(crate) struct Builder<'a> {
    base: &'a Base,
    key: Key,
    pooling: Pooling,
    /// The values of a file, for an adapter that is not new.
    given: Option<&'a TensorMap>,
    params: Params,
    layers: Vec<LayerSites>,
    embeddings: Option<EmbeddingSlots>,
    embedding_norm: Option<NormSlots>,
    final_norm: Option<NormSlots>,
    pooler: Option<TrainedLinear>,
    prompt: Option<Prompt>,
    prefix: Option<Prefix>,
    /// Which method took a site, for the message when a second one comes.
    owners: Vec<(String, String)>,
    method: String,
}

impl<'a> Builder<'a> {
    fn new(base: &'a Base, key: Key, pooling: Pooling, given: Option<&'a TensorMap>) -> Self {
        let layers = (0..base.spec().layers).map(|_| LayerSites::default()).collect();
        Self {
            base,
            key,
            pooling,
            given,
            params: Params::default(),
            layers,
            embeddings: None,
            embedding_norm: None,
            final_norm: None,
            pooler: None,
            prompt: None,
            prefix: None,
            owners: Vec::new(),
            method: String::new(),
        }
    }

    pub(crate) fn base(&self) -> &'a Base {
        self.base
    }

    /// Names the method that acts from now on.
    pub(crate) fn begin(&mut self, method: &str) {
        self.method = method.into();
    }

    /// Adds a tensor: with this initial value, or with that of the file.
    ///
    /// # Errors
    /// If it is there already, is not that of the file, or is larger than makes sense; no memory is taken then.
    pub(crate) fn parameter(
        &mut self,
        name: String,
        shape: &[usize],
        init: Init<'_>,
    ) -> Result<Slot, ModelError> {
        if self.params.get(&name).is_some() {
            let (first, second) = (self.method.clone(), self.method.clone());
            let site = format!("the parameter '{name}'");
            return Err(ModelError::Clash { first, second, site });
        }
        let Some(given) = self.given else {
            let limit = (4 * self.base.spec().parameters()).max(PARAMETERS_MOST);
            let elements = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
            let all = elements.and_then(|n| n.checked_add(self.params.len()));
            if all.is_none_or(|n| n > limit) {
                let (method, shape) = (self.method.clone(), shape.to_vec());
                return Err(ModelError::TooLarge { method, name, shape, limit });
            }
            return Ok(self.params.add(self.key, name, shape, init));
        };
        let Some(tensor) = given.get(&name) else { return Err(ModelError::Missing { name }) };
        if tensor.shape != shape {
            let (found, expected) = (tensor.shape.clone(), shape.to_vec());
            return Err(ModelError::Shape { name, found, expected });
        }
        Ok(self.params.add(self.key, name, shape, Init::Copy(&tensor.data)))
    }

    /// Refuses tensors of the file that nothing has asked for.
    fn check_extra(&self) -> Result<(), ModelError> {
        let names = self.given.into_iter().flat_map(TensorMap::keys);
        let extra: Vec<_> = names.filter(|name| self.params.get(name).is_none()).collect();
        match extra.first() {
            None => Ok(()),
            Some(first) => Err(ModelError::Extra { count: extra.len(), first: (*first).clone() }),
        }
    }

    fn claim(&mut self, site: String) -> Result<(), ModelError> {
        if let Some((_, first)) = self.owners.iter().find(|(s, _)| *s == site) {
            return Err(ModelError::Clash {
                first: first.clone(),
                second: self.method.clone(),
                site,
            });
        }
        self.owners.push((site, self.method.clone()));
        Ok(())
    }

    /// Puts at the output of a sub-layer what `make` builds, if the site is free.
    pub(crate) fn set_output<S: OutputSite + 'static>(
        &mut self,
        layer: usize,
        sublayer: Sublayer,
        make: impl FnOnce(&mut Self) -> Result<S, ModelError>,
    ) -> Result<(), ModelError> {
        self.claim(format!("the output of {} in layer {layer}", sublayer.output_name()))?;
        let site = make(self)?;
        self.layers[layer].outputs[sublayer as usize] = Some(Box::new(site));
        Ok(())
    }

    /// Puts at a product what `make` builds, if the site is free.
    pub(crate) fn set_product<S: ProductSite + 'static>(
        &mut self,
        layer: usize,
        weight_site: WeightSite,
        make: impl FnOnce(&mut Self) -> Result<S, ModelError>,
    ) -> Result<(), ModelError> {
        self.claim(format!("the product {} in layer {layer}", weight_site.name()))?;
        let site = make(self)?;
        self.layers[layer].products[weight_site as usize] = Some(Box::new(site));
        Ok(())
    }

    /// Puts trained rows into each sequence, after `at` of its tokens.
    pub(crate) fn set_prompt(
        &mut self,
        length: usize,
        at: usize,
        init: Init<'_>,
    ) -> Result<(), ModelError> {
        self.claim("the embedded input".into())?;
        let shape = [length, self.base.spec().hidden];
        let slot = self.parameter("shared.prompt.embedding".into(), &shape, init)?;
        self.prompt = Some(Prompt { slot, length, at, numbers: (0..length as u32).collect() });
        Ok(())
    }

    /// Puts what `make` builds before the keys and values of these layers.
    pub(crate) fn set_prefix(
        &mut self,
        layers: &[usize],
        make: impl FnOnce(&mut Self) -> Result<Prefix, ModelError>,
    ) -> Result<(), ModelError> {
        self.claim("the prefixes of keys and values".into())?;
        for &layer in layers {
            self.claim(format!("the keys and values in layer {layer}"))?;
            self.layers[layer].prefix = true;
        }
        self.prefix = Some(make(self)?);
        Ok(())
    }

    /// Trains all layer norms: of every layer, of the embeddings, and the final one.
    pub(crate) fn train_norms(&mut self) -> Result<(), ModelError> {
        self.train_embedding_norm()?;
        for layer in 0..self.layers.len() {
            self.train_layer_norms(layer)?;
        }
        self.train_final_norm()
    }

    /// Trains the norm of the embeddings, where there is one.
    pub(crate) fn train_embedding_norm(&mut self) -> Result<(), ModelError> {
        if let Embeddings::Text(text) = &self.base.embeddings {
            self.embedding_norm = Some(self.norm(names::EMBEDDING_NORM, &text.norm)?);
        }
        Ok(())
    }

    /// Trains both norms of a layer.
    pub(crate) fn train_layer_norms(&mut self, layer: usize) -> Result<(), ModelError> {
        for sublayer in Sublayer::ALL {
            let name = names::in_layer(layer, sublayer.norm_name());
            let slots = self.norm(&name, self.base.norm(layer, sublayer))?;
            self.layers[layer].norms[sublayer as usize] = Some(slots);
        }
        Ok(())
    }

    /// Trains both layer scales of a layer, where the encoder has them.
    pub(crate) fn train_layer_scales(&mut self, layer: usize) -> Result<(), ModelError> {
        let Some(scales) = &self.base.layers[layer].scales else { return Ok(()) };
        for (sublayer, frozen) in Sublayer::ALL.into_iter().zip(scales) {
            let name = names::in_layer(layer, sublayer.scale_name());
            self.claim(name.clone())?;
            let slot = self.parameter(name, &[frozen.len()], Init::Copy(frozen))?;
            self.layers[layer].scales[sublayer as usize] = Some(slot);
        }
        Ok(())
    }

    /// Trains the norm after the last layer, where there is one.
    pub(crate) fn train_final_norm(&mut self) -> Result<(), ModelError> {
        if let Some(norm) = &self.base.final_norm {
            self.final_norm = Some(self.norm(names::FINAL_NORM, norm)?);
        }
        Ok(())
    }

    /// Trains all embeddings but their norm.
    pub(crate) fn train_embeddings(&mut self) -> Result<(), ModelError> {
        let slots = match &self.base.embeddings {
            Embeddings::Text(text) => EmbeddingSlots::Text(self.text_slots(text)?),
            Embeddings::Image(image) => EmbeddingSlots::Image(Box::new(self.image_slots(image)?)),
        };
        self.embeddings = Some(slots);
        Ok(())
    }

    /// Tables of words, positions and token types.
    fn text_slots(&mut self, text: &TextEmbeddings) -> Result<TextSlots, ModelError> {
        let mut table = |name: &str, table: &Table| {
            self.claim(name.to_string())?;
            let elements = table.elements().ok_or_else(method::in_bytes)?;
            let shape = [table.rows(), table.columns()];
            self.parameter(name.into(), &shape, Init::Copy(elements))
        };
        let word = table(names::WORD, &text.word)?;
        let position = table(names::POSITION, &text.position)?;
        let types = text.token_type.as_ref();
        let token_type = types.map(|t| table(names::TOKEN_TYPE, t)).transpose()?;
        Ok(TextSlots { word, position, token_type })
    }

    /// Projection of patches, tokens before them, and positions.
    fn image_slots(&mut self, image: &ImageEmbeddings) -> Result<ImageSlots, ModelError> {
        let (device, d) = (self.base.device(), self.base.spec().hidden);
        self.claim(names::PATCH.into())?;
        let weight = image.patch.weight.elements().ok_or_else(method::in_bytes)?;
        let shape = (d, image.patch.weight.inputs());
        let init = (Init::Copy(&weight), Some(Init::Copy(&image.patch.bias)));
        let mut add =
            |name: String, shape: &[usize], init: Init<'_>| self.parameter(name, shape, init);
        let patch = TrainedLinear::new(device, names::PATCH, shape, init, &mut add)?;
        let tokens = [names::CLASS_TOKEN, names::DISTILLATION_TOKEN].into_iter();
        let mut slots = tokens
            .zip(image.special.chunks(d))
            .map(|(name, token)| self.parameter(name.into(), &[d], Init::Copy(token)))
            .collect::<Result<Vec<_>, _>>()?;
        // They are neighbours.
        let special = slots.remove(0);
        let special = special.start..slots.pop().unwrap_or(special).end;
        let shape = [image.position.len() / d, d];
        let position =
            self.parameter(names::POSITION.into(), &shape, Init::Copy(&image.position))?;
        Ok(ImageSlots { patch, special, position })
    }

    /// Trains the pooler, where the head reads it.
    pub(crate) fn train_pooler(&mut self) -> Result<(), ModelError> {
        let base = self.base;
        let Some(pooler) = base.pooler.as_ref().filter(|_| self.pooling == Pooling::Pooler) else {
            return Ok(());
        };
        self.claim("the pooler".into())?;
        let weight = pooler.weight.elements().ok_or_else(method::in_bytes)?;
        let shape = (pooler.weight.outputs(), pooler.weight.inputs());
        let init = (Init::Copy(&weight), Some(Init::Copy(&pooler.bias)));
        let mut add =
            |name: String, shape: &[usize], init: Init<'_>| self.parameter(name, shape, init);
        let linear = TrainedLinear::new(base.device(), "pooler", shape, init, &mut add)?;
        self.pooler = Some(linear);
        Ok(())
    }

    fn norm(&mut self, name: &str, norm: &Norm) -> Result<NormSlots, ModelError> {
        self.claim(name.to_string())?;
        let d = [norm.gamma.len()];
        let gamma = self.parameter(format!("{name}.weight"), &d, Init::Copy(&norm.gamma))?;
        let beta = self.parameter(format!("{name}.bias"), &d, Init::Copy(&norm.beta))?;
        Ok(NormSlots { gamma, beta })
    }
}
