//! Lists and entries as the archive's client knows them.

use budwood_board::query::{Named, Page, Part};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::reply::Reply;

/// The part of a list that a program asks for.
pub(super) fn part(ask: &Ask) -> Part {
    let size = ask.get("items_per_page").and_then(|n| n.parse().ok()).unwrap_or(50);
    ask.part(u64::clamp(size, 1, 500))
}

/// A part of a list, with the addresses of those beside it.
pub(super) fn page<T>(ask: &Ask, page: &Page<T>, entry: impl Fn(&T) -> Value) -> Reply {
    let size = part(ask).limit;
    let to = |n: u64| ask.absolute(&ask.with(&[("page", &n.to_string())]));
    let here = ask.page();
    Reply::json(&json!({
        "count": page.count,
        "next": (page.offset.saturating_add(size) < page.count).then(|| to(here + 1)),
        "previous": (here > 1).then(|| to(here - 1)),
        "results": page.items.iter().map(entry).collect::<Vec<_>>(),
    }))
}

/// A whole list.
pub(super) fn whole<T>(ask: &Ask, items: &[T], entry: impl Fn(&T) -> Value) -> Reply {
    let asked = part(ask);
    let results: Vec<Value> =
        items.iter().skip(asked.offset as usize).take(asked.limit as usize).map(entry).collect();
    page(
        ask,
        &Page { count: items.len() as u64, offset: asked.offset, items: results },
        Value::clone,
    )
}

/// An entry with all fields of the board's own, and those of the client beside them.
pub(super) fn with(own: &impl Serialize, more: Value) -> Value {
    let mut value = serde_json::to_value(own).unwrap_or_default();
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    value
}

pub(super) fn named(item: &Named) -> Value {
    json!({ "id": item.slug, "name": item.name })
}
