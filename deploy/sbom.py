#!/usr/bin/env python3
"""Writes what is in the program as a bill of materials of CycloneDX 1.5.

    deploy/sbom.py [TARGET] > budwood.cdx.json

Crates that are linked into the program for TARGET, or take part in its build, as `cargo metadata`
resolves them from Cargo.lock, with their licences and the sums by which cargo fetches them.
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = "budwood-cli"


def main():
    words = ["cargo", "metadata", "--format-version", "1", "--locked"]
    if sys.argv[1:] and sys.argv[1]:
        words += ["--filter-platform", sys.argv[1]]
    told = json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout)
    packages = {p["id"]: p for p in told["packages"]}
    nodes = {n["id"]: n for n in told["resolve"]["nodes"]}
    top = next(i for i, p in packages.items() if p["name"] == PROGRAM)
    needs, waiting = {}, [top]
    while waiting:
        one = waiting.pop()
        if one in needs:
            continue
        # Those of tests are in no program.
        needs[one] = sorted(d["pkg"] for d in nodes[one]["deps"] if any(k["kind"] != "dev" for k in d["dep_kinds"]))
        waiting += needs[one]
    sums = checksums()
    when = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    own = {**component(packages[top], sums), "type": "application", "name": "budwood"}
    parts = [component(packages[i], sums) for i in sorted(needs, key=reference(packages)) if i != top]
    name = reference(packages)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        # The same parts have the same number.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(parts, sort_keys=True))}",
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": own},
        "components": parts,
        "dependencies": [{"ref": name(i), "dependsOn": sorted(map(name, needs[i]))} for i in sorted(needs, key=name)],
    }
    print(json.dumps(document, indent=1))


def reference(packages):
    def name(identity):
        package = packages[identity]
        return f"pkg:cargo/{package['name']}@{package['version']}"

    return name


def component(package, sums):
    address = f"pkg:cargo/{package['name']}@{package['version']}"
    about = {
        "type": "library",
        "bom-ref": address,
        "name": package["name"],
        "version": package["version"],
        "purl": address,
        # The old form of a choice is a bar.
        "licenses": [{"expression": (package["license"] or "NOASSERTION").replace("/", " OR ")}],
    }
    found = sums.get((package["name"], package["version"]))
    return {**about, "hashes": [{"alg": "SHA-256", "content": found}]} if found else about


def checksums():
    text = (ROOT / "Cargo.lock").read_text()
    entry = re.compile(r'name = "(.+)"\nversion = "(.+)"\n(?:source = ".+"\n)?(?:checksum = "(\w+)")?')
    return {(n, v): c for n, v, c in entry.findall(text) if c}


if __name__ == "__main__":
    main()
