//! Predictions and scores on examples that no file holds.
//!
//! `cargo run -p budwood --example data_in_memory`, on a tiny model with random numbers.

#![allow(clippy::print_stdout)]

#[path = "../tests/world/mod.rs"]
#[allow(clippy::unwrap_used, clippy::default_trait_access)]
mod world;

use budwood::{Dataset, Error, Example, Input, Target};

fn main() -> Result<(), Error> {
    let tiny = world::World::new();
    let base = tiny.base();
    let adapter = base.adapter(tiny.adapter("reviews", "adapter", 1, world::TWO))?;
    // A class is its place among the adapter's labels.
    let class = |label: &str| {
        let place = adapter.meta().labels.iter().position(|l| l == label);
        place.map_or(Target::None, |place| Target::Class(place as u32))
    };
    let rows = [("a great film", "good"), ("it was awful", "bad"), ("so very fine", "good")];
    let example = |(text, label): (&str, &str)| Example {
        input: Input::Text(text.into()),
        target: class(label),
    };
    let data = Dataset::from_examples(rows.map(example).to_vec(), "dev", "memory");
    let evaluation = adapter.evaluate(&data)?;
    for score in &evaluation.scores {
        println!("{} {:.3}", score.name, score.value);
    }
    for ((text, _), given) in rows.iter().zip(&evaluation.predictions) {
        println!("{text}: {} (should be {})", given.predicted, given.expected);
    }
    Ok(())
}
