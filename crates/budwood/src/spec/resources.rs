//! What a run may take of the machine. No result depends on it, and no key of a run holds it.

use std::time::Duration;

use budwood_ranks::Ranks;
use budwood_train::{Place, PrefixCacheSpec};

use super::CacheChoice;
#[cfg(feature = "clap")]
use crate::number;

/// Bytes of a megabyte.
const MB: u64 = 1_000_000;

/// Memory, places and times of a training run.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "clap",
    derive(clap::Args),
    command(next_help_heading = "Memory and checkpoints")
)]
pub struct Resources {
    /// Memory for decoded images in MB. Images that do not fit are decoded again in each epoch.
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "MB", default_value_t = Resources::default().image_cache)
    )]
    pub image_cache: usize,
    /// Where to keep the output of the lowest layers, below everything that is trained, between
    /// epochs. Results are the same.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub prefix_cache: CacheChoice,
    /// Size of --prefix-cache in MB. What does not fit is computed again in each epoch.
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "MB", default_value_t = Resources::default().prefix_cache_limit)
    )]
    pub prefix_cache_limit: u64,
    /// Seconds between checkpoints.
    #[cfg_attr(
        feature = "clap",
        arg(long, default_value = "30", value_name = "SECONDS", value_parser = number::seconds)
    )]
    pub save_every: Duration,
    /// Threads to compute with, at least 1; `None` is one for each processor.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub threads: Option<usize>,
    /// The processes that train together, each with its threads; this one alone unless said.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub ranks: Ranks,
    /// How large files may be.
    #[cfg_attr(feature = "clap", command(flatten))]
    pub limits: ReadLimits,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            image_cache: 1024,
            prefix_cache: CacheChoice::Memory,
            prefix_cache_limit: 512,
            save_every: Duration::from_secs(30),
            threads: None,
            ranks: Ranks::default(),
            limits: ReadLimits::default(),
        }
    }
}

impl Resources {
    /// Threads to compute with.
    pub fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(all).max(1)
    }

    /// Memory for decoded images in bytes.
    pub fn image_bytes(&self) -> usize {
        self.image_cache.saturating_mul(MB as usize)
    }

    /// What is kept of the output of frozen layers.
    pub fn prefix(&self) -> Option<PrefixCacheSpec> {
        let place = match self.prefix_cache {
            CacheChoice::Memory => Place::Memory,
            CacheChoice::Disk => Place::Disk,
            CacheChoice::Off => return None,
        };
        Some(PrefixCacheSpec { place, bytes: self.prefix_cache_limit.saturating_mul(MB) })
    }
}

/// How large a file may be that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(next_help_heading = "Data"))]
pub struct ReadLimits {
    /// Largest size of a compressed file once unpacked, in MB [default: 20 times its size, at least
    /// 32 MB].
    #[cfg_attr(feature = "clap", arg(long, value_name = "MB"))]
    pub max_unpacked: Option<u64>,
}

impl ReadLimits {
    /// The same in bytes.
    pub(super) fn bytes(self) -> Option<u64> {
        self.max_unpacked.map(|mb| mb.saturating_mul(MB))
    }
}
