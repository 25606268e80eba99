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
