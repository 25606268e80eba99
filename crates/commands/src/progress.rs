//! Progress of a run: a bar on a terminal, a line now and then elsewhere. On standard error.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use budwood_base::record::in_words;
use budwood_train::{Event, Score};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::output::note;

static STOP: AtomicBool = AtomicBool::new(false);

/// Turns Ctrl-C into a wish to stop; a second one ends the program.
pub(crate) fn catch_interrupt() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Without a handler Ctrl-C still ends the program; checkpoints on disk stay good.
        let _ = ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
    });
}

/// Whether Ctrl-C was pressed.
pub(crate) fn stopped() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// Shows a training run and collects its evaluations.
pub(crate) struct TrainProgress {
    bar: Option<ProgressBar>,
    quiet: bool,
    started: Instant,
    last_line: Instant,
    loss: Option<f64>,
    examples: usize,
    examples_since_start: usize,
    done_before: usize,
    /// Every evaluation: step and scores.
    pub(crate) evaluations: Vec<Value>,
}

impl TrainProgress {
    pub(crate) fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Self {
            bar: None,
            quiet,
            started: now,
            last_line: now,
            loss: None,
            examples: 0,
            examples_since_start: 0,
            done_before: 0,
            evaluations: Vec::new(),
        }
    }

    /// Receives a run's events; asks to stop after Ctrl-C.
    pub(crate) fn on_event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Started { steps, done } => self.start(steps, done),
            Event::Step { step, steps, epoch, loss, examples, .. } => {
                self.step(step, steps, epoch, loss, examples);
            }
            Event::Evaluated { step, scores, best } => self.evaluated(step, scores, best),
            Event::Kept { layers, train, dev, bytes } if !self.quiet => {
                let of = |n: usize, what| (n > 0).then(|| format!("{n} {what} inputs"));
                let inputs = [of(train, "training"), of(dev, "validation")].into_iter().flatten();
                let inputs = inputs.collect::<Vec<_>>().join(" and ");
                let room = crate::output::bytes(bytes);
                note!(
                    "the lowest {layers} layers are frozen: their output for {inputs} is computed once and kept ({room})"
                );
                if train == 0 {
                    note!("(with --frozen-dropout off or --dropout 0 for training inputs too)");
                }
            }
            Event::Probe { strength } if !self.quiet => {
                note!("linear probe solved; strength {strength} by cross-validation");
            }
            Event::Trial { number, of } if !self.quiet => {
                note!("trial {number} of {of}: trained on all folds but one");
            }
            Event::Lost { rate } if !self.quiet => {
                self.finish();
                note!("lost at a learning rate of {rate:.1e}; it begins again from the probe");
            }
            Event::Kept { .. }
            | Event::Saved
            | Event::Vectors { .. }
            | Event::Probe { .. }
            | Event::Trial { .. }
            | Event::Trying
            | Event::Lost { .. } => {}
        }
        if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn start(&mut self, steps: usize, done: usize) {
        self.started = Instant::now();
        self.done_before = done;
        if self.quiet {
            return;
        }
        if done > 0 {
            note!("going on after step {done} of {steps}");
        }
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(steps as u64);
            bar.set_position(done as u64);
            let style = "{bar:24} step {pos}/{len}  {msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
    }

    fn step(&mut self, step: usize, steps: usize, epoch: usize, loss: f64, examples: usize) {
        // A running mean over about twenty steps.
        self.loss = Some(self.loss.map_or(loss, |mean| mean + (loss - mean) / 20.0));
        self.examples += examples;
        self.examples_since_start += examples;
        if self.quiet {
            return;
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        let done = (step - self.done_before) as f64;
        let left = elapsed / done * (steps - step) as f64;
        let rate = self.examples_since_start as f64 / elapsed;
        let message = format!(
            "epoch {epoch}  loss {:.4}  {rate:.0} examples/s  {} left",
            self.loss.unwrap_or(loss),
            crate::output::seconds(left),
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(step as u64);
                bar.set_message(message);
            }
            None if self.last_line.elapsed() > Duration::from_secs(10) => {
                self.last_line = Instant::now();
                note!("step {step}/{steps}  {message}");
            }
            None => {}
        }
    }

    fn evaluated(&mut self, step: usize, scores: &[Score], best: bool) {
        let named: serde_json::Map<String, Value> =
            scores.iter().map(|s| (s.name.clone(), json!(s.value))).collect();
        self.evaluations.push(json!({ "step": step, "scores": named, "best": best }));
        if self.quiet {
            return;
        }
        let score = |s: &Score| match s.value.is_nan() {
            true => format!("{} undefined", s.name),
            false => format!("{} {}", s.name, in_words(s.value)),
        };
        let scores: Vec<String> = scores.iter().map(score).collect();
        let line = format!(
            "step {step}  {}{}",
            scores.join("  "),
            if best { "  (best so far)" } else { "" }
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note!("{line}"),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
