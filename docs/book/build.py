#!/usr/bin/env python3
"""Builds the book of `docs/` and checks that every link in it leads somewhere.

    docs/book/build.py [--manual FOLDER]     writes target/book/html

The pages are those of the repository, in the order of `SUMMARY.md`; none is kept twice. The
reference of commands and methods is what `cargo run -p budwood-manual` writes (or what is in FOLDER
already), that of Python is read from the package's stubs and docstrings. `mdbook` is taken from the
path, else built from crates.io into `target/tools` once.
"""

import ast
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BOOK = ROOT / "target" / "book"
MDBOOK = "0.5.4"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def main():
    words = sys.argv[1:]
    shutil.rmtree(BOOK, ignore_errors=True)
    (BOOK / "src").mkdir(parents=True)
    for name in ("book.toml", "book.css"):
        shutil.copy(HERE / name, BOOK / name)
    pages = re.findall(r"\]\((.+?\.md)\)", (HERE / "SUMMARY.md").read_text())
    made = generated(pathlib.Path(words[1]) if words[:1] == ["--manual"] else None)
    shutil.copy(HERE / "SUMMARY.md", BOOK / "src" / "SUMMARY.md")
    for page in pages:
        text = made.get(page) or (ROOT / page).read_text()
        put(BOOK / "src" / page, with_files(page, text, pages))
    subprocess.run([mdbook(), "build", BOOK], check=True)
    faults = broken(BOOK / "html")
    print("\n".join(faults) or f"{len(pages)} pages in {BOOK / 'html'}; every link leads somewhere")
    sys.exit(bool(faults))


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def generated(folder):
    """The pages that are made from the code."""
    if folder is None:
        folder = BOOK / "manual"
        subprocess.run(["cargo", "run", "--quiet", "--locked", "-p", "budwood-manual", "--", folder], check=True, cwd=ROOT)
    reference = "docs/book/reference"
    made = {f"{reference}/{name}.md": (folder / "book" / f"{name}.md").read_text() for name in ("commands", "methods")}
    notebooks = {f"{reference}/{p.stem}.md": notebook(p) for p in (ROOT / "examples").glob("*.ipynb")}
    return {**made, **notebooks, f"{reference}/python.md": python_reference()}


def notebook(path):
    """A notebook as a page: its text, its code, and what the cells showed."""
    out = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            out.append(text)
            continue
        out.append(f"```python\n{text}\n```")
        for shown in cell["outputs"]:
            data = shown.get("data", {})
            html = "".join(data.get("text/html", ""))
            # The bar of a run shows nothing any more when it is over.
            if html and "<progress" not in html:
                # An empty line would end it.
                out.append('<div class="shown">' + re.sub(r"\n\s*\n", "\n", html) + "</div>")
            elif not html and "text/plain" in data:
                out.append("```text\n" + "".join(data["text/plain"]) + "\n```")
    name = path.relative_to(ROOT).as_posix()
    return "\n\n".join(out) + f"\n\nThis page is the notebook `{name}`, as it ran.\n"


def mdbook():
    """The program, which is built once where the machine has none."""
    there = shutil.which("mdbook")
    if there:
        return there
    tools = ROOT / "target" / "tools"
    if not (tools / "bin" / "mdbook").exists():
        subprocess.run(["cargo", "install", "--locked", "--root", tools, f"mdbook@{MDBOOK}"], check=True)
    return str(tools / "bin" / "mdbook")


def with_files(page, text, pages):
    """The text, whose pictures are brought along; links to files of the code become their names."""

    def link(match):
        picture, shown, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path = (ROOT / page).parent / target.split("#")[0]
        name = path.resolve().relative_to(ROOT).as_posix()
        if picture:
            place = BOOK / "src" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
            return match[0]
        return match[0] if name in pages else f"{shown} (`{name}`)"

    return LINK.sub(link, text)


