//! Inputs of several adapters in one batch on one base.
//!
//! `cargo run -p budwood --example many_adapters -- BASE ADAPTER...` with folders of your own;
//! without any, on a tiny model with random numbers.

#![allow(clippy::print_stdout)]

#[path = "../tests/world/mod.rs"]
#[allow(clippy::unwrap_used, clippy::default_trait_access)]
mod world;

use std::path::PathBuf;

use budwood::{Adapter, Base, Error, Input, predict_mixed};

fn main() -> Result<(), Error> {
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let tiny = world::World::new();
    if folders.is_empty() {
        let reviews = tiny.adapter("reviews", "adapter[width=4]", 1, world::TWO);
        let stars = tiny.adapter("stars", "lora", 2, world::NUMBER);
        folders = vec![tiny.path("base"), reviews, stars];
    }
    let base = Base::open(&folders[0])?;
    let adapters: Vec<Adapter> =
        folders[1..].iter().map(|folder| base.adapter(folder)).collect::<Result<_, _>>()?;
    // The same text to all: one batch, a segment for each adapter.
    let text = Input::Text("a film so good".into());
    let inputs: Vec<(&Adapter, Input)> = adapters.iter().map(|a| (a, text.clone())).collect();
    for (adapter, answer) in adapters.iter().zip(predict_mixed(&base, &inputs)?) {
        println!("{}: {answer:?}", adapter.meta().task.name);
    }
    Ok(())
}
