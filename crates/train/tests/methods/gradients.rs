//! Gradients against finite differences of the loss.
//!
//! Two directions for each trained tensor. Along the computed gradient the loss must change by the
//! gradient's length: this sees wrong values. Along a random direction it must change by the
//! gradient's share of it: this sees what is missing, be it a part of a tensor or all of it,
//! because where the computed gradient is zero the loss must not change either.
//!
//! Losses are sums of f32 numbers, so a difference quotient over a step h is uncertain by about
//! 1e-6 / h.

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::random::Key;
use budwood_engine::{Context, Device};
use budwood_model::{Adapter, Base, Batch, Param};

use crate::support::*;

/// A loss as a function of an adapter's parameters.
struct Function<'a> {
    cx: Context,
    base: &'a Base,
    adapter: Adapter,
    inputs: Batch,
    /// Masks depend on this key alone, so that the loss is a function of the parameters with
    /// dropout too.
    dropout: Option<Key>,
}

impl<'a> Function<'a> {
    fn new(base: &'a Base, method: &str, head: HeadSpec) -> Self {
        let dropout = head.pooling == Pooling::Mean && method.contains("dropout");
        let mut inputs = batch(base, &examples(base, 4, 5));
        if head.kind == HeadKind::MaskedLm {
            let places = places(&inputs);
            inputs = inputs.asking(places.iter().map(|places| &places[..]));
        }
        Self {
            cx: Context::new(Device::cpu()),
            base,
            adapter: adapter(base, method, head, 3),
            inputs,
            dropout: dropout.then(|| Key::new(8).named("masks")),
        }
    }

    fn loss(&mut self) -> (f64, Vec<f32>) {
        loss(&mut self.cx, self.base, &self.adapter, &self.inputs, self.dropout)
    }

    /// How fast the loss grows along a direction of one tensor, by steps of `h` to both sides.
    fn slope(&mut self, entry: &Param, direction: &[f64], h: f64) -> f64 {
        let start = self.adapter.params.values.clone();
        let mut moved = |sign: f64| {
            for (i, d) in entry.slot.clone().zip(direction) {
                self.adapter.params.values[i] = start[i] + (sign * h * d) as f32;
            }
            self.adapter.refresh(self.base.device(), 1);
            self.loss().0
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * h);
        self.adapter.params.values.clone_from(&start);
        self.adapter.refresh(self.base.device(), 1);
        slope
    }

    /// What is wrong with a computed gradient of one tensor, if anything.
    fn fault(&mut self, entry: &Param, gradient: &[f32]) -> Option<String> {
        let g = gradient[entry.slot.clone()].iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let length = norm(&g);
        if length >= 1e-4 {
            let along: Vec<f64> = g.iter().map(|x| x / length).collect();
            let slope = self.slope(entry, &along, 2e-3);
            // Losses over positions are larger, and so is their rounding.
            let over_tokens = self.adapter.head_spec().kind.over_tokens();
            let rounding = if over_tokens { 4e-3 } else { 2e-3 };
            if (slope - length).abs() / (length + rounding) >= 0.03 {
                return Some(format!("along the gradient {slope}, its length {length}"));
            }
        }
        let n = (g.len() as f64).sqrt();
        let h = ELEMENT_STEP * n;
        let rounds = if length < 1e-4 { 3 } else { 1 };
        for round in 0..rounds {
            let key = Key::new(round).named(&entry.name);
            let random: Vec<f64> = (0..g.len() as u64).map(|i| key.normal(i)).collect();
            let direction: Vec<f64> = random.iter().map(|x| x / norm(&random)).collect();
            let slope = self.slope(entry, &direction, h);
            let share: f64 = direction.iter().zip(&g).map(|(d, g)| d * g).sum();
            let allowed = ALLOWED * length / n + ROUNDING / h;
            if (slope - share).abs() > allowed {
                return Some(format!(
                    "along a random direction {slope}, the gradient's share {share}"
                ));
            }
        }
        None
    }
}

/// By how much each element moves along a random direction, about.
const ELEMENT_STEP: f64 = 0.004;
/// Error along a random direction, relative to the share of the gradient that an average direction
/// has.
const ALLOWED: f64 = 0.05;
/// Rounding of a loss: four times the largest seen where the loss does not depend on a tensor.
const ROUNDING: f64 = 5e-7;

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// DoRA's norms depend on A and B too but count as constants: the peer's case judges their
/// gradients.
fn is_judged_by_the_peer(method: &str, entry: &Param) -> bool {
    let update = entry.name.ends_with(".lora.a") || entry.name.ends_with(".lora.b");
    method.contains("dora=true") && update
}

