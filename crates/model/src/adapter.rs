//! One adapter: its parameters, where they act, and its head.

use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::random::Key;
use budwood_base::tensor::TensorMap;
use budwood_engine::Device;

use crate::acting::{Acting, Adapted};
use crate::base::Base;
use crate::builder::Builder;
use crate::error::ModelError;
use crate::head::Head;
use crate::method;
use crate::params::Params;
use crate::sites::{Depth, Sites};

/// Trained parameters with the sites where they act, and a head.
pub struct Adapter {
    spec: MethodSpec,
    head_spec: HeadSpec,
    /// All trained parameters. After changing values, call [`Adapter::refresh`].
    pub params: Params,
    sites: Sites,
    pub(crate) head: Head,
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
        let (params, sites) = builder.finish()?;
        let mut adapter = Self { spec, head_spec, params, sites, head };
        adapter.refresh(base.device(), 1);
        Ok(adapter)
    }

    /// An adapter of a method whose outputs are pooled vectors: the weights of its head are the
    /// identity. With the method `linear` they are those of the base alone.
    ///
    /// # Errors
    /// As [`Adapter::new`], and if the base has no such pooling.
    pub fn pooling(
        base: &Base,
        spec: &MethodSpec,
        pooling: Pooling,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let width = pooling.width(base.spec().hidden);
        let kind = HeadKind::Classification;
        let head = HeadSpec { bias: false, ..HeadSpec::linear(kind, width, pooling) };
        let mut adapter = Self::new(base, spec, head, seed)?;
        let slot = adapter.params.get("head.out.weight").map(|p| p.slot.clone());
        for (i, value) in adapter.params.values[slot.unwrap_or_default()].iter_mut().enumerate() {
            *value = if i / width == i % width { 1.0 } else { 0.0 };
        }
        adapter.refresh(base.device(), 1);
        Ok(adapter)
    }

    /// An adapter with the values of a file. Memory is taken for a tensor only once it is found
    /// there in the shape that the method asks for.
    ///
    /// On a base that is not trainable no adapter of a file is either: of most of its matrices only
    /// the packed copy is held, and `params` lacks their values.
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

    /// Begins from these values in the place of its own: those of a trained adapter, or of the
    /// head that a checkpoint has. Tensors that are not named keep theirs.
    ///
    /// # Errors
    /// If a tensor has no place here, or another shape; nothing is changed then.
    pub fn begin_from(&mut self, base: &Base, tensors: &TensorMap) -> Result<(), ModelError> {
        for (name, tensor) in tensors {
            let Some(param) = self.params.get(name) else {
                return Err(ModelError::Extra { count: 1, first: name.clone() });
            };
            if param.shape != tensor.shape {
                return Err(ModelError::Shape {
                    name: name.clone(),
                    found: tensor.shape.clone(),
                    expected: param.shape.clone(),
                });
            }
        }
        for (name, tensor) in tensors {
            let slot = self.params.get(name).map(|param| param.slot.clone()).unwrap_or_default();
            self.params.values[slot].copy_from_slice(&tensor.data);
        }
        self.refresh(base.device(), 1);
        Ok(())
    }

    /// The method with all options in force.
    pub fn spec(&self) -> &MethodSpec {
        &self.spec
    }

    /// The head.
    pub fn head_spec(&self) -> &HeadSpec {
        &self.head_spec
    }

    /// Leaves out what the method put into these layers, from now on: AdapterDrop (Rücklé et al.
    /// 2021) at use, and the ablation of Houlsby et al. 2019, section 3.6. Trained norms and the
    /// head stay.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn leave_out(&mut self, layers: impl IntoIterator<Item = usize>) {
        let left_out: Vec<usize> = layers.into_iter().collect();
        let all = self.sites.all_layers;
        assert!(left_out.iter().all(|&l| l < all), "there are {all} layers");
        self.sites.left_out = left_out;
    }

    /// How far down gradients must flow.
    pub fn depth(&self) -> Depth {
        self.sites.depth()
    }

    /// Layers, from the lowest, in which and below which nothing is trained.
    pub fn frozen_layers(&self) -> usize {
        match self.depth() {
            Depth::Embeddings => 0,
            Depth::Layer(layer) => layer,
            Depth::Head => self.sites.all_layers,
        }
    }

    /// Parameters in the head.
    pub fn head_parameters(&self) -> usize {
        let head = self.params.entries().iter().filter(|p| p.name.starts_with("head."));
        head.map(|p| p.slot.len()).sum()
    }

    /// Brings packed copies of the parameters up to date after their values have changed, on up to
    /// `threads` threads.
    pub fn refresh(&mut self, device: Device, threads: usize) {
        self.sites.refresh(device, &self.params.values, threads);
        self.head.refresh(device, &self.params.values);
    }

    /// What acts on rows of this adapter, over `base`.
    pub(crate) fn acting<'a>(&'a self, base: &'a Base) -> Acting<'a> {
        let adapted = Adapted { sites: &self.sites, params: &self.params.values };
        Acting { base, adapted: Some(adapted) }
    }
}
