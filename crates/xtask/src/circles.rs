//! Circles in a graph: Tarjan's strongly connected components of more than one node.

use std::collections::{BTreeMap, BTreeSet};

/// An edge leads from a file to the files that it uses.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

/// The circles, each with its files and the edges between them.
pub(crate) fn find(edges: &Edges) -> Vec<String> {
    let mut search = Search {
        edges,
        index: BTreeMap::new(),
        low: BTreeMap::new(),
        stack: Vec::new(),
        circles: Vec::new(),
    };
    for node in edges.keys() {
        if !search.index.contains_key(node.as_str()) {
            search.visit(node);
        }
    }
    let told = |circle: &Vec<&str>| {
        let inside = |node: &&str| {
            let to = edges[*node].iter().filter(|to| circle.contains(&to.as_str()));
            let to: Vec<&str> = to.map(String::as_str).collect();
            format!("{node} -> {}", to.join(", "))
        };
        circle.iter().map(inside).collect::<Vec<_>>().join("; ")
    };
    search.circles.iter().map(told).collect()
}

struct Search<'a> {
    edges: &'a Edges,
    index: BTreeMap<&'a str, usize>,
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    circles: Vec<Vec<&'a str>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, node: &'a str) {
        let number = self.index.len();
        self.index.insert(node, number);
        self.low.insert(node, number);
        self.stack.push(node);
        for to in self.edges.get(node).into_iter().flatten() {
            let reached = if !self.index.contains_key(to.as_str()) {
                self.visit(to);
                self.low[to.as_str()]
            } else if self.stack.contains(&to.as_str()) {
                self.index[to.as_str()]
            } else {
                continue;
            };
            let low = self.low[node].min(reached);
            self.low.insert(node, low);
        }
        if self.low[node] == number {
            let start = self.stack.iter().position(|n| *n == node).unwrap_or(0);
            let mut members = self.stack.split_off(start);
            if members.len() > 1 {
                members.sort_unstable();
                self.circles.push(members);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Edges {
        let mut all = Edges::new();
        for (a, b) in edges {
            all.entry((*a).into()).or_default().insert((*b).into());
            all.entry((*b).into()).or_default();
        }
        all
    }

    #[test]
    fn a_circle_is_found_and_a_diamond_is_none() {
        assert!(find(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])).is_empty());
        let circles = find(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e")]));
        assert_eq!(circles, ["a -> b; b -> c; c -> a"]);
        assert_eq!(find(&graph(&[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")])).len(), 2);
    }
}
