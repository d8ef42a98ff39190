#!/usr/bin/python3
"""The seed's VGG network trained by libtorch (through its Python front end) and by `cifar10`, from the same weights.

usage: cifar10_torch.py PROGRAM DATA_DIR [EPOCHS [LIMIT]]
Both start from one file of Glorot-uniform weights and zero biases and see the images unaugmented, shuffled, in full
batches of 128; batch norm keeps 0.9 of its statistics and adds 1e-5; Adam has rate 1e-3 and epsilon 1e-7. Orders differ,
so losses agree up to noise only. Prints the mean training loss and accuracy of each epoch, and the validation's.
Needs NumPy and PyTorch; takes about 3 minutes an epoch on two cores, nearly all of it libtorch's.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn

BLOCKS = [[64], [128], [256, 256], [512, 512], [512, 512]]


def vgg():
    layers, channels = [], 3
    for block in BLOCKS:
        for width in block:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    for layer in layers:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return layers


def named_for_thalweg(layers):
    """The same tensors under the names of `cifar10`: there ReLU is part of the convolution, so numbers differ."""
    tensors, at = {}, 0
    for layer in layers:
        if isinstance(layer, (nn.ReLU, nn.Flatten)):
            continue
        for name, value in layer.state_dict().items():
            if name != "num_batches_tracked":
                tensors[f"{at}.{name}"] = value.numpy()
        at += 1
    return tensors


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, a in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for a in tensors.values():
            f.write(np.ascontiguousarray(a).tobytes())


def read_cifar(directory, names):
    rows = np.concatenate([np.fromfile(os.path.join(directory, n), np.uint8).reshape(-1, 3073) for n in names])
    return torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(rows[:, 0].astype(np.int64))


def passes(model, optimizer, images, labels):
    """One epoch (or an evaluation, without optimizer): mean loss and accuracy over the images it saw."""
    n = len(labels)
    order = torch.randperm(n) if optimizer else torch.arange(n)
    end = n // 128 * 128 if optimizer else n
    loss_sum, right = 0.0, 0
    model.train(optimizer is not None)
    with torch.set_grad_enabled(optimizer is not None):
        for i in range(0, end, 128):
            at = order[i:min(i + 128, end)]
            x, y = images[at].float() / 255, labels[at]
            scores = model(x)
            loss = nn.functional.cross_entropy(scores, y)
            if optimizer:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(at)
            right += (scores.argmax(1) == y).sum().item()
    return loss_sum / end, right / end


def main():
    program, data = sys.argv[1:3]
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else 50000
    torch.manual_seed(0)
    layers = vgg()
    model = nn.Sequential(*layers)
    rows = []
    with tempfile.TemporaryDirectory() as work:
        start, log = os.path.join(work, "start.safetensors"), os.path.join(work, "log.json")
        write_safetensors(start, named_for_thalweg(layers))
        began = time.time()
        subprocess.run([program, "--data-dir", data, "--epochs", str(epochs), "--limit", str(limit), "--load", start,
                        "--no-augment", "--checkpoints", "none", "--quiet", "--json", log], check=True)
        print(f"cifar10: {time.time() - began:.0f} s with its tests")
        with open(log) as f:
            rows = [e for e in map(json.loads, f) if e["event"] == "epoch"]
    images, labels = read_cifar(data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    images, labels = images[:limit], labels[:limit]
    test = read_cifar(data, ["test_batch.bin"])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    print("epoch  train loss: thalweg  libtorch   accuracy: thalweg  libtorch   val loss: thalweg  libtorch   seconds")
    for epoch in range(epochs):
        began = time.time()
        loss, accuracy = passes(model, optimizer, images, labels)
        val_loss, _ = passes(model, None, *test)
        e = rows[epoch]
        print(f"{epoch + 1:5}  {e['train_loss']:19.4f}  {loss:8.4f}  {e['train_accuracy']:18.4f}  {accuracy:8.4f}"
              f"  {e['val_loss']:18.4f}  {val_loss:8.4f}  {e['seconds']:8.1f} {time.time() - began:8.1f}", flush=True)


if __name__ == "__main__":
    main()