#[test]
fn gradients_match_finite_differences() {
    for family in families() {
        let (_, base) = open(family);
        for method in methods_of(&base) {
            // Heads do not know families: two will do for all poolings, one for those over tokens.
            let poolings = match family {
                "bert" | "vit" => {
                    &[Pooling::Mean, Pooling::Cls, Pooling::Pooler, Pooling::ClsMean][..]
                }
                _ => &[Pooling::Mean],
            };
            let pooled = poolings.iter().map(|&p| head(3, p, Some(Activation::Tanh)));
            let over_tokens = [1, 2].map(|i| any_head(i, 3, Pooling::Cls, None));
            let over_tokens = over_tokens.into_iter().filter(|_| family == "bert");
            // Narrow embeddings have a narrow table of words.
            let words = ["bert", "albert"].contains(&family).then(|| words_head(&base));
            // What models of CLIP read, and a norm after the first layer.
            let patches = head(3, Pooling::PatchMean, Some(Activation::Gelu));
            let patches = (family == "vit").then(|| with_norm(patches));
            for head in pooled.chain(over_tokens).chain(words).chain(patches) {
                let (kind, pooling) = (head.kind, head.pooling);
                if pooling == Pooling::Pooler && !base.spec().pooler {
                    continue;
                }
                let mut function = Function::new(&base, method, head);
                let (_, gradient) = function.loss();
                for entry in function.adapter.params.entries().to_vec() {
                    if is_judged_by_the_peer(method, &entry) {
                        continue;
                    }
                    let fault = function.fault(&entry, &gradient);
                    let what = format!("{family} {method} {kind:?} {pooling:?} {}", entry.name);
                    assert_eq!(fault, None, "{what}");
                }
            }
        }
    }
}

/// The check above is itself checked: for each trained tensor of each method on each family, its
/// gradient is taken away, and the check must say so. It cannot see what is within the rounding of
/// losses: so are the gradients of biases of keys, on which a softmax does not depend, and a few of
/// single numbers.
#[test]
fn a_missing_gradient_is_seen() {
    let (mut missing, mut unseen) = (0, 0);
    for family in families() {
        let (_, base) = open(family);
        for method in methods_of(&base) {
            let mut function = Function::new(&base, method, head(3, Pooling::Mean, None));
            let (_, gradient) = function.loss();
            for entry in function.adapter.params.entries().to_vec() {
                if is_judged_by_the_peer(method, &entry) {
                    continue;
                }
                let mut without = gradient.clone();
                without[entry.slot.clone()].fill(0.0);
                missing += 1;
                if function.fault(&entry, &without).is_none() {
                    let g: Vec<f64> =
                        gradient[entry.slot.clone()].iter().map(|&x| x.into()).collect();
                    let (length, name) = (norm(&g), &entry.name);
                    assert!(length < 5e-4, "{family} {method} {name}: {length} is not seen");
                    unseen += usize::from(!name.ends_with("key.bias"));
                }
            }
        }
    }
    println!("{missing} gradients taken away, {unseen} not seen beside those of biases of keys");
    assert!(unseen * 100 < missing, "{unseen} of {missing} are not seen");
}

/// As above with the second half of a tensor: a gradient that lacks a part is seen, mostly along
/// one direction.
#[test]
fn a_gradient_that_lacks_a_half_is_seen() {
    let (_, base) = open("bert");
    let (mut broken, mut seen) = (0, 0);
    for method in methods_of(&base) {
        let mut function = Function::new(&base, method, head(3, Pooling::Mean, None));
        let (_, gradient) = function.loss();
        for entry in function.adapter.params.entries().to_vec() {
            let middle = entry.slot.start + entry.slot.len() / 2;
            let g: Vec<f64> = gradient[middle..entry.slot.end].iter().map(|&x| x.into()).collect();
            if norm(&g) < 1e-2 || is_judged_by_the_peer(method, &entry) {
                continue;
            }
            let mut without = gradient.clone();
            without[middle..entry.slot.end].fill(0.0);
            broken += 1;
            seen += usize::from(function.fault(&entry, &without).is_some());
        }
    }
    println!("{seen} of {broken} halves seen");
    assert!(seen * 10 > broken * 9, "{seen} of {broken} halves seen");
}
