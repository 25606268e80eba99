//! The files of a crate as modules, and which file uses what another defines.
//!
//! A path is followed to the file that defines what it names: through `pub use` to where that
//! leads. Declaring a module or handing a name on is not a use of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::circles::Edges;
use crate::files;
use crate::source::{code, is_word, without_tests};

/// One file.
pub(crate) struct Module {
    /// Names of the modules that it is in, and its own: none for `lib.rs`.
    path: Vec<String>,
    file: String,
    /// Without comments, literals, tests and `use` declarations.
    code: String,
    uses: Vec<Use>,
}

/// One name of a `use` declaration.
struct Use {
    path: Vec<String>,
    /// The name by which it is known here; `*` for all.
    name: String,
    public: bool,
}

/// All files below a crate's `src`, without its tests.
pub(crate) fn read(src: &Path) -> Vec<Module> {
    let module = |file: PathBuf| {
        let text = fs::read_to_string(&file).ok()?;
        let inside = file.strip_prefix(src).ok()?.with_extension("");
        let mut path: Vec<String> =
            inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            path.pop();
        }
        if path.iter().any(|part| part == "tests") {
            return None;
        }
        let (uses, code) = uses(&without_tests(&code(&text)));
        let file = file.strip_prefix(src).ok()?.to_string_lossy().into_owned();
        Some(Module { path, file, code, uses })
    };
    files::below(src, &["rs"]).into_iter().filter_map(module).collect()
}

/// The declarations `use a::{b, c as d};` of a file, a path each, and the code without them.
fn uses(code: &str) -> (Vec<Use>, String) {
    let (mut found, mut others) = (Vec::new(), String::new());
    let (mut from, mut kept) = (0, 0);
    while let Some(at) = code[from..].find("use ").map(|n| n + from) {
        from = at + 4;
        if code[..at].ends_with(is_word) {
            continue;
        }
        let Some(end) = code[at..].find(';') else { break };
        let start = code[..at].rfind(['\n', ';', '}', '{']).map_or(0, |n| n + 1);
        let public = code[start..at].contains("pub");
        let tree: String = code[at + 4..at + end].split_whitespace().collect::<Vec<_>>().join(" ");
        expand(&tree, &[], public, &mut found);
        others.push_str(&code[kept..start]);
        from = at + end;
        kept = from;
    }
    (found, others + &code[kept..])
}

fn expand(tree: &str, before: &[String], public: bool, found: &mut Vec<Use>) {
    let tree = tree.trim();
    if tree.is_empty() {
        return;
    }
    let (head, group) = match tree.find('{') {
        Some(open) => (&tree[..open], Some(&tree[open + 1..tree.rfind('}').unwrap_or(tree.len())])),
        None => (tree, None),
    };
    let (head, alias) = match head.split_once(" as ") {
        Some((head, alias)) => (head, Some(alias.trim().to_string())),
        None => (head, None),
    };
    let mut path = before.to_vec();
    path.extend(head.split("::").map(str::trim).filter(|p| !p.is_empty()).map(String::from));
    match group {
        Some(group) => parts(group).for_each(|part| expand(part, &path, public, found)),
        None => {
            if path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
            found.push(Use { path, name, public });
        }
    }
}

/// The parts of a group between its commas.
fn parts(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    group.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    })
}

/// Which file uses which.
pub(crate) fn edges(modules: &[Module]) -> Edges {
    let known: BTreeMap<&[String], usize> =
        modules.iter().enumerate().map(|(i, m)| (&m.path[..], i)).collect();
    let graph = Graph { modules, known };
    let mut edges = Edges::new();
    for (from, module) in modules.iter().enumerate() {
        let mut to = edges.remove(&module.file).unwrap_or_default();
        let declared = module.uses.iter().filter(|u| !u.public).map(|u| u.path.clone());
        for path in declared.chain(graph.paths(from)) {
            if let Some(target) = graph.resolve(from, &path, 0).filter(|target| *target != from) {
                to.insert(modules[target].file.clone());
            }
        }
        edges.insert(module.file.clone(), to);
    }
    edges
}

struct Graph<'a> {
    modules: &'a [Module],
    known: BTreeMap<&'a [String], usize>,
}

