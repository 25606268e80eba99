//! Only the layer norms are trained: the paper's 40 thousand parameters of BERT-base (Houlsby et
//! al. 2019, section 3.4).

use super::definition::Method;
use super::merging::OWN_TENSORS;

pub(super) const METHOD: Method = Method {
    name: "layer_norm",
    title: "Layer norms only",
    year: 2019,
    url: "https://arxiv.org/abs/1902.00751",
    aliases: &["ln_tuning"],
    summary: "Only the layer norms and the head are trained (Houlsby et al. 2019, section 3.4).",
    options: &[],
    examples: &["layer_norm"],
    needs_f32: false,
    merge: OWN_TENSORS,
    build: |_, builder| builder.train_norms(),
};
