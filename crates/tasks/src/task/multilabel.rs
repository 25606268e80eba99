//! Any number of several labels for a text or a pair of texts: a list of names, a list of 0 and 1
//! with a place for each label, a column of 0 and 1 for each label, or names in a text with `|`,
//! `;` or `,` between them, the first of these that occurs in the column; an empty cell means none.

use std::collections::BTreeSet;

use budwood_base::head::HeadKind;

use super::definition::{File, Row, Task, texts};
use crate::labels::Classes;
use crate::{Cell, Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "multilabel",
    head: HeadKind::MultiLabel,
    images: false,
    labelled: true,
    labels,
    input: texts,
    target,
};

const SEPARATORS: [char; 3] = ['|', ';', ','];

fn split(text: &str, separator: char) -> Vec<&str> {
    text.split(separator).map(str::trim).filter(|l| !l.is_empty()).collect()
}

/// Whether a cell says that a label holds: 0 or 1, false or true.
fn holds(cell: &Cell) -> Option<f32> {
    match (cell.number(), cell.truth()) {
        (Some(x), _) if x == 0.0 || x == 1.0 => Some(x as f32),
        (_, Some(b)) => Some(f32::from(u8::from(b))),
        _ => None,
    }
}

/// The number of labels, if all cells are lists of 0 and 1 of one length.
pub(crate) fn by_column(cells: &[Cell]) -> Option<usize> {
    let mut lists = cells.iter().filter(|c| !c.is_empty()).map(Cell::list);
    let n = lists.next()??.len();
    let is = |list: Option<&[Cell]>| {
        list.is_some_and(|l| l.len() == n && l.iter().all(|c| holds(c).is_some()))
    };
    let first = cells.iter().find(|c| !c.is_empty()).is_some_and(|c| is(c.list()));
    (n > 1 && first && lists.all(is)).then_some(n)
}

/// The first list of another length, if all cells are lists of 0 and 1 and hold one of them several
/// times, so that they are no names.
fn uneven(cells: &[Cell]) -> Option<usize> {
    let flags = |c: &Cell| c.list()?.iter().map(holds).collect::<Option<Vec<f32>>>();
    let lists = cells.iter().map(|c| if c.is_empty() { Some(Vec::new()) } else { flags(c) });
    let lists = lists.collect::<Option<Vec<_>>>()?;
    let repeats =
        |list: &Vec<f32>| [0.0, 1.0].iter().any(|x| list.iter().filter(|y| *y == x).count() > 1);
    let first = lists.iter().find(|l| !l.is_empty()).filter(|_| lists.iter().any(repeats))?;
    lists.iter().position(|l| !l.is_empty() && l.len() != first.len())
}

fn labels(data: &File<'_>) -> Result<(Vec<String>, Vec<String>), Error> {
    let [label] = data.columns.labels[..] else {
        return Ok((
            data.columns.labels.iter().map(|&l| data.table.columns[l].name.clone()).collect(),
            Vec::new(),
        ));
    };
    let column = &data.table.columns[label];
    if let Some(n) = by_column(&column.cells) {
        let names = column.names.clone();
        if let Some(names) = names.as_ref().filter(|names| names.len() != n) {
            let message = format!("its lists have {n} places, but there are {} names", names.len());
            return Err(Error::file(&data.table.path, message));
        }
        return Ok((names.unwrap_or_else(|| (0..n).map(|i| i.to_string()).collect()), Vec::new()));
    }
    if let Some(row) = uneven(&column.cells) {
        let message = "the label is a list of 0 and 1 of another length than the lists before; \
                       such a list has a place for each label";
        return Err(data.table.fault(row, message));
    }
    if let Some(names) = &column.names {
        return Ok((names.clone(), Vec::new()));
    }
    let lists = column.cells.iter().filter_map(Cell::list);
    let mut seen: BTreeSet<String> =
        lists.flatten().filter(|c| !c.is_empty()).map(|c| c.text().trim().to_string()).collect();
    if seen.is_empty() {
        let cells = || column.cells.iter().map(Cell::text);
        let separator = SEPARATORS.into_iter().find(|s| cells().any(|c| c.contains(*s)));
        let Some(separator) = separator else {
            let message = "no row has several labels, with |, ; or , between them; for one label a row say --task classification";
            return Err(Error::file(&data.table.path, message));
        };
        let of = |c: std::borrow::Cow<'_, str>| {
            split(&c, separator).into_iter().map(str::to_string).collect::<Vec<_>>()
        };
        seen = cells().flat_map(of).collect();
    }
    let mut names: Vec<String> = seen.into_iter().collect();
    if names.iter().all(|l| l.parse::<i64>().is_ok()) {
        names.sort_by_key(|l| l.parse::<i64>().unwrap_or_default());
    }
    Ok((names, Vec::new()))
}

fn target(row: &Row<'_>, _: &Input, classes: &Classes<'_>) -> Result<Target, Error> {
    let n = classes.names.len();
    let flag = |cell: &Cell, label: usize| {
        holds(cell).ok_or_else(|| {
            row.fault(format!(
                "'{}' at label '{}' is neither 0 nor 1",
                cell.text(),
                classes.names[label]
            ))
        })
    };
    if row.columns.labels.len() > 1 {
        let cell = |(i, &column): (usize, &usize)| flag(row.table.cell(row.row, column), i);
        let all = row
            .columns
            .labels
            .iter()
            .take(n)
            .enumerate()
            .map(cell)
            .collect::<Result<Vec<_>, _>>()?;
        return Ok(Target::Labels(all));
    }
    let known = |holding: &mut dyn Iterator<Item = Option<u32>>| -> Option<Vec<f32>> {
        let mut holds = vec![0.0; n];
        for label in holding {
            holds[label? as usize] = 1.0;
        }
        Some(holds)
    };
    let cell = row.label();
    let found = match cell {
        Cell::List(list) => {
            let flags =
                || list.iter().map(holds).collect::<Option<Vec<f32>>>().filter(|f| f.len() == n);
            let column = row.columns.labels.first().map(|&l| &row.table.columns[l].cells);
            match column.and_then(|cells| by_column(cells)).is_some_and(|places| places == n) {
                true => flags(),
                false => known(&mut list.iter().map(|c| classes.find(c))),
            }
        }
        _ => {
            let text = cell.text();
            SEPARATORS.into_iter().find_map(|s| {
                known(&mut split(&text, s).into_iter().map(|l| classes.find(&l.into())))
            })
        }
    };
    found.map(Target::Labels).ok_or_else(|| {
        let known =
            classes.names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        row.fault(format!("'{}' names a label that is not one of {known}", cell.text()))
    })
}
