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
        let inputs = examples(&base, 5, 1);
        for (i, method) in methods().iter().enumerate() {
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
            assert_eq!(used.params.elements(), before.params.len(), "{family} {method}");
            let head = used.params.get("head.out.weight").unwrap();
            assert!(head.slot.is_empty(), "{family} {method} holds its head twice");
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
