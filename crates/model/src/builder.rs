//! Collects what methods put at which sites, and the parameters with their initial values.

use budwood_base::encoder::{ImageInput, InputSpec};
use budwood_base::head::Pooling;
use budwood_base::names;
use budwood_base::random::Key;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_engine::{Table, Weight};

use crate::base::{Base, Embeddings, ImageEmbeddings, Relative, TextEmbeddings};
use crate::error::ModelError;
use crate::frozen::{AttentionPooler, Linear, Norm, Pooler, PoolerProduct};
use crate::gate::Gate;
use crate::linear::{TrainedLinear, TrainedMatrix};
use crate::norm::NormSlots;
use crate::params::{Init, Params, Slot};
use crate::prefix::Prefix;
use crate::site::{AtProduct, InputGradient, OutputGradient, OutputSite};
use crate::sites::{
    AttentionPoolerSlots, EmbeddingSlots, ImageSlots, PoolerSlots, Prompt, RelativeSlots, Sites,
    TextSlots,
};

/// Parameters that any new adapter may have: a gigabyte. More only beside a base that is as large.
const PARAMETERS_MOST: usize = 1 << 28;

/// An adapter in the making.
pub(crate) struct Builder<'a> {
    base: &'a Base,
    /// All initial values are functions of this key and the parameter's name.
    key: Key,
    pooling: Pooling,
    /// The values of a file, for an adapter that is not new.
    given: Option<&'a TensorMap>,
    /// Parameters that a new adapter may have.
    limit: usize,
    params: Params,
    sites: Sites,
    /// Which method took a site, for the message when a second one comes.
    owners: Vec<Owner>,
    method: String,
}

