//! LoRA with ranks and scales that differ from module to module, and the methods whose updates are
//! of its form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use budwood_base::encoder::EncoderSpec;
use budwood_base::method::{MethodPart, MethodSpec};
use budwood_base::names;
use budwood_base::site::WeightSite;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::Value;

use super::newer::newer;
use super::targets::Pattern;
use crate::family::Family;
use crate::imported::flag;
use crate::{BaseModel, Error};

/// A linear module of a layer, or the pooler, which is of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    pub(super) layer: Option<usize>,
    pub(super) name: &'static str,
}

impl Site {
    pub(super) fn of(self, method: &str, role: &str) -> String {
        self.named(&format!("{method}.{role}"))
    }

    fn named(self, rest: &str) -> String {
        let name = format!("{}.{rest}", self.name);
        self.layer.map_or(name.clone(), |layer| names::in_layer(layer, &name))
    }

    /// Our name of a role's tensor.
    pub(super) fn tensor(self, role: &str) -> String {
        self.of(if role == "scale" { "ia3" } else { "lora" }, role)
    }

    /// The library's name of the module. That of the pooler is the head's first layer where the
    /// family's models have one instead.
    pub(super) fn module(self, family: &Family) -> String {
        let name = self.named("weight");
        if let Some(layer) = self.layer
            && let Some((fused, _)) =
                family.fused.iter().find(|(_, ours)| ours.contains(&self.name))
        {
            return format!("{}.{}.{fused}", family.prefix, family.layer_name(layer));
        }
        if self.layer.is_none()
            && let Some((_, dense)) = family.classifier.as_ref().and_then(|head| head.dense)
        {
            return dense.into();
        }
        let full = family.checkpoint_name(&name).unwrap_or(name);
        full.strip_suffix(".weight").unwrap_or(&full).to_string()
    }
}

/// How many times the narrower side of a product a rank may be that others are widened to, or
/// share: there are as many products as a model has, and one rank is small in a file.
const SIDES_MOST: usize = 4;

/// Refuses a rank that would be that of other products, too.
fn check_shared(rank: usize, sides: [usize; 2]) -> Result<(), String> {
    let side = sides[0].min(sides[1]);
    if rank <= side.saturating_mul(SIDES_MOST) {
        return Ok(());
    }
    Err(format!(
        "a rank of {rank} is that of other modules, too, one of which has {side} rows or columns; at most \
         {SIDES_MOST} times as many are read. Save the adapter with a smaller rank"
    ))
}

/// The update of a module: `scale * b a`.
struct Update {
    a: Tensor,
    b: Tensor,
    magnitude: Option<Tensor>,
    scale: f64,
}

/// The tensors of a module by their roles.
type Roles<'a> = BTreeMap<&'a str, Tensor>;

/// A configuration that is read, with what its values are for.
struct Reading<'a> {
    path: &'a Path,
    config: &'a Value,
    family: &'a Family,
    encoder: Option<&'a EncoderSpec>,
    ranks: Pattern,
    alphas: Pattern,
    rslora: bool,
    dora: bool,
    /// VeRA's.
    projections: TensorMap,
}

