"""Damage to files by their structure: JSON, TOML, CSV and safetensors headers, and to bytes of any kind."""

import copy
import csv
import io
import json
import random
import struct
import tomllib

import tomlkit

DEEP = 100_000
VALUES = (
    None, [], {}, "", "x", "../../x", "/", "\ud800", 0, -1, 1, 2**31 - 1, 10**30, 0.5, float("nan"), float("inf"), True,
    ["x"], {"x": {}}, [None] * 3, [[[]]], "9" * 5000, "x" * 200_000, list(range(1000)),
)  # fmt: skip
BYTES = (
    b"",
    b"\0",
    b"\xff\xfe",
    b"\n",
    b'"',
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"\x89PNG\r\n\x1a\n",
    b"null",
    b"\xef\xbb\xbf",
)


def damage_bytes(rng: random.Random, content: bytes) -> bytes:
    """Cut, flip, repeat or replace bytes."""
    start, stop = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    way = rng.randrange(5)
    if way == 0:
        return content[:start]
    if way == 1:
        flipped = bytearray(content)
        for _ in range(rng.randint(1, 8) if content else 0):
            flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if way == 2:
        return content[:stop] + content[start:]
    if way == 3:
        return content[:start] + rng.choice(BYTES) + content[start:]
    return rng.choice(BYTES)


def damage_json(rng: random.Random, content: bytes) -> bytes:
    """Damage the tree of a JSON text, or its bytes."""
    if rng.random() < 0.25:
        return damage_bytes(rng, content)
    text = json.dumps(damage_tree(rng, json.loads(content)))
    if rng.random() < 0.1 and ": " in text:  # a key that stands twice
        first = text.index('"')
        text = text[:first] + text[first:].split(",")[0].rstrip("}") + ", " + text[first:]
    return text.encode()


def damage_tree(rng: random.Random, tree):
    """Replace, remove, add, rename, swap or nest one node, or up to three."""
    for _ in range(rng.randint(1, 3)):
        tree = copy.deepcopy(tree)
        nodes = list(walk(tree))
        if not nodes or rng.random() < 0.05:
            return rng.choice(VALUES)
        parent, key = rng.choice(nodes)
        way = rng.randrange(6)
        if way == 0:
            del parent[key]
        elif way == 1 and isinstance(parent, dict):
            parent[rng.choice(("x", key + key, key.upper(), ""))] = parent.pop(key)
        elif way == 2 and isinstance(parent, dict):
            parent[rng.choice(("surprise", "", "\ud800"))] = rng.choice(VALUES)
        elif way == 3:
            other, place = rng.choice(nodes)
            parent[key] = copy.deepcopy(other[place])
        elif way == 4:
            for _ in range(rng.choice((1, 40, 400))):
                parent[key] = [parent[key]] if rng.random() < 0.5 else {"x": parent[key]}
            return tree
        else:
            parent[key] = rng.choice(VALUES)
    return tree


def walk(tree):
    """(parent, key) of every node below the root."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from walk(tree[key])


def damage_toml(rng: random.Random, content: bytes) -> bytes:
    """Damage the tables of a TOML text, its lines, or its bytes."""
    if rng.random() < 0.5:
        tree = damage_tree(rng, tomllib.loads(content.decode()))
        try:
            return tomlkit.dumps(tree).encode("utf-8", "replace")
        except (TypeError, ValueError, AttributeError, RecursionError, tomlkit.exceptions.TOMLKitError):
            return damage_bytes(rng, content)  # not everything can be said in TOML
    lines = content.decode().split("\n")
    line = rng.choice(lines)
    odd = (line, "[" + line, line + line, ".".join("a" * rng.choice((3, 5000))) + " = 1", "x = " + "[" * DEEP, '"' * 9)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(odd))
    return "\n".join(lines).encode() if rng.random() < 0.7 else damage_bytes(rng, content)


def damage_csv(rng: random.Random, content: bytes) -> bytes:
    """Damage the cells of a table, or its bytes."""
    if rng.random() < 0.3:
        return damage_bytes(rng, content)
    rows = list(csv.reader(io.StringIO(content.decode()))) or [[]]
    for _ in range(rng.randint(1, 3)):
        row = rng.choice(rows)
        place = rng.randrange(len(row) + 1)
        way = rng.randrange(4)
        if way == 0:
            row.insert(place, rng.choice(row) if row else "")
        elif way == 1:
            del row[place:]
        elif way == 2:
            rows.insert(rng.randrange(len(rows)), list(row))
        elif row:
            row[place % len(row)] = str(rng.choice(VALUES))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def damage_safetensors(rng: random.Random, content: bytes, *, entry: str = "") -> bytes:
    """Damage the header of a safetensors file, its length, or its bytes; with `entry` that JSON in it."""
    (length,) = struct.unpack("<Q", content[:8])
    header, tensors = json.loads(content[8 : 8 + length]), content[8 + length :]
    if entry:
        text = damage_json(rng, header["__metadata__"][entry].encode())
        header["__metadata__"][entry] = text.decode("utf-8", "replace")
    elif rng.random() < 0.2:
        return damage_bytes(rng, content)
    elif rng.random() < 0.2:
        return struct.pack("<Q", rng.choice((0, 1, length - 1, length + 1, 2**32, 2**63, 2**64 - 1))) + content[8:]
    else:
        header = damage_tree(rng, header)
    changed = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(changed)) + changed + tensors