struct Owner {
    site: String,
    method: String,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        base: &'a Base,
        key: Key,
        pooling: Pooling,
        given: Option<&'a TensorMap>,
    ) -> Self {
        Self {
            base,
            key,
            pooling,
            given,
            limit: (4 * base.spec().parameters()).max(PARAMETERS_MOST),
            params: Params::default(),
            sites: Sites {
                without_final_norm: pooling == Pooling::PatchMean,
                ..Sites::new(base.spec().layers, base.spec().own_layers())
            },
            owners: Vec::new(),
            method: String::new(),
        }
    }

    /// What was built.
    ///
    /// # Errors
    /// If the file holds tensors that nothing has asked for.
    pub(crate) fn finish(mut self) -> Result<(Params, Sites), ModelError> {
        let names = self.given.into_iter().flat_map(TensorMap::keys);
        let extra: Vec<_> = names.filter(|name| self.params.get(name).is_none()).collect();
        match extra.first() {
            None => {
                // Tensor by tensor it has grown to up to twice what it holds.
                self.params.values.shrink_to_fit();
                Ok((self.params, self.sites))
            }
            Some(first) => Err(ModelError::Extra { count: extra.len(), first: (*first).clone() }),
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
    /// If it is there already, is not that of the file, or is larger than makes sense. No memory is
    /// taken then.
    pub(crate) fn parameter(
        &mut self,
        name: String,
        shape: &[usize],
        init: Init<'_>,
    ) -> Result<Slot, ModelError> {
        let Some(tensor) = self.find(&name, shape)? else {
            let elements = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
            let all = elements.and_then(|n| n.checked_add(self.params.len()));
            if all.is_none_or(|n| n > self.limit) {
                let (method, shape, limit) = (self.method.clone(), shape.to_vec(), self.limit);
                return Err(ModelError::TooLarge { method, name, shape, limit });
            }
            return Ok(self.params.add(self.key, name, shape, init));
        };
        Ok(self.params.add(self.key, name, shape, Init::Copy(&tensor.data)))
    }

    /// The tensor of the file; none for a new adapter.
    ///
    /// # Errors
    /// If the parameter is there already, or is not that of the file.
    fn find(&self, name: &str, shape: &[usize]) -> Result<Option<&'a Tensor>, ModelError> {
        if self.params.get(name).is_some() {
            let (first, second) = (self.method.clone(), self.method.clone());
            let site = format!("the parameter '{name}'");
            return Err(ModelError::Clash { first, second, site });
        }
        let Some(given) = self.given else { return Ok(None) };
        let Some(tensor) = given.get(name) else {
            return Err(ModelError::Missing { name: name.into() });
        };
        if tensor.shape != shape {
            let (name, found, expected) = (name.into(), tensor.shape.clone(), shape.to_vec());
            return Err(ModelError::Shape { name, found, expected });
        }
        Ok(Some(tensor))
    }

    /// Adds `name`, a matrix `[outputs, inputs]`, of which only products are asked for. Where
    /// nothing can be trained, it is held packed alone: that is all that a server needs of it.
    pub(crate) fn matrix(
        &mut self,
        name: String,
        shape: [usize; 2],
        init: Init<'_>,
    ) -> Result<TrainedMatrix, ModelError> {
        if !self.base.is_trainable()
            && let Some(tensor) = self.find(&name, &shape)?
        {
            let [outputs, inputs] = shape;
            let (device, form) = (self.base.device(), self.base.adapter_precision());
            let packed = Weight::new(device, &tensor.data, outputs, inputs, form, false);
            self.params.note(name, &shape, packed.bytes());
            return Ok(TrainedMatrix::new(0..0, packed));
        }
        self.matrix_with_values(name, shape, init)
    }

    /// Adds `name`, a matrix `[outputs, inputs]`, whose elements are asked for too.
    pub(crate) fn matrix_with_values(
        &mut self,
        name: String,
        shape: [usize; 2],
        init: Init<'_>,
    ) -> Result<TrainedMatrix, ModelError> {
        let slot = self.parameter(name, &shape, init)?;
        Ok(TrainedMatrix::new(slot, self.unfilled(shape)))
    }

    /// A weight `[outputs, inputs]` that waits for its values.
    pub(crate) fn unfilled(&self, [outputs, inputs]: [usize; 2]) -> Weight {
        // A new adapter's head can be trained on a base that is not trainable.
        let backward = self.given.is_none() || self.base.is_trainable();
        Weight::unfilled(outputs, inputs, backward)
    }

    /// Adds `name.weight`, `[outputs, inputs]`, and with an initial value `name.bias`, `[outputs]`.
    pub(crate) fn linear(
        &mut self,
        name: &str,
        shape: [usize; 2],
        weight: Init<'_>,
        bias: Option<Init<'_>>,
    ) -> Result<TrainedLinear, ModelError> {
        let weight = self.matrix(format!("{name}.weight"), shape, weight)?;
        let bias = bias.map(|init| self.parameter(format!("{name}.bias"), &shape[..1], init));
        Ok(TrainedLinear::new(weight, bias.transpose()?))
    }

    /// Adds `name.weight [gates, d]`, normal with a deviation of 0.02, and `name.bias`, zero.
    pub(crate) fn gate(&mut self, name: &str, gates: usize, d: usize) -> Result<Gate, ModelError> {
        let bias = Some(Init::Constant(0.0));
        self.linear(name, [gates, d], Init::Normal(0.02), bias).map(Gate::new)
    }

    fn claim(&mut self, site: String) -> Result<(), ModelError> {
        if let Some(owner) = self.owners.iter().find(|owner| owner.site == site) {
            return Err(ModelError::Clash {
                first: owner.method.clone(),
                second: self.method.clone(),
                site,
            });
        }
        self.owners.push(Owner { site, method: self.method.clone() });
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
        self.sites.layers[layer].outputs[sublayer as usize] = Some(Box::new(site));
        Ok(())
    }

    /// Puts at a product what `make` builds, if the site is free.
    pub(crate) fn set_product<S: OutputGradient + 'static>(
        &mut self,
        layer: usize,
        site: WeightSite,
        make: impl FnOnce(&mut Self) -> Result<S, ModelError>,
    ) -> Result<(), ModelError> {
        self.set_at_product(layer, site, |builder| Ok(AtProduct::Output(Box::new(make(builder)?))))
    }

    /// Puts at a product what `make` builds, if the site is free; the encoder keeps the product's
    /// input for it.
    pub(crate) fn set_product_with_input<S: InputGradient + 'static>(
        &mut self,
        layer: usize,
        site: WeightSite,
        make: impl FnOnce(&mut Self) -> Result<S, ModelError>,
    ) -> Result<(), ModelError> {
        self.set_at_product(layer, site, |builder| Ok(AtProduct::Input(Box::new(make(builder)?))))
    }

    fn set_at_product(
        &mut self,
        layer: usize,
        site: WeightSite,
        make: impl FnOnce(&mut Self) -> Result<AtProduct, ModelError>,
    ) -> Result<(), ModelError> {
        self.claim(format!("the product {} in layer {layer}", site.name()))?;
        let made = make(self)?;
        self.sites.layers[layer].products[site as usize] = Some(made);
        Ok(())
    }

    /// Puts trained rows into each sequence, after `at` of its tokens; `as_words` they pass through
    /// the embeddings, which nothing else may train then.
    pub(crate) fn set_prompt(
        &mut self,
        length: usize,
        (at, as_words): (usize, bool),
        init: Init<'_>,
    ) -> Result<(), ModelError> {
        self.claim("the embedded input".into())?;
        let spec = self.base.spec();
        let shape = [length, if as_words { spec.embedding_width() } else { spec.hidden }];
        let read = [
            names::POSITION,
            names::TOKEN_TYPE,
            names::EMBEDDING_NORM,
            names::EMBEDDING_PROJECTION,
        ];
        read.into_iter().filter(|_| as_words).try_for_each(|name| self.claim(name.into()))?;
        let slot = self.parameter("shared.prompt.embedding".into(), &shape, init)?;
        let numbers = (0..length as u32).collect();
        self.sites.prompt = Some(Prompt { slot, length, at, as_words, numbers });
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
            self.sites.layers[layer].prefix = true;
        }
        self.sites.prefix = Some(make(self)?);
        Ok(())
    }

    /// Trains all layer norms: of every layer, of the embeddings, and the final one.
    pub(crate) fn train_norms(&mut self) -> Result<(), ModelError> {
        self.train_embedding_norm()?;
        for layer in 0..self.sites.layers.len() {
            self.train_layer_norms(layer)?;
        }
        self.train_final_norm()
    }

    /// Trains the norm of the embeddings, where there is one.
    pub(crate) fn train_embedding_norm(&mut self) -> Result<(), ModelError> {
        if let Some(norm) = &self.base.embedding_norm {
            self.sites.embedding_norm = Some(self.norm(names::EMBEDDING_NORM, norm)?);
        }
        Ok(())
    }

    /// Trains the norms of a layer: both, but in an encoder whose first layer has one.
    pub(crate) fn train_layer_norms(&mut self, layer: usize) -> Result<(), ModelError> {
        for sublayer in Sublayer::ALL {
            let name = names::in_layer(layer, sublayer.norm_name());
            let Some(norm) = self.base.norm(layer, sublayer) else { continue };
            let slots = self.norm(&name, norm)?;
            self.sites.layers[layer].norms[sublayer as usize] = Some(slots);
        }
        Ok(())
    }

    /// Trains both layer scales of a layer, where the encoder has them.
    pub(crate) fn train_layer_scales(&mut self, layer: usize) -> Result<(), ModelError> {
        let Some(scales) = &self.base.layer(layer).scales else { return Ok(()) };
        for (sublayer, frozen) in Sublayer::ALL.into_iter().zip(scales) {
            let name = names::in_layer(layer, sublayer.scale_name());
            self.claim(name.clone())?;
            let slot = self.parameter(name, &[frozen.len()], Init::Copy(frozen))?;
            self.sites.layers[layer].scales[sublayer as usize] = Some(slot);
        }
        Ok(())
    }

    /// Trains the norm after the last layer, where there is one and the head reads what follows it.
    pub(crate) fn train_final_norm(&mut self) -> Result<(), ModelError> {
        if let Some(norm) = self.base.final_norm.as_ref().filter(|_| !self.sites.without_final_norm)
        {
            self.sites.final_norm = Some(self.norm(names::FINAL_NORM, norm)?);
        }
        Ok(())
    }

    /// Trains all embeddings but their norm.
    pub(crate) fn train_embeddings(&mut self) -> Result<(), ModelError> {
        let slots = match (&self.base.embeddings, &self.base.spec().input) {
            (Embeddings::Text(text), _) => EmbeddingSlots::Text(Box::new(self.text_slots(text)?)),
            (Embeddings::Image(image), InputSpec::Image(input)) => {
                EmbeddingSlots::Image(Box::new(self.image_slots(input, image)?))
            }
            (Embeddings::Image(_), InputSpec::Text(_)) => return Ok(()),
        };
        self.sites.embeddings = Some(slots);
        Ok(())
    }

    /// Trains the table of distances and its norm, where the encoder has one.
    pub(crate) fn train_relative(&mut self) -> Result<(), ModelError> {
        let spec = self.base.spec();
        let table = |builder: &mut Self, table: &[f32], columns: usize| {
            builder.claim(names::RELATIVE.into())?;
            let shape = [table.len() / columns, columns];
            builder.parameter(names::RELATIVE.into(), &shape, Init::Copy(table))
        };
        self.sites.relative = match &self.base.relative {
            None => None,
            Some(Relative::Bias { table: values, buckets, .. }) => Some(RelativeSlots::Bias {
                table: table(self, values, spec.heads)?,
                heads: spec.heads,
                buckets: buckets.clone(),
                by_distance: Vec::new(),
            }),
            Some(Relative::Disentangled { table: values, norm, .. }) => {
                let table = table(self, values, spec.hidden)?;
                let norm = norm.as_ref().map(|norm| self.norm(names::RELATIVE_NORM, norm));
                Some(RelativeSlots::Disentangled { table, norm: norm.transpose()? })
            }
        };
        Ok(())
    }

    /// Trains a layer's own products of distances, where it has them.
    pub(crate) fn train_relative_products(&mut self, layer: usize) -> Result<(), ModelError> {
        for (term, name) in [names::RELATIVE_KEY, names::RELATIVE_QUERY].into_iter().enumerate() {
            let Some(product) = self.base.layer(layer).relative(term) else { continue };
            let trained = self.trained(&names::in_layer(layer, name), product)?;
            self.sites.layers[layer].relative[term] = Some(trained);
        }
        Ok(())
    }

    /// Tables of words, positions and token types, and what makes the hidden width of them.
    fn text_slots(&mut self, text: &TextEmbeddings) -> Result<TextSlots, ModelError> {
        let mut table = |name: &str, table: &Table| {
            self.claim(name.to_string())?;
            let elements = table.elements().ok_or_else(ModelError::in_bytes)?;
            let shape = [table.rows(), table.columns()];
            self.parameter(name.into(), &shape, Init::Copy(elements))
        };
        let word = table(names::WORD, &text.word)?;
        let position = text.position.as_ref().map(|t| table(names::POSITION, t)).transpose()?;
        let types = text.token_type.as_ref();
        let token_type = types.map(|t| table(names::TOKEN_TYPE, t)).transpose()?;
        let projection = text.projection.as_ref();
        let projection = projection.map(|p| self.trained(names::EMBEDDING_PROJECTION, p));
        Ok(TextSlots { word, position, token_type, projection: projection.transpose()? })
    }

    /// A product of the base as parameters under its own name.
    fn trained(&mut self, name: &str, base: &Linear) -> Result<TrainedLinear, ModelError> {
        self.claim(name.into())?;
        let weight = base.weight.elements().ok_or_else(ModelError::in_bytes)?;
        let shape = [base.weight.outputs(), base.weight.inputs()];
        let bias = base.bias.as_ref().map(|bias| Init::Copy(bias));
        self.linear(name, shape, Init::Copy(&weight), bias)
    }

    /// Projection of patches, tokens before them, and positions.
    fn image_slots(
        &mut self,
        input: &ImageInput,
        image: &ImageEmbeddings,
    ) -> Result<ImageSlots, ModelError> {
        let spec = self.base.spec();
        let d = spec.hidden;
        let patch = self.trained(names::PATCH, &image.patch)?;
        // They are neighbours.
        let mut special = self.params.len()..self.params.len();
        let mut frozen = &image.special[..];
        for (name, tokens) in input.special() {
            let (token, rest) = frozen.split_at(tokens * d);
            let shape = [tokens, d];
            let shape = if name == names::REGISTERS { &shape[..] } else { &shape[1..] };
            special.end = self.parameter(name.into(), shape, Init::Copy(token))?.end;
            frozen = rest;
        }
        let position = image.position.as_ref().map(|table| {
            let shape = [table.len() / d, d];
            self.parameter(names::POSITION.into(), &shape, Init::Copy(table))
        });
        Ok(ImageSlots { patch, special, position: position.transpose()? })
    }

    /// Trains the pooler, where the head reads it.
    pub(crate) fn train_pooler(&mut self) -> Result<(), ModelError> {
        let base = self.base;
        let Some(pooler) = base.pooler.as_ref().filter(|_| self.pooling == Pooling::Pooler) else {
            return Ok(());
        };
        self.sites.pooler = Some(match pooler {
            Pooler::FirstToken(product) => {
                PoolerSlots::FirstToken(Box::new(self.trained(names::POOLER, product)?))
            }
            Pooler::Attention(pooler) => {
                PoolerSlots::Attention(Box::new(self.attention_pooler(pooler)?))
            }
        });
        Ok(())
    }

    fn attention_pooler(
        &mut self,
        pooler: &AttentionPooler,
    ) -> Result<AttentionPoolerSlots, ModelError> {
        let (name, probe) = (names::POOLER_PROBE, &pooler.probe);
        let probe = self.parameter(name.into(), &[probe.len()], Init::Copy(probe))?;
        let mut product = |p: PoolerProduct| self.trained(p.name(), &pooler.products[p as usize]);
        let products = [
            product(PoolerProduct::In)?,
            product(PoolerProduct::Out)?,
            product(PoolerProduct::FfnIn)?,
            product(PoolerProduct::FfnOut)?,
        ];
        let norm = self.norm(names::POOLER_NORM, &pooler.norm)?;
        Ok(AttentionPoolerSlots { probe, products, norm })
    }

    /// The table of words as a product, where a method trains it.
    pub(crate) fn trained_words(&self) -> Option<TrainedMatrix> {
        let Some(EmbeddingSlots::Text(slots)) = &self.sites.embeddings else { return None };
        let width = self.base.spec().embedding_width();
        let slot = slots.word.clone();
        let shape = [slot.len() / width, width];
        Some(TrainedMatrix::new(slot, self.unfilled(shape)))
    }

    /// A new norm of this width: ones, and zeros where it has a bias.
    pub(crate) fn new_norm(
        &mut self,
        name: &str,
        width: usize,
        bias: bool,
    ) -> Result<NormSlots, ModelError> {
        let gamma = self.parameter(format!("{name}.weight"), &[width], Init::Constant(1.0))?;
        let zeros = Init::Constant(0.0);
        let beta = bias.then(|| self.parameter(format!("{name}.bias"), &[width], zeros));
        Ok(NormSlots { gamma, beta: beta.transpose()? })
    }

    fn norm(&mut self, name: &str, norm: &Norm) -> Result<NormSlots, ModelError> {
        self.claim(name.to_string())?;
        let d = [norm.gamma.len()];
        let gamma = self.parameter(format!("{name}.weight"), &d, Init::Copy(&norm.gamma))?;
        let beta = norm
            .has_bias
            .then(|| self.parameter(format!("{name}.bias"), &d, Init::Copy(&norm.beta)));
        Ok(NormSlots { gamma, beta: beta.transpose()? })
    }
}
