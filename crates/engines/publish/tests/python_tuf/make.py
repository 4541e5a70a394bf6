"""Makes a repository with python-tuf's metadata API.

usage: make.py FOLDER
FOLDER/metadata gets three roots, and targets with ordinary, unusual and binned delegations.
FOLDER/canonical.json gets values and their canonical form according to securesystemslib,
FOLDER/patterns.json path patterns, paths, and whether they match according to python-tuf.
"""

import json
import os
import random
import sys
from datetime import datetime, timezone
from urllib.parse import quote

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
    MetaFile,
)

folder = os.path.join(sys.argv[1], "metadata")
os.makedirs(folder)
expires = datetime(2035, 1, 1, tzinfo=timezone.utc)
ed25519 = CryptoSigner.generate_ed25519()
ecdsa = CryptoSigner.generate_ecdsa()
rsa = CryptoSigner.generate_rsa()
signers = {"root": [ed25519, ecdsa], "targets": [rsa], "snapshot": [ecdsa], "timestamp": [ed25519]}
snapshot = Snapshot(expires=expires)


def write(role, version, metadata, keys):
    for key in keys:
        metadata.sign(key, append=True)
    name = f"{version}.{quote(role, '')}.json" if version else f"{role}.json"
    metadata.to_file(os.path.join(folder, name))
    if role not in ("root", "snapshot", "timestamp"):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256", "sha512"])


def target(text):
    return TargetFile.from_data("x", text.encode(), ["sha256", "sha512"])


root = Root(expires=expires, consistent_snapshot=True)
for role, keys in signers.items():
    for key in keys:
        root.add_key(key.public_key, role)
root.roles["root"].threshold = 2
root.unrecognized_fields["x-note"] = {"ü": ["é", 1, None, True]}
write("root", 1, Metadata(root), signers["root"])
root.version = 2
root.revoke_key(ecdsa.public_key.keyid, "root")
root.add_key(rsa.public_key, "root")
write("root", 2, Metadata(root), [ed25519, ecdsa, rsa])
root.version = 3
write("root", 3, Metadata(root), [ed25519, rsa])

targets = Targets(expires=expires)
targets.targets["fw.bin"] = target("firmware")
targets.targets["dir/Größe 1.bin"] = target("unusual")
targets.delegations = Delegations({}, {})
for name, key, paths, terminating in (
    ("../odd?role", ecdsa, ["odd/*"], True),
    ("bins", ed25519, ["bins/*", "odd/*"], False),
):
    targets.delegations.roles[name] = DelegatedRole(name, [], 1, terminating, paths=paths)
    targets.add_key(key.public_key, name)
odd = Targets(expires=expires)
odd.targets["odd/one"] = target("odd one")
write("../odd?role", 1, Metadata(odd), [ecdsa])
bins = Targets(expires=expires)
succinct = SuccinctRoles([], 1, 3, "bin")
bins.delegations = Delegations({}, succinct_roles=succinct)
bins.add_key(rsa.public_key, None)
write("bins", 1, Metadata(bins), [ed25519])
wanted = {"bins/a": "in bin a", "bins/b": "in bin b", "bins/c": "in bin c"}
for name in succinct.get_roles():
    bin_targets = Targets(expires=expires)
    for path, text in wanted.items():
        if succinct.get_role_for_target(path) == name:
            bin_targets.targets[path] = target(text)
    write(name, 1, Metadata(bin_targets), [rsa])
write("targets", 1, Metadata(targets), signers["targets"])
write("snapshot", 1, Metadata(snapshot), signers["snapshot"])
with open(os.path.join(folder, "1.snapshot.json"), "rb") as file:
    data = file.read()
timestamp = Timestamp(expires=expires, snapshot_meta=MetaFile.from_data(1, data, ["sha256"]))
write("timestamp", None, Metadata(timestamp), signers["timestamp"])

values = [
    None, True, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, "", "a\"b\\c/\n\t\x01\x7f", "Größe 😀 \u2028",
    [], {}, [1, [2, {"z": 1, "a": [], "ä": {}, "A": "x", "": 0}]], {"\U0001F600": 1, "\uFFFF": 2},
]
cases = [{"value": value, "canonical": encode_canonical(value)} for value in values]
with open(os.path.join(sys.argv[1], "canonical.json"), "w", encoding="utf-8") as file:
    json.dump(cases, file)

chance = random.Random(1)
pieces = ["a", "b", "c", "*", "?", "/", "[a-b]", "[!a]", "[^a]", "[", "]", "!", "^", "-", "\\", "[b]"]
cases = []
for _ in range(4000):
    pattern = "".join(chance.choice(pieces) for _ in range(chance.randint(0, 6)))
    path = "".join(chance.choice("aabbc//^[]-!\\") for _ in range(chance.randint(1, 5)))
    role = DelegatedRole("r", [], 1, False, paths=[pattern])
    cases.append([pattern, path, role.is_delegated_path(path)])
with open(os.path.join(sys.argv[1], "patterns.json"), "w", encoding="utf-8") as file:
    json.dump(cases, file)
