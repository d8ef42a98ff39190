#!/usr/bin/env python3
"""Makes torch_model.safetensors: a torch.nn.Sequential's state_dict written by safetensors_numpy.py, with an input and
what the model gives for it, in training order and in evaluation. Needs torch; the test that reads the file does not."""
import os
import sys

import numpy as np
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, ".."))
import safetensors_numpy  # noqa: E402

torch.manual_seed(7)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(4, 6, 3, stride=2, bias=False), torch.nn.ReLU(), torch.nn.Flatten(),
    torch.nn.Linear(24, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 3))
for _ in range(5):  # running statistics away from their beginning
    model(torch.randn(8, 3, 10, 10) * 2 + 0.5)
model.eval()
x = torch.randn(2, 3, 10, 10)
tensors = {"model." + name: t.detach().numpy() for name, t in model.state_dict().items()}
tensors["input"] = x.numpy()
tensors["output"] = model(x).detach().numpy()
safetensors_numpy.save(os.path.join(here, "torch_model.safetensors"), tensors, {"torch": torch.__version__})

# Every element type, an empty tensor and one without dimensions, from NumPy alone.
safetensors_numpy.save(os.path.join(here, "numpy.safetensors"), {
    "f64": np.array([[1e300, -2.5]]), "f32": np.array([1.5, -0.0, 3e-40], "f4"),
    "i64": np.array(-2**63), "i32": np.arange(6, dtype="i4").reshape(2, 3)[:, ::-1],
    "u8": np.array([0, 255], "u1"), "bool": np.array([True, False, True]), "empty": np.zeros((0, 4), "f4"),
    "caf\u00e9 \"quoted\"\n": np.ones(1, "f4")}, {"made by": "NumPy", "n\u00f6te": "line\n2"})
