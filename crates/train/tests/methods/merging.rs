//! An adapter whose method is a change of weights, merged, is the same function as a base of its
//! own.

use budwood_base::head::Pooling;
use budwood_base::method::MethodSpec;
use budwood_engine::{Context, Device, Precision};
use budwood_model::method::METHODS;
use budwood_model::{Adapter, Base, merged, predict};

use crate::support::*;

/// The first method of a specification that says it cannot be merged.
fn refusing(spec: &MethodSpec) -> Option<&'static str> {
    let find = |name: &str| METHODS.iter().find(|m| m.name == name);
    spec.parts
        .iter()
        .find_map(|part| find(&part.name).filter(|m| m.cannot_merge().is_some()))
        .map(|m| m.name)
}

#[test]
fn what_is_merged_answers_as_the_adapter_did_or_is_refused_by_name() {
    let mut cx = Context::new(Device::cpu());
    for family in families() {
        let (model, base) = open(family);
        let inputs = batch(&base, &examples(&base, 5, 1));
        for method in methods_of(&base) {
            let before = adapter(&base, method, head(3, Pooling::Mean, None), 7);
            let tensors = before.params.to_tensors();
            let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
            let changed = merged(before.spec(), model.spec(), &tensors, fetch);
            if before.spec().to_string().contains("use_gating=true") {
                assert!(
                    changed.err().unwrap().to_string().contains("cannot be merged"),
                    "{method}"
                );
                continue;
            }
            if let Some(name) = refusing(before.spec()) {
                let message = changed.err().unwrap().to_string();
                assert!(message.contains(&format!("'{name}'")), "{family} {method}: {message}");
                continue;
            }
            let changed = changed.unwrap();
            let fetch = |name: &str| match changed.get(name) {
                Some(tensor) => Ok::<_, budwood_train::Error>(tensor.clone()),
                None => Ok(model.tensor(name)?),
            };
            let spec = model.spec().clone();
            let whole = Base::load(spec, Device::cpu(), Precision::F32, false, fetch).unwrap();
            let probe = MethodSpec::named("linear");
            let mut head = tensors.clone();
            head.retain(|name, _| name.starts_with("head."));
            let after = Adapter::from_tensors(&whole, &probe, before.head_spec().clone(), &head);
            let after = after.unwrap();
            let expected = predict(&mut cx, &base, &inputs, &all(&before, 5)).concat();
            let got = predict(&mut cx, &whole, &inputs, &all(&after, 5)).concat();
            let far = expected.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far < 1e-4, "{family} {method}: {far}");
        }
    }
}

#[test]
fn a_tensor_that_no_method_takes_is_named() {
    let (model, base) = open("bert");
    let before = adapter(&base, "lora[r=2]", head(3, Pooling::Mean, None), 7);
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let mut tensors = before.params.to_tensors();
    let stray = tensors["layers.0.query.lora.a"].clone();
    tensors.insert("layers.0.key.lora.a".into(), stray);
    let extra = merged(before.spec(), model.spec(), &tensors, fetch).err().unwrap().to_string();
    assert!(extra.contains("layers.0.key.lora.a"), "{extra}");
    tensors.remove("layers.0.key.lora.a");
    tensors.remove("layers.1.value.lora.b");
    let missing = merged(before.spec(), model.spec(), &tensors, fetch).err().unwrap().to_string();
    assert!(missing.contains("layers.1.value.lora.b"), "{missing}");
}