/// The method and its tensors.
pub(super) fn method(
    path: &Path,
    config: &Value,
    family: &Family,
    encoder: Option<&EncoderSpec>,
    (sites, projections): (BTreeMap<Site, Roles<'_>>, TensorMap),
) -> Result<(MethodPart, TensorMap), Error> {
    // AdaLoRA's says which rows are left, which the file's shapes do, too.
    let of_ada = config.get("peft_type").and_then(Value::as_str) == Some("ADALORA");
    let ranks = if of_ada { &Value::Null } else { config };
    let ranks = Pattern::read(path, ranks, "rank_pattern")?;
    let alphas = Pattern::read(path, config, "alpha_pattern")?;
    let [rslora, dora] = ["use_rslora", "use_dora"].map(|field| flag(path, config, field, false));
    let (rslora, dora) = (rslora?, dora?);
    let reading =
        Reading { path, config, family, encoder, ranks, alphas, rslora, dora, projections };
    let update = |(site, roles)| Ok((site, reading.update(site, roles)?));
    let updates = sites.into_iter().map(update).collect::<Result<_, Error>>()?;
    reading.folded(updates)
}

impl Reading<'_> {
    fn number(&self, field: &str) -> Result<f64, Error> {
        let value = self.config.get(field).and_then(Value::as_f64).filter(|v| *v > 0.0);
        value.ok_or_else(|| self.fault(format!("lacks '{field}', a number above zero")))
    }

    fn is(&self, kind: &str) -> bool {
        self.config.get("peft_type").and_then(Value::as_str) == Some(kind)
    }

    fn scale(&self, alpha: f64, rank: f64) -> f64 {
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    fn fault(&self, message: impl Into<String>) -> Error {
        Error::content(self.path, message)
    }

    /// The update of a module.
    fn update(&self, site: Site, mut roles: Roles<'_>) -> Result<Update, Error> {
        let module = site.module(self.family);
        let mut take = |role: &str| {
            let missing = || {
                let what = match role {
                    "a" => "lora_A",
                    "b" => "lora_B",
                    other => other,
                };
                self.fault(format!("the weights lack '{what}' of '{module}'"))
            };
            roles.remove(role).ok_or_else(missing)
        };
        if self.is("VERA") {
            let (d, b) = (take("vera_d")?, take("vera_b")?);
            let shape = self.encoder.and_then(|e| match site.layer {
                None => Some([e.hidden; 2]),
                Some(_) => {
                    Some(e.site_shape(WeightSite::ALL.into_iter().find(|s| s.name() == site.name)?))
                }
            });
            return projected(&self.projections, &d.data, &b.data, shape)
                .map_err(|message| self.fault(message));
        }
        let (a, b) = (take("a")?, take("b")?);
        let shapes = (&a.shape[..], &b.shape[..]);
        let ([rank, _], [_, columns]) = shapes else {
            return Err(self.fault(format!("the update of '{module}' has shapes {shapes:?}")));
        };
        let ranks = [*rank, *columns];
        match roles.remove("e") {
            Some(e) => self.of_ada(&module, a, b, &e, ranks),
            None => self.of_lora(&module, a, b, roles.remove("magnitude"), ranks),
        }
    }

    /// Refuses an update whose two matrices are not of one rank, or of another than is said.
    fn check_rank(
        &self,
        module: &str,
        (a, b): (&Tensor, &Tensor),
        [rank, columns]: [usize; 2],
        expected: f64,
    ) -> Result<(), Error> {
        if rank == columns && rank > 0 && expected == rank as f64 {
            return Ok(());
        }
        Err(self.fault(format!(
            "the update of '{module}' has shapes {:?} and {:?}, but its rank is {expected}",
            a.shape, b.shape
        )))
    }

    fn of_lora(
        &self,
        module: &str,
        a: Tensor,
        b: Tensor,
        magnitude: Option<Tensor>,
        ranks: [usize; 2],
    ) -> Result<Update, Error> {
        let since = newer(self.family, module);
        let of = |pattern: &Pattern, field: &str| {
            pattern.of([module, &since])?.map_or_else(|| self.number(field), Ok)
        };
        let (alpha, rank) = (of(&self.alphas, "lora_alpha")?, of(&self.ranks, "r")?);
        self.check_rank(module, (&a, &b), ranks, rank)?;
        if magnitude.is_some() != self.dora {
            let message = format!("the magnitudes of '{module}' do not fit 'use_dora'");
            return Err(self.fault(message));
        }
        Ok(Update { a, b, magnitude, scale: self.scale(alpha, rank) })
    }

    /// AdaLoRA: a diagonal between the two matrices, and a divisor of its own.
    fn of_ada(
        &self,
        module: &str,
        mut a: Tensor,
        b: Tensor,
        e: &Tensor,
        [rank, columns]: [usize; 2],
    ) -> Result<Update, Error> {
        if rank == 0 && columns == 0 {
            // All of it was taken away.
            let (inputs, outputs) = (a.shape[1], b.shape[0]);
            let (a, b) = (Tensor::zeros([1, inputs]), Tensor::zeros([outputs, 1]));
            return Ok(Update { a, b, magnitude: None, scale: 1.0 });
        }
        self.check_rank(module, (&a, &b), [rank, columns], rank as f64)?;
        if e.len() != rank {
            return Err(self.fault(format!("'lora_E' of '{module}' is not of rank {rank}")));
        }
        let width = a.data.len() / rank;
        for (row, factor) in a.data.chunks_mut(width.max(1)).zip(&e.data) {
            row.iter_mut().for_each(|x| *x *= factor);
        }
        // Whatever rank is left, the divisor stays that of the beginning.
        let first = self.config.get("init_r").and_then(Value::as_f64);
        let scale = self.number("lora_alpha")? / (first.unwrap_or(rank as f64) + 1e-5);
        Ok(Update { a, b, magnitude: None, scale })
    }

    /// All updates at one rank and one scale. Where all modules agree nothing is changed.
    fn folded(
        &self,
        mut updates: BTreeMap<Site, Update>,
    ) -> Result<(MethodPart, TensorMap), Error> {
        let rank = updates.values().map(|u| u.a.shape[0]).max().unwrap_or(1);
        for update in updates.values().filter(|u| u.a.shape[0] < rank) {
            let sides = [update.a.shape[1], update.b.shape[0]];
            check_shared(rank, sides).map_err(|message| self.fault(message))?;
        }
        let alpha = match self.is("VERA") {
            true => rank as f64,
            false => self.number("lora_alpha")?,
        };
        let scale = self.scale(alpha, rank as f64);
        fill(self.path, &mut updates, rank, self.encoder.is_some())?;
        let targets: BTreeSet<_> =
            updates.keys().filter(|s| s.layer.is_some()).map(|s| s.name).collect();
        let mut part = MethodPart { name: "lora".into(), options: Default::default() }
            .with("r", rank as u64)
            .with("alpha", alpha)
            .with("targets", targets.into_iter().collect::<Vec<_>>());
        for (ours, on) in [("rslora", self.rslora), ("dora", self.dora)] {
            if on {
                part = part.with(ours, true);
            }
        }
        let mut tensors = TensorMap::new();
        for (site, update) in updates {
            let Update { a, mut b, magnitude, scale: own } = update.widened(rank);
            if own != scale {
                b.data.iter_mut().for_each(|x| *x = (f64::from(*x) * own / scale) as f32);
            }
            tensors.insert(site.of("lora", "a"), a);
            tensors.insert(site.of("lora", "b"), b);
            tensors.extend(magnitude.map(|m| (site.of("lora", "magnitude"), m)));
        }
        Ok((part, tensors))
    }
}

/// Updates of nothing for modules of a layer that has others. Their magnitudes, which DoRA has, are
/// the base's: where it is known they are left to [`complete_magnitudes`].
fn fill(
    path: &Path,
    updates: &mut BTreeMap<Site, Update>,
    rank: usize,
    base_is_known: bool,
) -> Result<(), Error> {
    let in_layers = || updates.keys().filter(|s| s.layer.is_some());
    let names: BTreeSet<_> = in_layers().map(|s| s.name).collect();
    let layers: BTreeSet<_> = in_layers().map(|s| s.layer).collect();
    for name in names {
        let Some(like) = updates.iter().find(|(s, _)| s.name == name).map(|(_, u)| u) else {
            continue;
        };
        let (inputs, outputs) = (like.a.shape[1], like.b.shape[0]);
        let has_magnitudes = like.magnitude.is_some();
        for &layer in &layers {
            let site = Site { layer, name };
            if updates.contains_key(&site) {
                continue;
            }
            if has_magnitudes && !base_is_known {
                let message = "'use_dora' with other modules in one layer than in another is read \
                               on a base alone";
                return Err(Error::content(path, message));
            }
            let (a, b) = (Tensor::zeros([rank, inputs]), Tensor::zeros([outputs, rank]));
            updates.insert(site, Update { a, b, magnitude: None, scale: 1.0 });
        }
    }
    Ok(())
}

/// The magnitudes of modules whose weights stay as they are: the lengths of the base's rows.
pub(crate) fn complete_magnitudes(
    method: &MethodSpec,
    base: &BaseModel,
    tensors: &mut TensorMap,
) -> Result<(), Error> {
    let is_dora = |part: &MethodPart| part.options.get("dora") == Some(&Value::Bool(true));
    if !method.parts.iter().any(is_dora) {
        return Ok(());
    }
    let modules = tensors.keys().filter_map(|name| name.strip_suffix(".lora.a"));
    let modules: Vec<String> = modules.map(String::from).collect();
    for module in modules {
        let name = format!("{module}.lora.magnitude");
        if names::split_layer(&module).is_some() && !tensors.contains_key(&name) {
            let weight = base.tensor(&format!("{module}.weight"))?;
            tensors.insert(name, lengths(&weight));
        }
    }
    Ok(())
}

/// The lengths of a matrix's rows.
pub(crate) fn lengths(weight: &Tensor) -> Tensor {
    let width = weight.shape.last().copied().unwrap_or(0).max(1);
    let square = |row: &[f32]| row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    let lengths: Vec<f32> =
        weight.data.chunks(width).map(|row| square(row).sqrt() as f32).collect();
    Tensor::new([lengths.len()], lengths)
}

impl Update {
    /// With rows and columns of zeros up to a rank.
    fn widened(mut self, rank: usize) -> Self {
        let own = self.a.shape[0];
        if own < rank {
            self.a.data.resize(rank * self.a.shape[1], 0.0);
            self.a.shape[0] = rank;
            let rows = self.b.data.chunks(own);
            let wide = rows
                .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, rank - own)));
            self.b = Tensor::new([self.b.shape[0], rank], wide.collect());
        }
        self
    }
}

