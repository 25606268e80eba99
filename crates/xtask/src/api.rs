//! The library's public interface as one text, from its source: what a change of it shows in
//! review.
//!
//! Bodies, private items and documentation are left out. A type of another crate that the library
//! hands on is listed from that crate's source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use prettyplease::unparse;
use syn::{
    Attribute, Block, Expr, Field, Fields, File, ImplItem, Item, ItemUse, TraitItem, Type, UseTree,
    Visibility, parse_quote,
};

use crate::files;

/// Where the committed text lies, from the project's folder.
const LISTED: &str = "crates/budwood/api.txt";
const LIBRARY: &str = "crates/budwood/src";

/// Writes the text.
pub(crate) fn write(root: &Path) -> Vec<String> {
    let text = match text(root) {
        Ok(text) => text,
        Err(fault) => return vec![fault],
    };
    fs::write(root.join(LISTED), text).err().map(|e| format!("{LISTED}: {e}")).into_iter().collect()
}

/// Compares the committed text with the source.
pub(crate) fn compare(root: &Path) -> Vec<String> {
    let now = match text(root) {
        Ok(text) => text,
        Err(fault) => return vec![fault],
    };
    let then = fs::read_to_string(root.join(LISTED)).unwrap_or_default();
    if now == then {
        return Vec::new();
    }
    let lines = |text: &str| text.lines().map(String::from).collect::<BTreeSet<_>>();
    let (now, then) = (lines(&now), lines(&then));
    let gone = then.difference(&now).map(|line| format!("- {line}"));
    let new = now.difference(&then).map(|line| format!("+ {line}"));
    let remedy = format!(
        "the library's public interface is not the one in {LISTED}: `cargo xtask api` writes it; \
         a line that goes breaks programs that use it"
    );
    gone.chain(new).chain([remedy]).collect()
}

fn text(root: &Path) -> Result<String, String> {
    let mut out = String::from(
        "The public interface of the crate `budwood`, without documentation. Written by\n\
         `cargo xtask api`, compared by `cargo xtask structure`.\n",
    );
    let own = sources(&root.join(LIBRARY));
    let (mut types, mut handed_on) = (BTreeSet::new(), Vec::new());
    for file in &own {
        for item in parse(file)?.items {
            types.extend(public_name(&item));
            crates_of(&item, &mut handed_on);
        }
    }
    list(&mut out, root, &own, &types)?;
    handed_on.sort();
    for (name, types) in handed_on {
        let files = sources(&root.join("crates").join(&name).join("src"));
        list(&mut out, root, &files, &types)?;
    }
    Ok(out)
}

/// All files of a crate but its tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = files::below(folder, &["rs"]);
    found.retain(|file| !file.ends_with("tests.rs") && !file.iter().any(|part| part == "tests"));
    found
}

fn parse(file: &Path) -> Result<File, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    syn::parse_file(&text).map_err(|e| format!("{}: {e}", file.display()))
}

/// Adds the public items of that name, without bodies, file by file.
fn list(
    out: &mut String,
    root: &Path,
    files: &[PathBuf],
    wanted: &BTreeSet<String>,
) -> Result<(), String> {
    for file in files {
        let mut parsed = parse(file)?;
        (parsed.shebang, parsed.attrs) = (None, Vec::new());
        parsed.items = parsed.items.into_iter().filter_map(|item| bare(item, wanted)).collect();
        if parsed.items.is_empty() {
            continue;
        }
        let name = file.strip_prefix(root.join("crates")).unwrap_or(file).display();
        let text = unparse(&parsed);
        out.push_str(&format!("\n== {name}\n{}", text.replace(" {}\n", ";\n")));
    }
    Ok(())
}

/// The names that `pub use budwood_CRATE::...` hands on, with the crate's folder.
fn crates_of(item: &Item, found: &mut Vec<(String, BTreeSet<String>)>) {
    let Item::Use(ItemUse { vis: Visibility::Public(_), tree: UseTree::Path(path), .. }) = item
    else {
        return;
    };
    if let Some(name) = path.ident.to_string().strip_prefix("budwood_") {
        let mut types = BTreeSet::new();
        names(&path.tree, &mut types);
        found.push((name.into(), types));
    }
}

fn names(tree: &UseTree, found: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => names(&path.tree, found),
        UseTree::Name(name) => drop(found.insert(name.ident.to_string())),
        UseTree::Rename(name) => drop(found.insert(name.ident.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, found)),
        UseTree::Glob(_) => {}
    }
}

/// The name under which an item is public; empty where it only says what can be found where.
fn public_name(item: &Item) -> Option<String> {
    let (vis, name) = match item {
        Item::Struct(it) => (&it.vis, &it.ident),
        Item::Enum(it) => (&it.vis, &it.ident),
        Item::Trait(it) => (&it.vis, &it.ident),
        Item::Fn(it) => (&it.vis, &it.sig.ident),
        Item::Const(it) => (&it.vis, &it.ident),
        Item::Type(it) => (&it.vis, &it.ident),
        Item::Use(it) => return is_public(&it.vis).then(String::new),
        Item::Mod(it) => return is_public(&it.vis).then(String::new),
        _ => return None,
    };
    is_public(vis).then(|| name.to_string())
}

