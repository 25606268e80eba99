#!/usr/bin/env python3
"""Compares the cells that Budwood reads with those of csv, pandas and datasets.

Writes files that differ in quotes, separators, encodings, missing values and ends of lines, reads each with all four, and
prints the differences. Exit code 1 if a difference is not among those that docs/data.md explains.

    python3 tests/data/compare.py            # makes a virtual environment in the folder for temporary files
"""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PACKAGES = ["pandas", "pyarrow", "datasets"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import environment  # noqa: E402

# Name, content, and the difference that is meant: none, or a word of docs/data.md.
PLAIN = 'text,label\na fine evening,1\n"b, c",0\n"say ""so""",1\n'
FILES = {
    "plain.csv": (PLAIN, None),
    "crlf.csv": (PLAIN.replace("\n", "\r\n"), None),
    "cr.csv": (PLAIN.replace("\n", "\r"), None),
    "no_last_end.csv": (PLAIN.rstrip("\n"), None),
    "mark.csv": ("\ufeff" + PLAIN, None),
    "all_quoted.csv": ('"text","label"\n"a","1"\n"b","0"\n', None),
    "lines_in_field.csv": ('text,label\n"two\nlines",1\nb,0\n', None),
    "crlf_in_field.csv": ('text,label\r\n"two\r\nlines",1\r\nb,0\r\n', None),
    "quotes_inside.csv": ('text,label\n5" disk,1\na "b" c,0\n', None),
    "empty_cells.csv": ("text,label\n,1\nb,\n\"\",0\n", None),
    "blank_lines.csv": ("text,label\n\na,1\n\n\nb,0\n\n", None),
    "blanks_kept.csv": ("text,label\n a ,1\n  b,0\n", None),
    "tab_inside.csv": ("text,label\na\tb,1\nc,0\n", None),
    "null_words.csv": ("text,label\nnull,nan\nNone,NA\nN/A,<NA>\n", None),
    "numbers.csv": ("text,label\na,1\nb,1.0\nc,01\nd,1e3\n", None),
    "truths.csv": ("text,label\na,True\nb,false\nc,TRUE\n", None),
    "dates.csv": ("text,when\na,2024-01-01\nb,2024-02-30\n", None),
    "unicode.csv": ("text,label\nnaïve café,1\n日本語,0\n😀,1\n", None),
    "separators_of_unicode.csv": ("text,label\na\u2028b,1\nc\u0085d,0\n", None),
    "wide.csv": (",".join(f"c{i}" for i in range(60)) + "\n" + ",".join(map(str, range(60))) + "\n", None),
    "one_column.csv": ("text\na\nb\n", None),
    "backslash.csv": ('text,label\n"a \\ b",1\nc\\n,0\n', None),
    "apostrophes.csv": ("text,label\n'a, b',1\n", "error-guess"),
    "hash.csv": ("text,label\n#a,1\n# b,0\n", None),
    "long_field.csv": ("text,label\n" + "x" * 200_000 + ",1\n", "long-field"),
    "header_alone_quoted.csv": ('"te,xt",label\na,1\n', None),
    "empty_name.csv": (",text,label\n0,a,1\n1,b,0\n", "empty-name"),
    "semicolon.csv": ("text;label\na, b;1\nc;0\n", "separator"),
    "bar.csv": ("text|label\na, b|1\nc|0\n", "separator"),
    "tabs.csv": ("text\tlabel\na, b\t1\nc\t0\n", "separator"),
    "plain.tsv": ("text\tlabel\na\t1\nb\t0\n", None),
    "quotes.tsv": ('text\tlabel\n"a"\t1\nb "c\t0\n', "tsv-quotes"),
    "short_row.csv": ("text,label\na,1\nb\n", "error-guess"),
    "long_row.csv": ("text,label\na,1\nb,0,9\n", "error-guess"),
    "all_rows_long.csv": ("text,label\na,1,9\nb,0,9\n", "error-guess"),
    "open_quote.csv": ('text,label\na,1\n"b,0\nc,1\n', "error-guess"),
    "text_after_quote.csv": ('text,label\n"a"b,1\nc,0\n', "error-guess"),
    "blank_before_quote.csv": ('text,label\na, "1"\n', None),
    "same_names.csv": ("text,label,label\na,1,2\n", "same-names"),
    "trailing_separator.csv": ("text,label,\na,1,\n", "empty-name"),
    "row_of_separators.csv": ("text,label\na,1\n,\nb,0\n", None),
    "windows_1252.csv": ("text,label\nit’s “so” – café,1\n".encode("cp1252"), "encoding"),
    "utf_16.csv": (PLAIN.encode("utf-16"), "encoding"),
    "utf_16_be.csv": (PLAIN.encode("utf-16-be"), "encoding"),
    "damaged.csv": ("text,label\ncafé déjà vu,1\n".encode() + b"d\xe9j\xe0,0\n" + "été,1\n".encode() * 9, "encoding"),
    "shift_jis.csv": ("text,label\n日本語のテキスト,1\n".encode("shift_jis"), "encoding"),
    "lines.jsonl": ('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', None),
    "sparse.jsonl": ('{"text": "a", "label": 1, "url": "u"}\n{"text": "b", "label": 0}\n', None),
    "types.jsonl": ('{"text": "a", "label": [1, 0]}\n{"text": "b", "label": [0, 1]}\n', None),
    "nulls.jsonl": ('{"text": null, "label": 1}\n{"text": "b", "label": null}\n', None),
    "list.json": ('[{"text": "a", "label": 1}, {"text": "b", "label": 0}]', None),
    "by_columns.json": ('{"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}', "json-columns"),
}


def of_csv(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",") if row]
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("rows of several lengths, without a word")
    return rows[0], rows[1:]


