//! What is saved is what was trained.

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, Pooling};
use budwood_engine::{Context, Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_model::{Adapter, Base, predict};

use crate::support::*;

#[path = "../../../formats/tests/common/description.rs"]
mod description;
use description::description;

#[test]
fn outputs_survive_saving_and_loading() {
    let dir = tempfile::tempdir().unwrap();
    let mut cx = Context::new(Device::cpu());
    for family in families() {
        let (model, base) = open(family);
        let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
        let (spec, cpu) = (model.spec().clone(), Device::cpu());
        let fixed = Base::load(spec, cpu, Precision::F32, false, fetch).unwrap();
        let mut narrow = fixed.clone();
        narrow.set_adapter_precision(Precision::Int8);
        let inputs = examples(&base, 5, 1);
        for (i, method) in methods_of(&base).iter().enumerate() {
            let dense = (i % 2 == 0).then_some(Activation::Tanh);
            let before = adapter(&base, method, any_head(i, 3, Pooling::Mean, dense), 7);
            let path = dir.path().join(format!("{family}-{i}"));
            let meta = meta(&model, &before);
            let mut folder = AdapterFolder { meta, tensors: before.params.to_tensors() };
            folder.save(&path).unwrap();
            let loaded = AdapterFolder::load(&path).unwrap();
            assert_eq!(loaded.meta, folder.meta, "{family} {method}");
            loaded.meta.check_base(&model).unwrap();
            let head = loaded.meta.head.clone();
            let after =
                Adapter::from_tensors(&base, &loaded.meta.method, head, &loaded.tensors).unwrap();
            let b = batch(&base, &inputs);
            let expected = predict(&mut cx, &base, &b, &all(&before, 5));
            let got = predict(&mut cx, &base, &b, &all(&after, 5));
            assert_eq!(got, expected, "{family} {method}");
            // Where nothing can be trained, matrices are held packed alone.
            let head = loaded.meta.head.clone();
            let used = Adapter::from_tensors(&fixed, &loaded.meta.method, head, &loaded.tensors);
            let used = used.unwrap();
            let got = predict(&mut cx, &fixed, &b, &all(&used, 5));
            assert_eq!(got, expected, "{family} {method} on a base that is not trainable");
            let shapes = |a: &Adapter| -> Vec<_> {
                a.params.entries().iter().map(|p| (p.name.clone(), p.shape.clone())).collect()
            };
            assert_eq!(shapes(&used), shapes(&before), "{family} {method}");
            let head = used.params.get("head.out.weight").unwrap();
            assert!(head.slot.is_empty(), "{family} {method} holds its head twice");
            // In bytes they take less, and answer nearly the same.
            let (head, tensors) = (loaded.meta.head.clone(), &loaded.tensors);
            let small = Adapter::from_tensors(&narrow, &loaded.meta.method, head, tensors).unwrap();
            let got = predict(&mut cx, &narrow, &b, &all(&small, 5));
            let (got, expected_all) = (got.concat(), expected.concat());
            let far = |(a, b): (&f32, &f32)| f64::from(a - b) * f64::from(a - b);
            let apart: f64 = got.iter().zip(&expected_all).map(far).sum();
            let length: f64 = expected_all.iter().map(|x| f64::from(x * x)).sum();
            let apart = (apart / length).sqrt();
            assert!(apart < 0.1, "{family} {method} in bytes: {apart}");
            let (bytes, before_bytes) = (small.params.bytes(), used.params.bytes());
            assert!(bytes < before_bytes, "{family} {method}: {bytes} of {before_bytes} bytes");
            let plain = adapter(&base, "linear", before.head_spec().clone(), 7);
            let without = predict(&mut cx, &base, &b, &all(&plain, 5));
            assert!(*method == "linear" || expected != without, "{family} {method} does nothing");
        }
    }
}

fn meta(model: &BaseModel, adapter: &Adapter) -> AdapterMeta {
    let head = adapter.head_spec().clone();
    let labels: &[&str] = match head.kind {
        HeadKind::QuestionAnswering => &[],
        _ => &["a", "b", "c"],
    };
    description(model, adapter.spec().clone(), head, labels, adapter.params.len())
}
