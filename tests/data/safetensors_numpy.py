#!/usr/bin/env python3
"""The safetensors format in NumPy, read and written: weights travel to and from Thalweg by name.

    tensors, metadata = load("model.safetensors");  save("other.safetensors", tensors, metadata)
"""
import json
import sys

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def load(path):
    """The tensors of a file as {name: array}, and its metadata as {text: text}."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def save(path, tensors, metadata=None):
    """Writes arrays, widest elements first so that each is aligned."""
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    header, blocks, end = ({"__metadata__": metadata} if metadata else {}), [], 0
    for name in sorted(arrays, key=lambda n: (-arrays[n].itemsize, n)):
        begin, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": NAMES[arrays[name].dtype], "shape": arrays[name].shape, "data_offsets": [begin, end]}
        blocks.append(arrays[name].tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(blocks))


if __name__ == "__main__":  # lists a file, and with a second path writes it again
    tensors, metadata = load(sys.argv[1])
    for name, array in sorted(tensors.items()):
        print(name, NAMES[array.dtype], list(array.shape), float(np.asarray(array, "f8").sum()))
    if len(sys.argv) > 2:
        save(sys.argv[2], tensors, {k: v for k, v in metadata.items() if k != "thalweg.checksum"})
