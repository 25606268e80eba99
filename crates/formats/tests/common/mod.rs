//! An adapter that several tests save and damage.

use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::tensor::Tensor;
use budwood_formats::BaseModel;
use budwood_formats::native::AdapterFolder;

mod description;

/// A head of two classes on a base that is 32 wide, and no method.
pub(crate) fn example(base: &BaseModel, pooling: Pooling) -> AdapterFolder {
    let head = HeadSpec { dropout: 0.1, ..HeadSpec::linear(HeadKind::Classification, 2, pooling) };
    let method = MethodSpec::named("linear");
    let meta = description::description(base, method, head, &["no", "yes"], 66);
    let weight: Vec<f32> = (0..64).map(|i| i as f32 / 8.0 - 3.0).collect();
    let tensors = [
        ("head.out.weight".to_string(), Tensor::new([2, 32], weight)),
        ("head.out.bias".to_string(), Tensor::new([2], vec![1.0, -2.0])),
    ];
    AdapterFolder { meta, tensors: tensors.into() }
}
