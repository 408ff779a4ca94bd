"""Compares the library's public interface in rustdoc's JSON for several targets with that of the first."""

import json
import sys

FOLDER, TARGETS = sys.argv[1], sys.argv[2:]


class Interface:
    """The public items of a crate, as lines with the path, signature and documentation of each."""

    def __init__(self, target):
        with open(f"{FOLDER}/{target}/doc/heirloom.json", encoding="utf-8") as file:
            crate = json.load(file)
        self.index, self.lines = crate["index"], set()
        self.module(self.index[str(crate["root"])], "heirloom")

    def item(self, number):
        return self.index.get(str(number))

    def module(self, item, path):
        for number in item["inner"]["module"]["items"]:
            child = self.item(number)
            if child is None or child["visibility"] != "public":
                continue
            kind = next(iter(child["inner"]))
            if kind == "use":
                used = child["inner"]["use"]
                target = self.item(used["id"])
                if target is not None:
                    self.one(target, f"{path}::{used['name']}")
            elif kind == "module" and f"{path}::{child['name']}" == "heirloom::os":
                continue
            else:
                self.one(child, f"{path}::{child['name']}")

    def one(self, item, path):
        kind, inner = next(iter(item["inner"].items()))
        if kind == "module":
            return self.module(item, path)
        # Documentation is part of the comparison: it must read the same on every target.
        self.lines.add(f"{kind} {path}: {json.dumps(self.shape(inner), sort_keys=True)} # {item['docs']}")
        for number in inner.get("impls", []):
            self.implementation(self.item(number), path)
        for number in inner.get("variants", []) + inner.get("items", []) + self.fields(inner):
            child = self.item(number)
            if child is not None and child["visibility"] in ("public", "default"):
                self.one(child, f"{path}::{child['name']}")

    @staticmethod
    def fields(inner):
        """The identifiers of the public fields of a struct or variant."""
        kind = inner.get("kind")
        if not isinstance(kind, dict):
            return []
        if "tuple" in kind:
            return [number for number in kind["tuple"] if number is not None]
        return (kind.get("plain") or kind["struct"])["fields"]

    def implementation(self, item, path):
        if item is None:
            return
        inner = item["inner"]["impl"]
        if inner["is_synthetic"] or inner["blanket_impl"]:
            # Auto traits such as Send and Sync are part of the interface. Blanket implementations aren't, nor is Freeze,
            # which is internal to the compiler.
            name = inner["trait"].get("path") or inner["trait"].get("name")
            if inner["is_synthetic"] and name != "Freeze":
                self.lines.add(f"{path}: {'!' if inner['is_negative'] else ''}{name}")
            return
        trait = inner["trait"]
        if trait is not None:
            # rustdoc also lists an implementation for another type that only mentions this one.
            self.lines.add(f"{path}: {self.text(trait)} for {self.text(inner['for'])}")
            return
        for number in inner["items"]:
            child = self.item(number)
            if child is not None and child["visibility"] == "public":
                self.one(child, f"{path}::{child['name']}")

    def shape(self, value):
        """Removes the identifiers that differ between targets."""
        if isinstance(value, dict):
            without = ("id", "impls", "items", "variants", "fields", "implementations", "span", "links")
            return {key: self.shape(inner) for key, inner in value.items() if key not in without}
        if isinstance(value, list):
            # Numbers in a list are the identifiers of a tuple's fields.
            return [self.shape(inner) for inner in value if not isinstance(inner, int)]
        return value

    def text(self, trait):
        return json.dumps(self.shape(trait), sort_keys=True)


# System-specific traits and types, for conversion to and from descriptors or handles: `heirloom::os` documents them.
SYSTEM_SPECIFIC = (
    *("AsFd", "AsHandle", "AsRawFd", "AsRawHandle", "OwnedFd", "OwnedHandle", "TcpStream", "UnixStream"),
    *("Sealed", "CommandExt", "InheritExt", "ChildExt", "MappingExt", "FrozenOptionsExt", "DiscardExt"),
)


def common(lines):
    return {line for line in lines if not any(name in line.split(" # ")[0] for name in SYSTEM_SPECIFIC)}


def main():
    first, *others = TARGETS
    expected = common(Interface(first).lines)
    # Control: an empty or incomplete list would equal the others.
    create = "function heirloom::Region::create:"
    assert len(expected) > 200 and any(line.startswith(create) for line in expected), len(expected)
    different = 0
    for target in others:
        lines = common(Interface(target).lines)
        for line in sorted(expected ^ lines):
            different += 1
            print(f"only on {first if line in expected else target}: {line[:300]}")
    if different:
        sys.exit(f"{different} differences")
    print(f"{len(expected)} lines of the interface are equal on {', '.join(TARGETS)}")


main()
