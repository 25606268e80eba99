//! What a family of encoders is.

use std::fmt;

use budwood_base::encoder::EncoderSpec;
use budwood_base::names;

use super::config::Config;
use crate::error::Error;

/// A family of encoders.
pub struct Family {
    /// Its name, as in adapter files.
    pub name: &'static str,
    /// Values of `model_type` in `config.json` that it reads.
    pub model_types: &'static [&'static str],
    /// Reads sizes and switches.
    pub spec: fn(&Config<'_>) -> Result<EncoderSpec, Error>,
    /// Prefix of the encoder's tensors in checkpoints with a head; checkpoints without lack it.
    pub prefix: &'static str,
    /// `(canonical name, name in the checkpoint)` outside layers, `.weight` and `.bias` left off
    /// where both exist.
    pub outer: &'static [(&'static str, &'static str)],
    /// Name of a layer, `{i}` for its number.
    pub layer: &'static str,
    /// As `outer`, inside a layer.
    pub inner: &'static [(&'static str, &'static str)],
    /// With what the names of its classes begin in `transformers` and `adapters`.
    pub class: &'static str,
    /// Where AdapterHub keeps bottlenecks: after attention and after the feed-forward network.
    pub adapterhub_outputs: [&'static str; 2],
}

impl Family {
    /// The checkpoint's name, prefix included, of a canonical tensor name.
    pub fn checkpoint_name(&self, canonical: &str) -> Option<String> {
        let (table, place, rest) = match names::split_layer(canonical) {
            Some((layer, rest)) => {
                (self.inner, format!("{}.", self.layer.replace("{i}", &layer.to_string())), rest)
            }
            None => (self.outer, String::new(), canonical),
        };
        let found = table.iter().find_map(|(ours, theirs)| {
            let role = rest.strip_prefix(ours)?;
            matches!(role, "" | ".weight" | ".bias").then(|| format!("{theirs}{role}"))
        });
        found.map(|name| format!("{}.{place}{name}", self.prefix))
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
