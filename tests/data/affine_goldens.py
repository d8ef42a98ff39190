#!/usr/bin/python3
"""Writes affine_goldens.safetensors beside this file: images resampled by SciPy as Keras' ImageDataGenerator
asks it to, for each fill mode. Run by hand (SciPy 1.10.1, NumPy 1.24.2); the tests read the file only."""

import json
import os
import struct

import numpy as np
from scipy import ndimage

CONSTANT = 0.25
# name: (image, rotation, shift_x, shift_y, shear, zoom_x, zoom_y, horizontal flip, vertical flip)
CASES = {
    "nothing": ("square", 0, 0, 0, 0, 1, 1, 0, 0),
    "rotation": ("square", 14.2, 0, 0, 0, 1, 1, 0, 0),
    "shift": ("square", 0, 3.3, -4.7, 0, 1, 1, 0, 0),
    "whole_shift": ("square", 0, -3, 2, 0, 1, 1, 0, 0),
    "far_shift": ("wide", 0, 40.6, -31.3, 0, 1, 1, 0, 0),
    "shear": ("square", 0, 0, 0, 21, 1, 1, 0, 0),
    "zoom": ("square", 0, 0, 0, 0, 1.17, 0.93, 0, 0),
    "far_zoom": ("wide", 0, 0, 0, 0, 7.3, 5.1, 0, 0),
    "seed": ("square", -11.3, 2.9, 1.4, 0.07, 1.08, 0.95, 1, 0),
    "all": ("tall", 137, -2.2, 5.6, -17, 0.8, 1.3, 1, 1),
    "wide": ("wide", -33, 1.5, -0.7, 9, 1.4, 0.7, 0, 1),
    "column": ("column", 5, 0.3, 1.2, 0, 0.9, 1.1, 0, 0),
    "pixel": ("pixel", 30, 0.2, -0.1, 0, 1.2, 1.2, 0, 0),
}
SHAPES = {
    "square": (3, 12, 12),
    "wide": (1, 7, 37),
    "tall": (2, 21, 5),
    "column": (1, 9, 1),
    "pixel": (2, 1, 1),
}


def map_of(height, width, rotation, shift_x, shift_y, shear, zoom_x, zoom_y):
    """The map of rows and columns: rotation, shift, shear and zoom of x and y about the centre."""
    r, s = np.deg2rad(rotation), np.deg2rad(shear)
    m = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1.0]])
    m = m @ np.array([[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1.0]])
    m = m @ np.array([[1, -np.sin(s), 0], [0, np.cos(s), 0], [0, 0, 1.0]])
    m = m @ np.diag([zoom_x, zoom_y, 1.0])
    cx, cy = width / 2 - 0.5, height / 2 - 0.5
    m = np.array([[1, 0, cx], [0, 1, cy], [0, 0, 1]]) @ m @ np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1]])
    exchange = [1, 0, 2]
    return m[exchange][:, exchange]


def resampled(image, case, mode):
    *motion, horizontal, vertical = case[1:]
    m = map_of(image.shape[1], image.shape[2], *motion)
    out = np.stack([
        ndimage.affine_transform(
            plane.astype(np.float64), m[:2, :2], m[:2, 2], order=1, mode=mode, cval=CONSTANT
        )
        for plane in image
    ])
    if horizontal:
        out = out[:, :, ::-1]
    if vertical:
        out = out[:, ::-1]
    return np.ascontiguousarray(out, dtype=np.float32)


def write(path, arrays):
    header, data = {}, b""
    for name, a in arrays.items():
        dtype = {"float32": "F32", "float64": "F64"}[a.dtype.name]
        offsets = [len(data), len(data) + a.nbytes]
        header[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": offsets}
        data += a.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def main():
    random = np.random.RandomState(20)
    images = {name: random.uniform(0, 1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    arrays = {}
    for name, case in CASES.items():  # f64 first: each array begins at a multiple of its item size
        arrays[name + ".case"] = np.array(case[1:], dtype=np.float64)
    for name, case in CASES.items():
        image = images[case[0]]
        arrays[name + ".image"] = image
        for mode in ("nearest", "constant", "reflect", "wrap"):
            arrays[name + "." + mode] = resampled(image, case, mode)
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "affine_goldens.safetensors"), arrays)


main()
