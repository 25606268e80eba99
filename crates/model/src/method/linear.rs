//! The linear probe: nothing but the head is trained.

use super::Method;

pub(super) const METHOD: Method = Method {
    name: "linear",
    aliases: &["head", "linear_probe"],
    summary: "Only the head is trained.",
    options: &[],
    build: |_, _| Ok(()),
};
