//! The linear probe: nothing but the head is trained.

use super::definition::Method;
use super::merging::OWN_TENSORS;

pub(super) const METHOD: Method = Method {
    name: "linear",
    title: "Linear probe",
    year: 2014,
    url: "",
    aliases: &["head", "linear_probe"],
    summary: "Only the head is trained.",
    options: &[],
    examples: &["linear"],
    needs_f32: false,
    merge: OWN_TENSORS,
    build: |_, _| Ok(()),
};