def of_pandas(path):
    import pandas

    if path.suffix == ".jsonl":
        table = pandas.read_json(path, lines=True)
    elif path.suffix == ".json":
        table = pandas.read_json(path)
    else:
        table = pandas.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", dtype=str, keep_default_na=False)
    table = table.astype(object).where(table.notna(), None)
    return list(map(str, table.columns)), table.values.tolist()


def of_datasets(path):
    import datasets

    kind = "json" if path.suffix in (".json", ".jsonl") else "csv"
    more = {"sep": "\t"} if path.suffix == ".tsv" else {}
    if kind == "csv":
        columns = of_pandas(path)[0]
        texts = datasets.Features({name: datasets.Value("string") for name in columns})
        more |= {"keep_default_na": False, "features": texts}
    cache = tempfile.mkdtemp()
    data = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=cache, **more)
    return data.column_names, [[row[c] for c in data.column_names] for row in data]


def plain(cell):
    """A cell in one form: what is missing is empty, and numbers are compared by value."""
    if cell is None:
        return ""
    if isinstance(cell, (bool, list, dict)):
        return json.dumps(cell)
    if isinstance(cell, float) and cell == int(cell):
        return str(int(cell))
    return str(cell)


def main():
    environment.enter("compare", PACKAGES)
    os.environ["HF_DATASETS_OFFLINE"] = "1"
    import datasets

    datasets.disable_progress_bars()
    folder = pathlib.Path(tempfile.mkdtemp())
    for name, (content, _) in FILES.items():
        content = content if isinstance(content, bytes) else content.encode("utf-8")
        (folder / name).write_bytes(content)
    paths = [folder / name for name in FILES]
    command = ["cargo", "run", "-q", "-p", "budwood-tasks", "--example", "cells", "--", *map(str, paths)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    ours = [json.loads(line) for line in printed.split("\n") if line]
    assert len(ours) == len(paths)
    compared = failed = 0
    for path, mine in zip(paths, ours):
        meant = FILES[path.name][1]
        readers = {"pandas": of_pandas, "datasets": of_datasets}
        if path.suffix in (".csv", ".tsv"):
            readers["csv"] = of_csv
        for name, reader in readers.items():
            compared += 1
            try:
                columns, rows = reader(path)
                theirs = [list(map(str, columns)), [list(map(plain, row)) for row in rows]]
            except Exception as error:  # whatever they say
                theirs = f"error: {type(error).__name__}"
            if "error" in mine:
                my = "error: " + mine["error"].replace(str(folder) + "/", "")
            else:
                my = [mine["columns"], [list(map(plain, row)) for row in mine["rows"]]]
            if my == theirs:
                continue
            if meant is None:
                failed += 1
            mark = "NOT MEANT" if meant is None else meant
            print(f"{path.name}, {name} ({mark}):\n    budwood {str(my)[:160]}\n    {name:7} {str(theirs)[:160]}")
    print(f"{len(paths)} files, {compared} comparisons, {failed} differences that are not meant")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
