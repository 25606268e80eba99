//! `budwood board relate`: a base model reads the board's papers, so that their pages show papers
//! whose texts are alike.

use anyhow::{Result, bail};
use budwood::number;
use budwood_base::encoder::InputSpec;
use budwood_board::Place;
use budwood_board::token::Actor;
use budwood_board::vectors::{self, Unread};
use budwood_engine::{Device, Workers};
use budwood_formats::BaseModel;
use budwood_model::{Base, Batch, Segment, hidden_states, plan_chunks};
use budwood_tasks::{Encoded, Input, Tokenizer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::base;
use crate::commands::submit::open;
use crate::output::{json, say, thousands};
use crate::progress::{catch_interrupt, stopped};
use crate::settings::Settings;
use budwood::spec::PrecisionSpec;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The base model, as for `train`. Vectors of another model are replaced.
    #[arg(long, default_value = "minilm")]
    base: String,
    #[command(flatten)]
    precision: PrecisionSpec,
    /// Tokens of title and abstract that are read.
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = number::count::<3, 1_000_000>)]
    max_length: usize,
}

/// Papers in a transaction: what an interruption may lose.
const BATCH: u64 = 512;

pub(super) fn run(settings: &Settings, place: &Place, args: &Args) -> Result<()> {
    let mut board = open(place)?;
    let model = BaseModel::open(&base::folder(&args.base)?)?;
    if !matches!(model.spec().input, InputSpec::Text(_)) {
        bail!("{} reads images; papers need a base model of texts", args.base);
    }
    let tokenizer = Tokenizer::open(model.folder(), model.family().frame)?;
    let base = budwood::load(&model, args.precision.get(model.is_quantized()), false)?;
    vectors::begin(&mut board, &model.id(&args.base).weights_sha256, &Actor::local("local"))?;
    let all = vectors::left(&board)?;
    let mut workers = Workers::new(Device::cpu(), settings.threads);
    let bar = ProgressBar::new(all);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} papers  {per_sec}  {eta} left",
    )?);
    if settings.json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    catch_interrupt();
    let (mut after, mut done) = (0, 0);
    loop {
        let papers = vectors::unread(&board, after, BATCH)?;
        let Some(last) = papers.last().filter(|_| !stopped()) else { break };
        after = last.paper;
        done += papers.len() as u64;
        let encode = |p: &Unread| tokenizer.encode(&Input::Text(p.text.clone()), args.max_length);
        let inputs = papers.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let sums = sums(&mut workers, &base, &inputs);
        let read: Vec<_> = papers.iter().map(|p| p.paper).zip(sums).collect();
        vectors::put(&mut board, &read)?;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    if settings.json {
        return json(&json!({ "read": done, "left": all - done }));
    }
    if done < all {
        say!("{} papers are left; the same command goes on from there", thousands(all - done))?;
    }
    say!("{} papers were read by {}", thousands(done), args.base)?;
    Ok(())
}

/// The sum of the last hidden states of each text: it points where their mean does, and no more is
/// kept.
fn sums(workers: &mut Workers, base: &Base, inputs: &[Encoded]) -> Vec<Vec<f32>> {
    let lengths: Vec<usize> = inputs.iter().map(|e| e.ids.len()).collect();
    let chunks = plan_chunks(&lengths);
    let width = base.spec().hidden;
    let of_chunk = workers.map(chunks.len(), |cx, i| {
        let inputs = &inputs[chunks[i].clone()];
        let batch = Batch::from_sequences(inputs.iter().map(|e| (&e.ids[..], &e.types[..])));
        let alone = Segment { adapter: None, sequences: 0..inputs.len() };
        let states = hidden_states(cx, base, &batch, &[alone]);
        let mut rows = states.chunks_exact(width);
        let sum = |e: &Encoded| {
            let mut sum = vec![0.0; width];
            for row in rows.by_ref().take(e.ids.len()) {
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += x);
            }
            sum
        };
        inputs.iter().map(sum).collect::<Vec<_>>()
    });
    of_chunk.into_iter().flatten().collect()
}
