//! Names of adapters.

/// Longest name of an adapter, in bytes.
const NAME_MAX: usize = 200;

/// Whether a text is a path of plain segments: letters, digits and `._-@+`, in segments divided by
/// `/`, none of which begins with a dot.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(plain);
    name.len() <= NAME_MAX && name.split('/').all(segment)
}