/// VeRA: fixed projections, which all modules share, with a vector before and one after.
fn projected(
    projections: &TensorMap,
    d: &[f32],
    b: &[f32],
    shape: Option<[usize; 2]>,
) -> Result<Update, String> {
    let (Some(down), Some(up)) = (projections.get("A"), projections.get("B")) else {
        return Err(
            "the weights lack VeRA's projections (`save_projection` was false); they are not made anew here"
                .into(),
        );
    };
    let ([rank, most], [rows, columns]) = (&down.shape[..], &up.shape[..]) else {
        return Err("VeRA's projections are no matrices".into());
    };
    let [outputs, inputs] = shape.unwrap_or([b.len(), *most]);
    if d.len() != *rank
        || columns != rank
        || b.len() != outputs
        || outputs > *rows
        || inputs > *most
    {
        return Err(format!(
            "VeRA's projections {:?} and {:?} do not fit vectors of {} and {}",
            down.shape,
            up.shape,
            d.len(),
            b.len()
        ));
    }
    check_shared(*rank, [outputs, inputs])?;
    let scaled = |m: &Tensor, width: usize, columns: usize, by: &[f32]| -> Vec<f32> {
        let rows = m.data.chunks(width.max(1)).zip(by);
        rows.flat_map(|(row, f)| row[..columns].iter().map(move |x| x * f)).collect()
    };
    Ok(Update {
        a: Tensor::new([*rank, inputs], scaled(down, *most, inputs, d)),
        b: Tensor::new([outputs, *rank], scaled(up, *columns, *columns, b)),
        magnitude: None,
        scale: 1.0,
    })
}