/// The item without what its user cannot see, if its name is wanted.
fn bare(mut item: Item, wanted: &BTreeSet<String>) -> Option<Item> {
    let mut is_there = public_name(&item).is_some_and(|name| wanted.contains(&name));
    match &mut item {
        Item::Struct(it) => {
            shown(&mut it.attrs);
            public_fields(&mut it.fields);
        }
        Item::Enum(it) => {
            shown(&mut it.attrs);
            for variant in &mut it.variants {
                shown(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| shown(&mut field.attrs));
            }
        }
        Item::Trait(it) => {
            shown(&mut it.attrs);
            for item in &mut it.items {
                if let TraitItem::Fn(it) = item {
                    shown(&mut it.attrs);
                    it.default = it.default.as_ref().map(|_| empty());
                }
            }
        }
        Item::Fn(it) => {
            shown(&mut it.attrs);
            *it.block = empty();
        }
        Item::Const(it) => {
            shown(&mut it.attrs);
            *it.expr = hidden();
        }
        Item::Type(it) => shown(&mut it.attrs),
        Item::Use(it) => shown(&mut it.attrs),
        Item::Mod(it) => shown(&mut it.attrs),
        Item::Impl(it) => {
            shown(&mut it.attrs);
            let is_of_trait = it.trait_.is_some();
            it.items.retain_mut(|item| !is_of_trait && method(item));
            is_there =
                wanted.contains(&name_of(&it.self_ty)) && (is_of_trait || !it.items.is_empty());
        }
        _ => {}
    }
    is_there.then_some(item)
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// Whether an item of an `impl` is public; its body goes.
fn method(item: &mut ImplItem) -> bool {
    match item {
        ImplItem::Fn(it) => {
            shown(&mut it.attrs);
            it.block = empty();
            is_public(&it.vis)
        }
        ImplItem::Const(it) => {
            shown(&mut it.attrs);
            it.expr = hidden();
            is_public(&it.vis)
        }
        _ => false,
    }
}

/// Leaves what a user of the type can see.
fn shown(attributes: &mut Vec<Attribute>) {
    attributes.retain(|a| ["derive", "non_exhaustive"].iter().any(|name| a.path().is_ident(name)));
}

fn public_fields(fields: &mut Fields) {
    let keep = |field: &mut Field| {
        shown(&mut field.attrs);
        is_public(&field.vis)
    };
    match fields {
        Fields::Named(named) => {
            named.named = std::mem::take(&mut named.named)
                .into_iter()
                .filter_map(|mut field| keep(&mut field).then_some(field))
                .collect();
        }
        Fields::Unnamed(unnamed) => {
            unnamed.unnamed = std::mem::take(&mut unnamed.unnamed)
                .into_iter()
                .filter_map(|mut field| keep(&mut field).then_some(field))
                .collect();
        }
        Fields::Unit => {}
    }
}

fn name_of(of: &Type) -> String {
    match of {
        Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
        _ => None,
    }
    .unwrap_or_default()
}

fn empty() -> Block {
    parse_quote!({})
}

fn hidden() -> Expr {
    parse_quote!(..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library that hands on a type of another crate.
    fn project(method: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join("crates").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let library = format!(
            "//! Page.\nmod inner;\npub use budwood_other::{{Handed}};\n/// Doc.\n\
             #[derive(Clone)]\npub struct Open {{ pub a: u8, b: u8 }}\n\
             impl Open {{ {method} fn hidden(&self) {{}} }}\nstruct Closed;\n\
             impl Default for Closed {{ fn default() -> Self {{ Self }} }}"
        );
        write("budwood/src/lib.rs", &library);
        write("other/src/lib.rs", "pub enum Handed { A }\npub struct Kept;");
        root
    }

    #[test]
    fn public_items_are_listed_and_nothing_else() {
        let root = project("pub fn one(&self, n: u8) -> u8 { n + 1 }");
        let text = text(root.path()).unwrap();
        for seen in ["pub a: u8", "#[derive(Clone)]", "-> u8;", "pub use budwood_other", "Handed {"]
        {
            assert!(text.contains(seen), "{seen} is missing:\n{text}");
        }
        for hidden in ["b: u8", "hidden", "Closed", "Kept", "Doc", "n + 1"] {
            assert!(!text.contains(hidden), "{hidden} is listed:\n{text}");
        }
    }

    #[test]
    fn a_change_of_the_interface_is_seen() {
        let root = project("pub fn one(&self, n: u8) -> u8 { n + 1 }");
        assert!(write(root.path()).is_empty() && compare(root.path()).is_empty());
        let listed = fs::read(root.path().join(LISTED)).unwrap();
        // Another body is no other interface, another parameter is.
        let root = project("pub fn one(&self, n: u8) -> u8 { n + 2 }");
        fs::write(root.path().join(LISTED), &listed).unwrap();
        assert_eq!(compare(root.path()), Vec::<String>::new());
        let root = project("pub fn one(&self, n: u16) -> u8 { 1 }");
        fs::write(root.path().join(LISTED), &listed).unwrap();
        let faults = compare(root.path());
        assert!(faults[0].starts_with("- ") && faults[0].contains("u8)"), "{faults:?}");
        assert!(faults[1].starts_with("+ ") && faults[1].contains("u16)"), "{faults:?}");
    }
}
