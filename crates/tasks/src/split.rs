//! How examples are divided into what is trained on, what chooses and what is reported.

use std::collections::HashMap;
use std::sync::Arc;

use budwood_base::random::Key;

use crate::dataset::Rows;
use crate::{Dataset, Error, Example, Input, Target};

impl Dataset {
    /// Only `n` examples, chosen at random and kept in their order: files may be sorted.
    #[must_use]
    pub fn sample(self, n: usize, seed: u64) -> Self {
        if n >= self.examples.len() {
            return self;
        }
        let mut chosen = Key::new(seed).named("sample").permutation(self.examples.len());
        chosen.truncate(n);
        let mut keep = vec![false; self.examples.len()];
        chosen.into_iter().for_each(|i| keep[i] = true);
        let source = format!("{} ({n} rows, seed {seed})", self.digest.source);
        let examples = self.examples.into_iter().zip(keep).filter(|(_, k)| *k).map(|(e, _)| e);
        let mut sample = Self::from_examples(examples.collect(), &self.digest.split, &source);
        sample.digest.skipped = self.digest.skipped;
        sample.skipped = self.skipped;
        sample
    }

    /// Cuts off a share of the examples: `(rest, part)`. Depends on the seed only; classes keep
    /// their shares in both, and questions on one article stay together. A share that is less than
    /// a row of each class takes single rows of some, one at least.
    ///
    /// # Errors
    /// If a part would be empty.
    pub fn split(self, share: f64, seed: u64, part_name: &str) -> Result<(Self, Self), Error> {
        let (rest, part) = Rows::from(self).divide(share, seed, part_name)?;
        Ok((rest.into_dataset(), part.into_dataset()))
    }
}

impl Rows {
    /// As [`Dataset::split`].
    pub(crate) fn divide(
        self,
        share: f64,
        seed: u64,
        part_name: &str,
    ) -> Result<(Self, Self), Error> {
        let is_share = share > 0.0 && share < 1.0;
        let in_part = match self.examples.first().map(|e| &e.input) {
            _ if !is_share => vec![false; self.examples.len()],
            Some(Input::Question { .. }) => choose_articles(&self.examples, share, seed),
            _ => choose_of_classes(&self.examples, share, seed),
        };
        let (n, taken) = (in_part.len(), in_part.iter().filter(|p| **p).count());
        if taken == 0 || taken == n {
            let message = format!(
                "a share of {share} of {n} examples leaves a part empty; give another --dev-share (0 for no validation) or \
                 --test-share, or files of their own with --dev-data or --test-data"
            );
            return Err(Error::Usage(message));
        }
        let (mut rest, mut part) = (Vec::with_capacity(n - taken), Vec::with_capacity(taken));
        for (example, in_part) in self.examples.into_iter().zip(in_part) {
            if in_part { &mut part } else { &mut rest }.push(example);
        }
        let source = self.source.clone();
        let rest = Self {
            examples: rest,
            split: self.split,
            source: self.source,
            left_out: self.left_out,
            skipped: self.skipped,
        };
        let (split, skipped) = (part_name.into(), Vec::new());
        let part = Self { examples: part, split, source, left_out: 0, skipped };
        Ok((rest, part))
    }
}

/// Which examples are in the part: as many of each class as its share of it.
fn choose_of_classes(examples: &[Example], share: f64, seed: u64) -> Vec<bool> {
    let order = Key::new(seed).named("split").permutation(examples.len());
    let mut in_part = vec![false; examples.len()];
    let mut classes: Vec<Vec<usize>> = Vec::new();
    let mut place: HashMap<Option<u32>, usize> = HashMap::new();
    for i in order {
        let class = match examples[i].target {
            Target::Class(c) => Some(c),
            _ => None,
        };
        let place = *place.entry(class).or_insert_with(|| {
            classes.push(Vec::new());
            classes.len() - 1
        });
        classes[place].push(i);
    }
    for members in &classes {
        let n = (members.len() as f64 * share).round() as usize;
        members[..n.min(members.len())].iter().for_each(|&i| in_part[i] = true);
    }
    let taken = in_part.iter().filter(|p| **p).count();
    if taken == 0 || taken == examples.len() {
        choose_rows(&classes, examples.len(), share, &mut in_part);
    }
    in_part
}

/// Where each class's share rounds to nothing, or to all of it: so many rows as the share of all
/// examples, first of classes that have others, a row a class before a second one.
fn choose_rows(classes: &[Vec<usize>], n: usize, share: f64, in_part: &mut [bool]) {
    in_part.fill(false);
    let mut left = ((n as f64 * share).round() as usize).clamp(1, n.saturating_sub(1).max(1));
    let most = classes.iter().map(Vec::len).max().unwrap_or(0);
    let kept = |round: usize, members: &Vec<usize>| round + 1 < members.len();
    let rounds = (0..most).flat_map(|round| classes.iter().map(move |members| (round, members)));
    let (safe, last): (Vec<_>, Vec<_>) = rounds
        .filter(|(round, members)| *round < members.len())
        .partition(|(round, members)| kept(*round, members));
    for (round, members) in safe.into_iter().chain(last) {
        if left == 0 {
            break;
        }
        in_part[members[round]] = true;
        left -= 1;
    }
}

/// Which examples are in the part: those of articles at random, until they are enough.
fn choose_articles(examples: &[Example], share: f64, seed: u64) -> Vec<bool> {
    let mut articles: Vec<Vec<usize>> = Vec::new();
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for (i, example) in examples.iter().enumerate() {
        let name = match &example.input {
            Input::Question { article, .. } => Arc::clone(article),
            _ => "".into(),
        };
        let place = *places.entry(name).or_insert_with(|| {
            articles.push(Vec::new());
            articles.len() - 1
        });
        articles[place].push(i);
    }
    let mut in_part = vec![false; examples.len()];
    // Where all are on one article, single questions are taken; the report says that texts repeat.
    if let [all] = &articles[..] {
        let order = Key::new(seed).named("split").permutation(all.len());
        choose_rows(&[order], examples.len(), share, &mut in_part);
        return in_part;
    }
    let mut left = ((examples.len() as f64 * share).round() as usize).max(1);
    // The last article stays, so that neither part is empty where there are two.
    let most = articles.len().saturating_sub(1);
    for i in Key::new(seed).named("split").permutation(articles.len()).into_iter().take(most) {
        if left == 0 {
            break;
        }
        articles[i].iter().for_each(|&i| in_part[i] = true);
        left = left.saturating_sub(articles[i].len());
    }
    in_part
}