impl Graph<'_> {
    /// Paths in the code outside of `use`: from the crate's root, or through a module of this file.
    fn paths(&self, from: usize) -> Vec<Vec<String>> {
        let code = &self.modules[from].code;
        let mut found = Vec::new();
        let mut rest = &code[..];
        while let Some(at) = rest.find("::") {
            let start = rest[..at]
                .rfind(|c| !is_word(c))
                .map_or(0, |n| n + rest[n..].chars().next().map_or(1, char::len_utf8));
            let first = &rest[start..at];
            let inside = rest[..start].ends_with("::");
            let tail = &rest[at..];
            let end = tail.find(|c| !is_word(c) && c != ':').unwrap_or(tail.len());
            let mut path: Vec<String> = vec![first.into()];
            path.extend(tail[..end].split("::").filter(|p| !p.is_empty()).map(String::from));
            if !inside && !first.is_empty() {
                found.push(path);
            }
            rest = &tail[end.max(2)..];
        }
        found
    }

    /// The module whose file defines what a path in module `from` names; none if it is not ours.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        if depth > 8 {
            return None;
        }
        let mut place = self.modules[from].path.clone();
        let mut rest = path;
        match path.first().map(String::as_str)? {
            "crate" => {
                place.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|p| p == "super") {
                    place.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                // A module of this file, or a name that a `use` of this file brought.
                let child: Vec<String> = place.iter().cloned().chain([first.into()]).collect();
                if !self.known.contains_key(&child[..]) {
                    let brought = self.modules[from].uses.iter().find(|u| u.name == first)?;
                    let full: Vec<String> =
                        brought.path.iter().chain(&rest[1..]).cloned().collect();
                    let same = full == path;
                    return if same { None } else { self.resolve(from, &full, depth + 1) };
                }
            }
        }
        loop {
            let here = *self.known.get(&place[..])?;
            let Some(next) = rest.first() else { return Some(here) };
            let child: Vec<String> = place.iter().cloned().chain([next.clone()]).collect();
            if self.known.contains_key(&child[..]) {
                place = child;
                rest = &rest[1..];
                continue;
            }
            return Some(self.handed_on(here, next, depth).unwrap_or(here));
        }
    }

    /// Where a name that a module hands on with `pub use` comes from.
    fn handed_on(&self, module: usize, name: &str, depth: usize) -> Option<usize> {
        let uses = self.modules[module].uses.iter().filter(|u| u.public);
        let named = uses.clone().find(|u| u.name == name);
        if let Some(u) = named {
            return self.resolve(module, &u.path, depth + 1);
        }
        // `pub use child::*`: the child, if it speaks of the name at all.
        let mut all = uses
            .filter(|u| u.name == "*")
            .filter_map(|u| self.resolve(module, &u.path[..u.path.len() - 1], depth + 1));
        all.find(|&m| self.modules[m].code.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circles;

    fn crate_of(files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        circles::find(&edges(&read(dir.path())))
    }

    #[test]
    fn handing_on_is_no_use() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(crate_of(&files), Vec::<String>::new());
    }

    #[test]
    fn a_circle_through_the_root_is_found() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "pub struct B; fn f() -> Option<crate::A> { None }"),
        ];
        assert_eq!(crate_of(&files), ["a.rs -> b.rs; b.rs -> a.rs"]);
    }

    #[test]
    fn a_table_and_its_members_are_a_circle_if_the_members_know_the_table() {
        let table = "mod one; pub struct Method; pub const ALL: &[&Method] = &[&one::METHOD];";
        let files = [
            ("lib.rs", "mod method;"),
            ("method/mod.rs", table),
            ("method/one.rs", "use super::Method; pub const METHOD: Method = Method;"),
        ];
        assert_eq!(crate_of(&files).len(), 1);
        let files = [
            ("lib.rs", "mod method;"),
            (
                "method/mod.rs",
                "mod form; mod one; pub use form::Method; const A: &[&Method] = &[&one::METHOD];",
            ),
            ("method/form.rs", "pub struct Method;"),
            ("method/one.rs", "use super::Method; pub const METHOD: Method = Method;"),
        ];
        assert_eq!(crate_of(&files), Vec::<String>::new());
    }

    #[test]
    fn tests_and_groups_are_understood() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::{\n    b::{self, B as C},\n};"),
            ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ];
        assert_eq!(crate_of(&files), Vec::<String>::new());
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::{\n    b::{self, B as C},\n};"),
            ("b.rs", "pub struct B;\nfn f() { let _ = super::a::g(); }"),
        ];
        assert_eq!(crate_of(&files).len(), 1);
    }
}
