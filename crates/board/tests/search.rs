//! Searches for words that many papers have.
#![allow(clippy::unwrap_used)]

mod common;

use budwood_board::query::{FoundKind, search};
use budwood_board::{Board, query};
use common::{answer, board, import, on_server, raw, write};
use serde_json::{Value, json};

/// A prime, so that all titles have lengths of their own.
const PAPERS: usize = 619;
/// Of so many papers that came last, the shortest titles are shown.
const NEWEST: usize = 500;

/// Letters of the second word of a title.
fn letters(paper: usize) -> usize {
    3 + paper * 271 % PAPERS
}

fn papers() -> Value {
    let paper = |i: usize| {
        json!({ "paper_url": format!("https://paperswithcode.com/paper/paper-{i}"), "title": format!("Grafted {}", "b".repeat(letters(i))),
            "abstract": "Of trees.", "authors": [if i == 7 { "Mary Orchard" } else { "Ann Other" }], "tasks": [], "methods": [], "date": "2020-01-01" })
    };
    (0..PAPERS).map(paper).collect()
}

fn found(board: &Board, text: &str) -> Vec<String> {
    let found = search(board, text, Some(FoundKind::Paper), 20).unwrap();
    found.into_iter().map(|f| f.slug).collect()
}

#[test]
fn a_common_word_gives_the_shortest_of_the_newest_titles() {
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &papers()));
    let mut newest: Vec<usize> = (PAPERS - NEWEST..PAPERS).collect();
    newest.sort_by_key(|&i| letters(i));
    let shortest: Vec<String> = newest[..20].iter().map(|i| format!("paper-{i}")).collect();
    assert_eq!(found(&board, "grafted"), shortest);
    // An author's word is found, though no title or abstract has it, and with words of both.
    assert_eq!(found(&board, "orchard"), ["paper-7"]);
    assert_eq!(found(&board, "orchard grafted tree"), ["paper-7"]);
    // What authors share makes no papers related.
    let related = query::paper(&board, "paper-7").unwrap().related;
    assert!(related.iter().all(|r| r.why.is_empty()), "{related:?}");
    if on_server() {
        // A server that knows the word for a common one finds the same in another way.
        let note = "INSERT INTO common_words VALUES ('paper_text.words', 'graft', 1), ('paper_text.named', 'graft', 1)";
        raw(board.place(), note).unwrap();
        assert_eq!(found(&board, "grafted"), shortest);
        assert_eq!(found(&board, "orchard grafted"), ["paper-7"]);
        // What is no longer so common is forgotten when the planner looks again.
        let noted = "SELECT count(*) FROM budwood_board.common_words";
        assert_eq!(answer(board.place(), noted), "2");
        let more = json!([{ "name": "Grafting", "paper": null, "num_papers": 1, "variants": [] }]);
        import(&mut board, &write(folder.path(), "datasets.json", &more));
        assert_eq!(answer(board.place(), noted), "0");
    }
}

#[test]
fn words_of_an_import_are_those_that_the_server_makes() {
    if !on_server() {
        return;
    }
    let (folder, mut board) = board();
    let texts = [
        "Running runners ran; the X-ray of naïve Ångström’s café",
        "3d 1e5 2.5 v1.0.2 a\0b \u{10ffff} user@example.org https://example.org/a?b=c",
        "tab\there\u{a0}blank\u{2028}line \u{b}vertical =\u{338} e\u{301}t \u{1d400} 日本語 ≤ → αβγ",
        "",
    ];
    let many = "again and again ".repeat(300);
    let long = (0..18_000).map(|i| format!("w{} ", i % 9000)).collect::<String>() + "end end";
    let all = texts.iter().copied().chain([many.as_str(), long.as_str()]);
    let paper = |(i, text): (usize, &str)| {
        json!({ "paper_url": format!("https://paperswithcode.com/paper/odd-{i}"), "title": format!("Title {i} {text}"),
            "abstract": format!("{text} {text}"), "authors": ["Ann \"A\" Running", text], "tasks": [], "methods": [], "date": null })
    };
    // Each after the other, so that what is known from one is used for the next.
    let papers: Value = all.clone().chain(all).enumerate().map(paper).collect();
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &papers));
    let others = "SET search_path = budwood_board;
        SELECT count(*), string_agg(p.slug, ' ') FILTER (WHERE x.named <> named(p.title)),
          string_agg(p.slug, ' ') FILTER (WHERE x.words <> indexed(p.title, p.authors, p.abstract))
        FROM papers p JOIN paper_text x ON x.id = p.id";
    assert_eq!(answer(board.place(), others), "12||");
}
