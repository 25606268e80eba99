//! Trains an adapter from a specification and asks it.
//!
//! `cargo run -p budwood --example train_and_predict`, on a tiny model with random numbers.

#![allow(clippy::print_stdout)]

#[path = "../tests/world/mod.rs"]
#[allow(clippy::unwrap_used, clippy::default_trait_access)]
mod world;

use std::ops::ControlFlow;

use budwood::{Error, Input, Resources, RunSpec, train};

fn main() -> Result<(), Error> {
    let tiny = world::World::new();
    let spec = RunSpec {
        base: tiny.path("base").display().to_string(),
        epochs: Some(20),
        max_length: Some(16),
        ..RunSpec::default()
    };
    let spec = spec.with_data(tiny.reviews(200).display().to_string());
    let out = tiny.path("reviews");
    let Some(trained) = train(&spec, &Resources::default(), &out, |_| ControlFlow::Continue(()))?
    else {
        return Ok(());
    };
    for metric in &trained.record.metrics {
        println!("{} {} {:.3}", metric.split, metric.name, metric.value);
    }
    let adapter = tiny.base().adapter(&out)?;
    let texts = ["great film so it was", "awful film so it was"];
    let inputs = texts.map(|text| Input::Text(text.into()));
    for (text, answer) in texts.iter().zip(adapter.predict(&inputs)?) {
        println!("{text}: {answer:?}");
    }
    Ok(())
}
