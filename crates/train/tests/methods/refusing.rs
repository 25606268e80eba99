//! What is refused, and how it is said.

use budwood_base::encoder::InputSpec;
use budwood_base::head::Pooling;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_model::Adapter;

use crate::support::*;

#[test]
fn faults_of_specifications_are_named() {
    let (_, base) = open("bert");
    let fault = |method: &str| {
        let spec: MethodSpec = method.parse().unwrap();
        Adapter::new(&base, &spec, head(2, Pooling::Cls, None), 0).err().unwrap().to_string()
    };
    assert!(fault("adaptor").contains("did you mean 'adapter'"));
    assert!(fault("adapter[widht=8]").contains("did you mean 'width'"));
    assert!(fault("adapter[width=0]").contains("whole number above 0"));
    assert!(fault("seq_bn[leave_out=[7]]").contains("layers of 0..2"));
    assert!(fault("lora[targets=[qeury]]").contains("query, key"));
    let clash = fault("seq_bn|par_bn");
    assert!(
        clash.contains("seq_bn") && clash.contains("par_bn") && clash.contains("layer 0"),
        "{clash}"
    );
    let (_, distilbert) = open("distilbert");
    let spec = MethodSpec::named("linear");
    let error = Adapter::new(&distilbert, &spec, head(2, Pooling::Pooler, None), 0).err().unwrap();
    assert!(error.to_string().contains("--pooling"));
}

/// No machine has the memory that these would take.
#[test]
fn what_is_larger_than_makes_sense_is_refused_before_memory_is_taken() {
    let (_, base) = open("bert");
    for (method, said) in [
        ("vera[r=4294967295]", "no larger than the model"),
        ("lora[r=4294967295]", "at most"),
        ("prompt_tuning[prompt_length=4294967295]", "at most"),
        ("prefix_tuning[bottleneck_size=4294967295]", "at most"),
        ("seq_bn[reduction_factor=1e-9]", "at most"),
        ("compacter[reduction_factor=1e-9]", "1 or more"),
    ] {
        let spec: MethodSpec = method.parse().unwrap();
        let error = Adapter::new(&base, &spec, head(2, Pooling::Cls, None), 0).err().unwrap();
        assert!(error.to_string().contains(said), "{method}: {error}");
    }
}

/// A description may ask for more than its file holds.
#[test]
fn projections_that_the_file_does_not_explain_are_refused() {
    let (_, base) = open("bert");
    let trained = adapter(&base, "vera[r=3]", head(2, Pooling::Cls, None), 0);
    let load = |method: &str| {
        let (spec, head) = (method.parse().unwrap(), trained.head_spec().clone());
        let tensors = trained.params.to_tensors();
        Adapter::from_tensors(&base, &spec, head, &tensors).err().map(|e| e.to_string())
    };
    assert_eq!(load("vera[r=3]"), None);
    assert!(load("vera[r=4294967295]").unwrap().contains("no larger than the model"));
    assert!(load("vera[r=20000]").unwrap().contains("shape [3]"));
}

#[test]
fn tensors_of_another_shape_or_number_are_refused() {
    let (_, base) = open("bert");
    let trained = adapter(&base, "adapter[width=8]", head(3, Pooling::Cls, None), 0);
    let load = |change: &dyn Fn(&mut TensorMap)| {
        let mut tensors = trained.params.to_tensors();
        change(&mut tensors);
        let head = trained.head_spec().clone();
        Adapter::from_tensors(&base, trained.spec(), head, &tensors).err().map(|e| e.to_string())
    };
    assert_eq!(load(&|_| {}), None);
    let missing = load(&|t| drop(t.remove("head.out.weight"))).unwrap();
    assert!(missing.contains("head.out.weight"), "{missing}");
    let extra = load(&|t| drop(t.insert("layers.9.x".into(), Tensor::zeros([1]))));
    assert!(extra.unwrap().contains("layers.9.x"));
    let shape = load(&|t| drop(t.insert("head.out.bias".into(), Tensor::zeros([4]))));
    assert!(shape.unwrap().contains("head.out.bias"));
}

/// What a method cannot do on an encoder, by name; all else it can (`support::acts_on`).
#[test]
fn what_an_encoder_does_not_have_is_refused_by_name() {
    let mut refused = Vec::new();
    for family in families() {
        let (_, base) = open(family);
        for method in methods() {
            let spec: MethodSpec = method.parse().unwrap();
            let made = Adapter::new(&base, &spec, head(3, Pooling::Cls, None), 0);
            if let Err(error) = made {
                let known = [
                    "biases of products",
                    "those of this encoder are one",
                    "before the first word of texts",
                ];
                assert!(known.iter().any(|k| error.to_string().contains(k)), "{family}: {error}");
                refused.push((family, method));
            }
            assert_eq!(
                refused.last() == Some(&(family, method)),
                !methods_of(&base).contains(&method)
            );
        }
    }
    let of = |family: &str| refused.iter().filter(|(f, _)| *f == family).count();
    assert_eq!((of("modernbert"), of("nomic_bert"), of("bert")), (1, 1, 0));
    assert_eq!((of("dinov3_vit"), of("dinov3_vit_gated")), (1, 2));
    assert!(of("albert") > 3);
    // Vectors as words before images.
    let of_images = |family: &&str| matches!(open(family).1.spec().input, InputSpec::Image(_));
    let images = families().iter().filter(|family| of_images(family)).count();
    assert_eq!(refused.len(), 3 + of("albert") + images, "{refused:?}");
}
