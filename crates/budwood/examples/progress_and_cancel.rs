//! Shows how a training goes on, stops it half way, and goes on from its checkpoint.
//!
//! `cargo run -p budwood --example progress_and_cancel`, on a tiny model with random numbers.

#![allow(clippy::print_stdout)]

#[path = "../tests/world/mod.rs"]
#[allow(clippy::unwrap_used, clippy::default_trait_access)]
mod world;

use std::ops::ControlFlow;

use budwood::spec::RecipeChoice;
use budwood::{Error, Event, Resources, RunEvent, RunSpec, train};

fn main() -> Result<(), Error> {
    let tiny = world::World::new();
    let spec = RunSpec {
        base: tiny.path("base").display().to_string(),
        recipe: RecipeChoice::Paper,
        epochs: Some(4),
        max_length: Some(16),
        ..RunSpec::default()
    };
    let spec = spec.with_data(tiny.reviews(320).display().to_string());
    let (resources, out) = (Resources::default(), tiny.path("reviews"));
    // A user's wish to stop, after ten steps.
    let stopped = train(&spec, &resources, &out, |event| {
        show(&event);
        match event {
            RunEvent::Training(Event::Step { step: 10, .. }) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    assert!(stopped.is_none());
    println!("stopped; the same call goes on");
    let trained = train(&spec, &resources, &out, |event| {
        show(&event);
        ControlFlow::Continue(())
    })?;
    println!("{} steps in all", trained.map_or(0, |t| t.steps));
    Ok(())
}

fn show(event: &RunEvent<'_>) {
    match event {
        RunEvent::Fetching(notice) => println!("fetching {notice:?}"),
        RunEvent::Ready { description } => description.iter().for_each(|l| println!("{l}")),
        RunEvent::Training(Event::Started { steps, done }) => {
            println!("step {done} of {steps}");
        }
        RunEvent::Training(Event::Evaluated { step, scores, .. }) => {
            let scores: Vec<_> =
                scores.iter().map(|s| format!("{} {:.3}", s.name, s.value)).collect();
            println!("step {step}: {}", scores.join(", "));
        }
        _ => {}
    }
}
