//! From the graph's inputs to the rows that the first layer reads.

use budwood_base::encoder::{ImageInput, InputSpec, TextInput};
use budwood_base::head::HeadKind;
use budwood_base::names;
use budwood_model::patch_positions;

use crate::builder::{Builder, Rows};
use crate::graph::{Attribute, Dim, Type};
use crate::int8::{PRODUCT_MOST, TABLE_MOST, quantize};
use crate::{Error, Precision};

/// Names of sizes that are free.
pub(crate) const BATCH: Dim = Dim::Named("batch_size");
pub(crate) const SEQUENCE: Dim = Dim::Named("sequence_length");

impl<E: From<Error>> Builder<'_, E> {
    /// The embedded input with its norm and prompts.
    pub(crate) fn embedded(&mut self) -> Result<Rows, E> {
        let mut rows = match &self.spec.input {
            InputSpec::Text(text) => self.text(text)?,
            InputSpec::Image(image) => Rows { x: self.image(image)?, mask: None },
        };
        rows.x = self.normed_and_widened(rows.x);
        Ok(self.with_prompt(rows))
    }

    /// Norm and projection of the embeddings, where the encoder has them.
    fn normed_and_widened(&mut self, mut x: String) -> String {
        if self.spec.has_embedding_norm() {
            x = self.norm(names::EMBEDDING_NORM, &x);
        }
        if self.spec.axes.embedding_width.is_some() {
            x = self.product(names::EMBEDDING_PROJECTION, &x);
        }
        x
    }

    fn text(&mut self, text: &TextInput) -> Result<Rows, E> {
        let ids = self.graph.input("input_ids", Type::Int64, &[BATCH, SEQUENCE]);
        let mask = self.graph.input("attention_mask", Type::Int64, &[BATCH, SEQUENCE]);
        let mask = self.cast(&mask, Type::Float);
        let mut x = self.words(&ids)?;
        if text.token_types > 0 {
            let table = self.tensor(names::TOKEN_TYPE);
            let types = match text.token_types > 1 && self.request.token_types {
                true => {
                    let types = self.graph.input("token_type_ids", Type::Int64, &[BATCH, SEQUENCE]);
                    self.graph.op("Gather", &[&table, &types])
                }
                false => self.pick(&table, 0, 0),
            };
            x = self.graph.op("Add", &[&x, &types]);
        }
        if self.has(names::POSITION) {
            let (table, places) = (self.tensor(names::POSITION), self.positions(&ids, text));
            let positions = self.graph.op("Gather", &[&table, &places]);
            x = self.graph.op("Add", &[&x, &positions]);
        }
        Ok(Rows { x, mask: Some(mask) })
    }

    /// The position of each token, as in the encoder.
    fn positions(&mut self, ids: &str, text: &TextInput) -> String {
        let before = self.modules.positions_before;
        let Some(padding) = text.position_padding().filter(|_| before == 0) else {
            let (places, first) =
                (self.places(ids), self.graph.int((text.position_offset + before) as i64));
            return self.graph.op("Add", &[&places, &first]);
        };
        let (padding, axis) = (self.graph.int(i64::from(padding)), self.graph.int(1));
        let is_padding = self.graph.op("Equal", &[ids, &padding]);
        let counts = self.graph.op("Not", &[&is_padding]);
        let counts = self.cast(&counts, Type::Int64);
        let sums = self.graph.op("CumSum", &[&counts, &axis]);
        let numbers = self.graph.op("Mul", &[&sums, &counts]);
        self.graph.op("Add", &[&numbers, &padding])
    }

    /// Rows of the table of words.
    fn words(&mut self, ids: &str) -> Result<String, E> {
        if self.request.precision == Precision::F32 {
            let table = self.tensor(names::WORD);
            return Ok(self.graph.op("Gather", &[&table, ids]));
        }
        let [bytes, scales] = self.word_bytes()?.map(|t| self.graph.op("Gather", &[&t, ids]));
        let bytes = self.cast(&bytes, Type::Float);
        Ok(self.graph.op("Mul", &[&bytes, &scales]))
    }

    /// The table of words as bytes `[words, width]` and scales `[words, 1]`, made once.
    pub(crate) fn word_bytes(&mut self) -> Result<[String; 2], E> {
        if let Some(known) = self.weights.get(names::WORD) {
            return Ok(known.clone());
        }
        let table = (self.fetch)(names::WORD)?;
        // The head of a masked language model multiplies with it.
        let is_factor = self.request.head.kind == HeadKind::MaskedLm;
        let most = if is_factor { PRODUCT_MOST } else { TABLE_MOST };
        let quantized = quantize(&table.data, table.shape[1], most);
        let bytes = quantized.bytes.iter().map(|&b| b as u8).collect();
        let made = [
            self.graph.constant(Type::Int8, &table.shape, bytes),
            self.graph.floats(&[table.shape[0], 1], &quantized.scales),
        ];
        self.weights.insert(names::WORD.into(), made.clone());
        Ok(made)
    }

    /// 0, 1, ... over the second dimension of a value.
    pub(crate) fn places(&mut self, of: &str) -> String {
        let shape = self.graph.op("Shape", &[of]);
        let length = self.pick(&shape, 0, 1);
        let (zero, one) = (self.graph.int(0), self.graph.int(1));
        self.graph.op("Range", &[&zero, &length, &one])
    }

    fn image(&mut self, image: &ImageInput) -> Result<String, E> {
        let (d, channels, side) = (self.spec.hidden, image.channels, image.patch);
        let (height, width) = self.request.image;
        let grid = image.grid(height, width).map_err(|e| Error::Cannot(e.to_string()))?;
        let dims = [BATCH, Dim::Fixed(channels), Dim::Fixed(height), Dim::Fixed(width)];
        let pixels = self.graph.input("pixel_values", Type::Float, &dims);
        let weight = format!("{}.weight", names::PATCH);
        let weight = self.graph.weight(&weight, &[d, channels, side, side]);
        let bias = format!("{}.bias", names::PATCH);
        let bias = self.has(&bias).then(|| self.tensor(&bias));
        let inputs: Vec<&str> = [&pixels[..], &weight].into_iter().chain(bias.as_deref()).collect();
        let sides = || Attribute::Ints(vec![side as i64; 2]);
        let attributes = [("kernel_shape", sides()), ("strides", sides())];
        let patches = self.graph.op_with("Conv", &inputs, &attributes);
        let patches = self.reshape(&patches, &[0, d as i64, -1]);
        let patches = self.transpose(&patches, &[0, 2, 1]);
        let mut all = Vec::new();
        for (name, tokens) in image.special() {
            let token = self.tensor(name);
            let token = self.reshape(&token, &[1, tokens as i64, d as i64]);
            all.push(self.in_each(&token, &pixels));
        }
        all.push(patches);
        let x = match &all[..] {
            [one] => one.clone(),
            many => self.concat(&many.iter().map(String::as_str).collect::<Vec<_>>(), 1),
        };
        if !self.has(names::POSITION) {
            return Ok(x);
        }
        let table = (self.fetch)(names::POSITION)?;
        let mixes = patch_positions(image, grid);
        let mut positions = vec![0.0; mixes.len() * d];
        for (row, mix) in positions.chunks_exact_mut(d).zip(&mixes) {
            for (from, weight) in mix {
                let from = &table.data[*from as usize * d..][..d];
                row.iter_mut().zip(from).for_each(|(x, f)| *x += weight * f);
            }
        }
        let positions = self.graph.floats(&[mixes.len(), d], &positions);
        Ok(self.graph.op("Add", &[&x, &positions]))
    }

    /// A value `[1, rows, width]` once for each sequence of `like`.
    pub(crate) fn in_each(&mut self, value: &str, like: &str) -> String {
        let shape = self.graph.op("Shape", &[like]);
        let batch = self.slice(&shape, 0, 0, Some(1));
        let ones = self.graph.ints(&[1, 1]);
        let shape = self.concat(&[&batch, &ones], 0);
        self.graph.op("Expand", &[value, &shape])
    }

    fn with_prompt(&mut self, rows: Rows) -> Rows {
        let modules = self.modules;
        let Some(prompt) = &modules.prompt else { return rows };
        let [length, d] = [prompt.rows.shape[0], prompt.rows.shape[1]];
        let mut table = self.graph.floats(&[1, length, d], &prompt.rows.data);
        if prompt.as_words {
            table = self.embedded_words(&table, length);
        }
        let table = self.in_each(&table, &rows.x);
        let x = self.insert(&rows.x, &table, prompt.at);
        let mask = rows.mask.map(|mask| {
            let ones = self.graph.floats(&[1, length], &vec![1.0; length]);
            let shape = self.graph.op("Shape", &[&mask]);
            let batch = self.slice(&shape, 0, 0, Some(1));
            let one = self.graph.ints(&[1]);
            let shape = self.concat(&[&batch, &one], 0);
            let ones = self.graph.op("Expand", &[&ones, &shape]);
            self.insert(&mask, &ones, prompt.at)
        });
        Rows { x, mask }
    }

    /// What the embeddings make of vectors `[1, length, width]` that are the first words.
    fn embedded_words(&mut self, words: &str, length: usize) -> String {
        let mut x = words.to_string();
        let InputSpec::Text(text) = &self.spec.input else { return x };
        if text.token_types > 0 {
            let table = self.tensor(names::TOKEN_TYPE);
            let first = self.pick(&table, 0, 0);
            x = self.graph.op("Add", &[&x, &first]);
        }
        if self.has(names::POSITION) {
            let (table, first) = (self.tensor(names::POSITION), text.position_offset);
            let positions = self.slice(&table, 0, first, Some(first + length));
            x = self.graph.op("Add", &[&x, &positions]);
        }
        self.normed_and_widened(x)
    }

    /// Puts `more` after `at` of the rows of `x`.
    fn insert(&mut self, x: &str, more: &str, at: usize) -> String {
        if at == 0 {
            return self.concat(&[more, x], 1);
        }
        let (before, after) = (self.slice(x, 1, 0, Some(at)), self.slice(x, 1, at, None));
        self.concat(&[&before, more, &after], 1)
    }
}