def python_reference():
    """The public interface of the package: signatures of the stubs, with the docstrings of the code."""
    package = ROOT / "crates" / "python" / "budwood"
    told = {}
    for path in sorted(package.glob("_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                told.setdefault(node.name, node)
    stubs = ast.parse((package / "__init__.pyi").read_text()).body
    parts = {n.name: n for n in stubs if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
    out = [
        "# Python\n\nMade from the package's stubs and docstrings: `help(budwood.NAME)` says the same.\n"
        "[Budwood in Python](../../python.md) is the introduction. Settings are those of\n"
        "[`budwood train`](commands.md#budwood-train), with `_` for `-`.\n"
    ]
    for name, node in parts.items():
        if name.startswith("_") or name not in told:
            continue
        out.append(f"\n## {name}\n")
        if isinstance(node, ast.FunctionDef):
            out.append(f"```python\n{signature(node)}\n```\n{described(told[name])}")
            continue
        shown = methods(node, parts)
        if "__init__" in shown:
            out.append(f"```python\n{signature(shown['__init__'], name)}\n```\n")
        out.append(described(told[name]))
        code = methods(told[name], told)
        for method in (m for m in shown.values() if not m.name.startswith("_")):
            is_property = any(isinstance(d, ast.Name) and d.id == "property" for d in method.decorator_list)
            line = f"{method.name}: {ast.unparse(method.returns)}" if is_property else signature(method)
            out.append(f"\n### {name}.{method.name}\n```python\n{line}\n```\n{described(code[method.name])}")
    return "\n".join(out)


def methods(node, classes):
    """The methods of a class by name, those of its bases first."""
    found = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found |= methods(classes[base.id], classes)
    return found | {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}


def signature(node, name=None):
    """The signature; settings that `budwood train` explains are not listed again."""
    marks = node.args
    arguments = [arg for arg in marks.args if arg.arg != "self"]
    usual = [None] * (len(arguments) - len(marks.defaults)) + list(marks.defaults)
    shown = [one(arg, default) for arg, default in zip(arguments, usual)]
    keyword = list(zip(marks.kwonlyargs, marks.kw_defaults))
    many = len(keyword) > 15
    if keyword:
        own = [(k, d) for k, d in keyword if not many or k.arg in ("base", "out", "on_event", "threads")]
        shown += ["*", *(one(k, d) for k, d in own), *(["SETTING=VALUE, ..."] if many else [])]
    if marks.kwarg:
        shown.append(f"**{marks.kwarg.arg}")
    returns = f" -> {ast.unparse(node.returns)}" if name is None and node.returns else ""
    returns = returns.replace("_Self", "Self")
    line = f"{name or node.name}({', '.join(shown)}){returns}"
    if len(line) <= 88:
        return line
    lines = "".join(f"    {argument},\n" for argument in shown)
    return f"{name or node.name}(\n{lines}){returns}"


def one(arg, default):
    typed = f"{arg.arg}: {ast.unparse(arg.annotation)}" if arg.annotation else arg.arg
    typed = typed.replace("_Column", "Column")
    return typed if default is None else f"{typed} = {ast.unparse(default)}"


def described(node):
    """A docstring in Markdown: marks of reStructuredText become those, and parts become lists."""
    text = ast.get_docstring(node) or ""
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    text = re.sub(r":\w+:`~?(?:budwood\.)?(.+?)`", r"`\1`", text)
    lines, part = [], None
    for line in text.splitlines():
        head = re.fullmatch(r"(Args|Returns|Raises|Attributes|Settings):", line)
        item = re.fullmatch(r"    (\w[\w., ]*?): (.*)", line)
        if head:
            part = head[1]
            if part == "Settings":
                break
            lines += ["", f"**{part}**", ""]
        elif part in ("Args", "Raises", "Attributes") and item:
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif part and line.startswith("    "):
            lines.append("  " + line.strip() if part != "Returns" else line.strip())
        else:
            lines.append(line)
    # What a session of Python shows ends with an empty line.
    return re.sub(r"(?m)^>>> (?:.+\n?)+", r"```python\n\g<0>\n```\n", "\n".join(lines) + "\n")


class Page(html.parser.HTMLParser):
    """Links and marks of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.marks = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.marks.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


def broken(folder):
    """Links of a built book that lead nowhere."""
    pages = {p: Page(p.read_text()) for p in folder.rglob("*.html")}
    faults = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlparse(link)
            if parts.scheme or parts.netloc:
                continue
            # A server gives the page of what is not there at any address.
            if path.name in ("404.html", "toc.html", "print.html"):
                continue
            target = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path)).resolve()
            mark = urllib.parse.unquote(parts.fragment)
            if not target.exists():
                faults.append(f"{path.relative_to(folder)}: {link} is not there")
            elif mark and target in pages and mark not in pages[target].marks:
                faults.append(f"{path.relative_to(folder)}: {link}: the page has no such place")
    return faults


if __name__ == "__main__":
    main()
