//! Papers that are close to a paper.
#![allow(clippy::unwrap_used)]

mod common;

use budwood_board::token::Actor;
use budwood_board::{Board, query, vectors};
use common::{board, import, write};
use serde_json::{Value, json};

/// Forty papers on one task; some share more than that.
fn papers() -> Value {
    let paper = |slug: &str, title: &str, tasks: &[&str], methods: &[&str]| {
        let methods: Vec<Value> = methods.iter().map(|m| json!({ "name": m })).collect();
        json!({ "paper_url": format!("https://paperswithcode.com/paper/{slug}"), "title": title, "abstract": format!("On {title}."),
            "authors": [], "tasks": tasks, "methods": methods, "date": "2020-01-01" })
    };
    let mut list: Vec<Value> = (0..36)
        .map(|i| {
            paper(&format!("many-{i}"), &format!("Trees of number {i}"), &["Classification"], &[])
        })
        .collect();
    list.push(paper(
        "own",
        "Grafting trees with a budwood",
        &["Classification", "Grafting"],
        &["Budding"],
    ));
    list.push(paper("by-task", "Another way", &["Grafting"], &[]));
    list.push(paper("by-both", "A third way", &["Grafting", "Classification"], &["Budding"]));
    list.push(paper("by-word", "A budwood is a shoot", &[], &[]));
    Value::from(list)
}

fn related(board: &Board) -> Vec<(String, Vec<String>)> {
    let paper = query::paper(board, "own").unwrap();
    paper.related.into_iter().map(|r| (r.slug, r.why)).collect()
}

#[test]
fn what_is_rare_says_more_than_what_is_common() {
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &papers()));
    let found = related(&board);
    assert_eq!(found[0].0, "by-both");
    assert_eq!(found[0].1, ["Budding", "Grafting", "Classification"]);
    let next: Vec<&str> = found[1..3].iter().map(|f| f.0.as_str()).collect();
    assert!(next.contains(&"by-task") && next.contains(&"by-word"), "{found:?}");
    let by_word = found.iter().find(|f| f.0 == "by-word").unwrap();
    assert_eq!(by_word.1, ["“budwood”"]);
    assert!(found.iter().all(|f| f.0 != "own") && found.len() == 8);
}

#[test]
fn what_an_encoder_made_of_the_texts_counts() {
    let (folder, mut board) = board();
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &papers()));
    vectors::begin(&mut board, "model a", &Actor::local("test")).unwrap();
    assert_eq!(vectors::left(&board).unwrap(), 40);
    let all = vectors::unread(&board, 0, 1000).unwrap();
    assert!(all.len() == 40 && all[36].text.starts_with("Grafting trees with a budwood. On"));
    // One of the many is about the same thing, all others point elsewhere.
    let vector =
        |i: usize| if i == 36 || i == 5 { vec![1.0, 2.0, -1.0] } else { vec![-1.0, 0.5, 0.0] };
    let made: Vec<_> = all.iter().enumerate().map(|(i, p)| (p.paper, vector(i))).collect();
    vectors::put(&mut board, &made).unwrap();
    assert_eq!(vectors::left(&board).unwrap(), 0);
    let found = query::paper(&board, "own").unwrap().related;
    assert_eq!(found[0].slug, "many-5");
    assert!((found[0].similarity.unwrap() - 1.0).abs() < 1e-3);
    // A text that changes has no vector until it is read again.
    let mut changed = papers();
    changed[5]["abstract"] = json!("Something else altogether.");
    import(&mut board, &write(folder.path(), "papers-with-abstracts.json", &changed));
    assert_eq!(vectors::left(&board).unwrap(), 1);
    // Vectors of another model do not mix with these.
    vectors::begin(&mut board, "model a", &Actor::local("test")).unwrap();
    assert_eq!(vectors::left(&board).unwrap(), 1);
    vectors::begin(&mut board, "model b", &Actor::local("test")).unwrap();
    assert_eq!(vectors::left(&board).unwrap(), 40);
}
