//! The output of the layers below the lowest that is trained, computed once for each input and
//! kept, in memory or in a file. What does not fit is computed each time. Results are the same to
//! the bit.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use budwood_engine::Context;
use budwood_model::{Base, Batch, lowest_states};

use crate::images::Images;
use crate::{Error, Prepared};

/// Where hidden states are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory.
    Memory,
    /// In a file beside the run's checkpoint, which is removed at the end.
    Disk,
}

/// Where hidden states are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixCacheSpec {
    /// Where.
    pub place: Place,
    /// Bytes of all that are kept.
    pub bytes: u64,
}

/// Hidden states of the inputs of one data set.
pub(crate) struct PrefixCache<'a> {
    base: &'a Base,
    data: &'a Prepared,
    layers: usize,
    /// Inputs below this number have a place.
    kept: usize,
    store: Store,
}

enum Store {
    Memory(Vec<OnceLock<Box<[f32]>>>),
    File(StateFile),
}

impl<'a> PrefixCache<'a> {
    /// An empty cache of the output of the lowest `layers` layers, that leaves so many `bytes` of
    /// room to others; none where nothing would be kept. `file` is where it goes on disk.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(crate) fn new(
        base: &'a Base,
        data: &'a Prepared,
        layers: usize,
        spec: &mut PrefixCacheSpec,
        file: &Path,
    ) -> Result<Option<Self>, Error> {
        let width = base.spec().hidden;
        let mut starts = vec![0u64];
        for length in data.lengths() {
            let end = starts[starts.len() - 1] + (length * width * size_of::<f32>()) as u64;
            if end > spec.bytes {
                break;
            }
            starts.push(end);
        }
        let kept = starts.len() - 1;
        if layers == 0 || kept == 0 {
            return Ok(None);
        }
        spec.bytes -= starts[kept];
        let store = match spec.place {
            Place::Memory => Store::Memory((0..kept).map(|_| OnceLock::new()).collect()),
            Place::Disk => Store::File(StateFile::new(file, starts)?),
        };
        Ok(Some(Self { base, data, layers, kept, store }))
    }

    /// Inputs whose hidden states are kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Some inputs, as their hidden states.
    ///
    /// # Errors
    /// If an image cannot be decoded.
    pub(crate) fn batch(&self, cx: &mut Context, inputs: &[usize]) -> Result<Batch, Error> {
        let known: Vec<Option<Vec<f32>>> = inputs.iter().map(|&i| self.get(i)).collect();
        let unknown = || inputs.iter().zip(&known).filter(|(_, k)| k.is_none()).map(|(&i, _)| i);
        let missing: Vec<usize> = unknown().collect();
        let computed = match missing.is_empty() {
            true => Vec::new(),
            false => lowest_states(cx, self.base, &self.data.batch(&missing)?, self.layers),
        };
        let mut computed = &computed[..];
        let lengths: Vec<usize> = inputs.iter().map(|&i| self.data.length(i)).collect();
        let width = self.base.spec().hidden;
        let mut rows = Vec::with_capacity(lengths.iter().sum::<usize>() * width);
        for ((known, &input), &length) in known.into_iter().zip(inputs).zip(&lengths) {
            match known {
                Some(states) => rows.extend_from_slice(&states),
                None => {
                    let (states, rest) = computed.split_at(length * width);
                    computed = rest;
                    self.set(input, states);
                    rows.extend_from_slice(states);
                }
            }
        }
        let grid = self.data.images().map(Images::grid);
        let batch = Batch::from_states(self.layers, rows, &lengths, grid);
        Ok(batch.asking(inputs.iter().map(|&i| self.data.asked(i))))
    }

    fn get(&self, input: usize) -> Option<Vec<f32>> {
        match &self.store {
            Store::Memory(all) => Some(all.get(input)?.get()?.to_vec()),
            Store::File(file) => file.get(input),
        }
    }

    fn set(&self, input: usize, states: &[f32]) {
        match &self.store {
            // Two threads may compute the same; it is the same.
            Store::Memory(all) => {
                if let Some(place) = all.get(input) {
                    place.get_or_init(|| states.into());
                }
            }
            Store::File(file) => file.set(input, states),
        }
    }
}

/// Hidden states in a file, removed when dropped. It is of no use to another process: a run that
/// goes on begins a new one.
struct StateFile {
    path: PathBuf,
    file: Mutex<File>,
    /// Where each input's states begin, and the last end.
    starts: Vec<u64>,
    written: Vec<AtomicBool>,
}

impl StateFile {
    fn new(path: &Path, starts: Vec<u64>) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        let file = Mutex::new(file.map_err(|e| Error::file(path, e))?);
        let written = (1..starts.len()).map(|_| AtomicBool::new(false)).collect();
        Ok(Self { path: path.into(), file, starts, written })
    }

    /// The states of an input that were written. A file that cannot be read counts as one without
    /// them.
    fn get(&self, input: usize) -> Option<Vec<f32>> {
        if !self.written.get(input)?.load(Ordering::Acquire) {
            return None;
        }
        let mut bytes = vec![0; (self.starts[input + 1] - self.starts[input]) as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.starts[input])).ok()?;
        file.read_exact(&mut bytes).ok()?;
        drop(file);
        let number = |b: &[u8]| b.try_into().map(f32::from_le_bytes).ok();
        bytes.chunks(size_of::<f32>()).map(number).collect()
    }

    /// Writes the states of an input; where that fails, as on a full disk, they are computed again.
    fn set(&self, input: usize, states: &[f32]) {
        let Some(written) = self.written.get(input) else { return };
        let bytes: Vec<u8> = states.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = file.seek(SeekFrom::Start(self.starts[input]));
        if begun.and_then(|_| file.write_all(&bytes)).is_ok() {
            written.store(true, Ordering::Release);
        }
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
