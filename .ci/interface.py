"""Compares what rustdoc's JSON says of the library for several targets: the first is what the others must be like."""

import json
import sys

FOLDER, TARGETS = sys.argv[1], sys.argv[2:]


class Interface:
    """The public items of a crate: each a line with its path and what it takes and gives."""

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
        # The docs are read by the same people everywhere, so they are to be the same too.
        self.lines.add(f"{kind} {path}: {json.dumps(self.shape(inner), sort_keys=True)} # {item['docs']}")
        for number in inner.get("impls", []):
            self.implementation(self.item(number), path)
        for number in inner.get("variants", []) + inner.get("items", []) + self.fields(inner):
            child = self.item(number)
            if child is not None and child["visibility"] in ("public", "default"):
                self.one(child, f"{path}::{child['name']}")

    @staticmethod
    def fields(inner):
        kind = inner.get("kind")
        plain = kind.get("plain") if isinstance(kind, dict) else None
        return plain["fields"] if plain else []

    def implementation(self, item, path):
        if item is None:
            return
        inner = item["inner"]["impl"]
        if inner["is_synthetic"] or inner["blanket_impl"]:
            # Send, Sync and their kin are part of the interface; what is written for every type is not, nor is Freeze, which
            # nobody can name.
            name = inner["trait"].get("path") or inner["trait"].get("name")
            if inner["is_synthetic"] and name != "Freeze":
                self.lines.add(f"{path}: {'!' if inner['is_negative'] else ''}{name}")
            return
        trait = inner["trait"]
        if trait is not None:
            # Some are a type's by what they take, and another's by what they are for.
            self.lines.add(f"{path}: {self.text(trait)} for {self.text(inner['for'])}")
            return
        for number in inner["items"]:
            child = self.item(number)
            if child is not None and child["visibility"] == "public":
                self.one(child, f"{path}::{child['name']}")

    def shape(self, value):
        """Without numbers that differ from target to target."""
        if isinstance(value, dict):
            without = ("id", "impls", "items", "variants", "fields", "implementations", "span", "links")
            return {key: self.shape(inner) for key, inner in value.items() if key not in without}
        if isinstance(value, list):
            return [self.shape(inner) for inner in value]
        return value

    def text(self, trait):
        return json.dumps(self.shape(trait), sort_keys=True)


# What a system's own traits and types bring, which its page in `heirloom::os` tells of: handles of the system, in and out.
OWN = ("AsFd", "AsHandle", "OwnedFd", "OwnedHandle", "TcpStream", "UnixStream", "Sealed", "CommandExt", "InheritExt", "ChildExt")


def common(lines):
    return {line for line in lines if not any(own in line.split(" # ")[0] for own in OWN)}


def main():
    first, *others = TARGETS
    usual = common(Interface(first).lines)
    # The control: an empty list, or one without the main thing, would be like every other.
    assert len(usual) > 200 and any(line.startswith("function heirloom::Region::create:") for line in usual), len(usual)
    different = 0
    for target in others:
        lines = common(Interface(target).lines)
        for line in sorted(usual ^ lines):
            different += 1
            print(f"{first if line in usual else target} alone has: {line[:300]}")
    if different:
        sys.exit(f"{different} differences")
    print(f"{len(usual)} lines of the interface are the same for {', '.join(TARGETS)}")


main()
