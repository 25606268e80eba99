//! Sentence vectors of a real checkpoint against those of `transformers`. Needs files that are not
//! here, so it is run by hand; see `tests/interop/vectors.py`, which makes them.

#![allow(clippy::unwrap_used)]

use budwood::{Base, Input};

/// `BUDWOOD_MODEL` is the model's folder, `BUDWOOD_VECTORS` a JSON list of texts and of vectors of
/// length 1.
#[test]
#[ignore = "needs a real checkpoint and vectors of transformers"]
fn vectors_of_a_real_checkpoint_are_those_of_transformers() {
    let model = std::env::var("BUDWOOD_MODEL").unwrap();
    let json = std::fs::read_to_string(std::env::var("BUDWOOD_VECTORS").unwrap()).unwrap();
    let (texts, expected): (Vec<String>, Vec<Vec<f32>>) = serde_json::from_str(&json).unwrap();
    let base = Base::open(&model).unwrap();
    let vectors = base.vectors(None).unwrap();
    let mut worker = base.worker();
    let mut worst = 0.0f32;
    for (text, expected) in texts.iter().zip(&expected) {
        let encoded = vectors.encode(vec![Input::Text(text.as_str().into())]).unwrap();
        let mut got = base.outputs(&mut worker, &[(&encoded, 0)]).unwrap().remove(0);
        let length = got.iter().map(|x| x * x).sum::<f32>().sqrt();
        got.iter_mut().for_each(|x| *x /= length);
        let d = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{d:.2e}  {}", text.chars().take(60).collect::<String>());
        worst = worst.max(d);
    }
    assert!(worst < 1e-4, "vectors differ by {worst}");
}
