//! How much the examples of each class count.

use budwood_model::Targets;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Largest weight of one's own: a sum of many still has digits for the rest.
const MOST: f32 = 1e6;

/// How much the examples of each class count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All alike.
    #[default]
    Equal,
    /// Inversely to the class's share of the training set.
    Balanced,
    /// A weight for each class in the order of the labels; a step's loss is the weighted mean.
    Given(Vec<f32>),
}

impl ClassWeights {
    /// Weights by the names of classes, written `CLASS=WEIGHT` each; classes that are not named
    /// have weight 1.
    ///
    /// # Errors
    /// If one is not written so, names no class or one twice, or has no weight above 0.
    pub fn named(given: &[String], labels: &[String]) -> Result<Self, Error> {
        let mut weights = vec![None; labels.len()];
        for text in given {
            let refused = |why: &str| {
                Error::Usage(format!("--class-weights {text}: {why}, such as spam=5,ham=1"))
            };
            let (label, weight) =
                text.rsplit_once('=').ok_or_else(|| refused("want CLASS=WEIGHT"))?;
            let class = labels.iter().position(|l| l == label).ok_or_else(|| {
                let some = labels.iter().take(20).map(String::as_str).collect::<Vec<_>>();
                let more = if labels.len() > some.len() { ", ..." } else { "" };
                let all = some.join(", ");
                Error::Usage(format!(
                    "--class-weights {text}: there is no class '{label}'; there are {all}{more}"
                ))
            })?;
            let weight = weight.trim().parse().ok().filter(|w| *w > 0.0 && *w <= MOST);
            let weight = weight
                .ok_or_else(|| refused("the weight is not a number above 0 and up to 10^6"))?;
            if weights[class].replace(weight).is_some() {
                return Err(refused("the class has a weight already; name each once"));
            }
        }
        Ok(Self::Given(weights.into_iter().map(|w| w.unwrap_or(1.0)).collect()))
    }

    /// A weight for each class that there is among targets; empty for equal ones. Balanced:
    /// n / (classes * n_c), as scikit-learn.
    ///
    /// # Errors
    /// If the targets are no classes, or there are more classes than weights.
    pub(crate) fn of(&self, targets: &Targets) -> Result<Vec<f32>, Error> {
        let Targets::Classes(classes) = targets else {
            let flag = match self {
                Self::Equal => return Ok(Vec::new()),
                Self::Balanced => "--balanced",
                Self::Given(_) => "--class-weights",
            };
            return Err(Error::Usage(format!(
                "{flag} is for tasks where an example has one class"
            )));
        };
        let n = classes.iter().max().map_or(0, |&c| c as usize + 1);
        match self {
            Self::Equal => Ok(Vec::new()),
            Self::Balanced => {
                let mut counts = vec![0usize; n];
                classes.iter().for_each(|&c| counts[c as usize] += 1);
                let there = counts.iter().filter(|&&c| c > 0).count();
                let weight = |&count: &usize| classes.len() as f32 / (there * count.max(1)) as f32;
                Ok(counts.iter().map(weight).collect())
            }
            Self::Given(weights) if weights.len() >= n => Ok(weights.clone()),
            Self::Given(weights) => Err(Error::Usage(format!(
                "there are {n} classes and {} weights of classes",
                weights.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn weights_are_those_of_their_classes_and_1_without() {
        let labels = strings(&["ham", "spam", "a=b"]);
        let found = ClassWeights::named(&strings(&["spam=2.5", "a=b=3"]), &labels).unwrap();
        assert_eq!(found, ClassWeights::Given(vec![1.0, 2.5, 3.0]));
        assert_eq!(found.of(&Targets::Classes(vec![0, 2, 2])).unwrap(), [1.0, 2.5, 3.0]);
        assert!(found.of(&Targets::Values(vec![1.0])).is_err());
        assert!(found.of(&Targets::Classes(vec![0, 3])).is_err());
        let balanced = ClassWeights::Balanced.of(&Targets::Classes(vec![0, 2, 2, 2])).unwrap();
        assert_eq!(balanced, [2.0, 2.0, 4.0 / 6.0]);
    }

    #[test]
    fn what_says_nothing_is_refused_by_its_name() {
        let labels = strings(&["ham", "spam"]);
        for (given, why) in [
            ("spam", "CLASS=WEIGHT"),
            ("egg=1", "no class 'egg'; there are ham, spam"),
            ("spam=", "not a number"),
            ("spam=0", "not a number"),
            ("spam=-1", "not a number"),
            ("spam=nan", "not a number"),
            ("spam=inf", "not a number"),
            ("spam=1e7", "not a number"),
        ] {
            let refused = ClassWeights::named(&strings(&[given]), &labels).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains(given), "{refused}");
        }
        let twice = ClassWeights::named(&strings(&["ham=1", "ham=2"]), &labels).unwrap_err();
        assert!(twice.to_string().contains("already"));
    }
}
