#!/usr/bin/env python3
"""Writes the reference traces beside this file that tests/optim/test_traces.cpp reads. The tests need no Python.

PyTorch's rules are run by PyTorch itself (made with 1.13); Keras' rules, and NAdam, whose second product of
momenta PyTorch 1.13 gets wrong, are written out in NumPy from their formulas, one element-wise line per
moment, independently of the library.

The problem: x, y of two elements each; f = sum((1 - x)^2 + b (y - x^2)^2), b = (1, 5); 20 steps; the learning
rate is halved before step 10 (counting from 0), which tells rules apart that differ in where the rate enters.
"""
import math
import os
import warnings

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, HALVED = 20, 10
X0, Y0, B = (-1.2, 0.7), (1.0, -0.4), (1.0, 5.0)


# --- PyTorch ---------------------------------------------------------------------------------------------

def by_torch(make, dtype, sign=1):
    dtype = {"f32": torch.float32, "f64": torch.float64}[dtype]
    x = torch.tensor(X0, dtype=dtype, requires_grad=True)
    y = torch.tensor(Y0, dtype=dtype, requires_grad=True)
    b = torch.tensor(B, dtype=dtype)
    optimizer = make([x, y])
    for step in range(STEPS):
        if step == HALVED:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        optimizer.zero_grad()
        (sign * ((1 - x) ** 2 + b * (y - x * x) ** 2).sum()).backward()
        optimizer.step()
        yield x.tolist() + y.tolist()


O = torch.optim
TORCH = {
    "sgd": lambda p: O.SGD(p, lr=0.02),
    "sgd momentum": lambda p: O.SGD(p, lr=0.01, momentum=0.8),
    "sgd nesterov": lambda p: O.SGD(p, lr=0.01, momentum=0.8, nesterov=True),
    "sgd dampening decay": lambda p: O.SGD(p, lr=0.02, momentum=0.8, dampening=0.3, weight_decay=0.1),
    "sgd maximize": lambda p: O.SGD(p, lr=0.01, momentum=0.8, maximize=True),
    "adagrad": lambda p: O.Adagrad(p),
    "adagrad decay": lambda p: O.Adagrad(p, lr=0.2, lr_decay=0.1, weight_decay=0.1,
                                         initial_accumulator_value=0.3, eps=0.05),
    "adadelta": lambda p: O.Adadelta(p),
    "adadelta decay": lambda p: O.Adadelta(p, lr=0.5, rho=0.8, eps=0.01, weight_decay=0.1),
    "rmsprop": lambda p: O.RMSprop(p),
    "rmsprop momentum": lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, eps=0.05, momentum=0.7),
    "rmsprop centered": lambda p: O.RMSprop(p, lr=0.01, eps=0.05, centered=True),
    "rmsprop centered momentum decay": lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, eps=0.05, momentum=0.7,
                                                           centered=True, weight_decay=0.1),
    "rmsprop maximize": lambda p: O.RMSprop(p, maximize=True),
    "adam": lambda p: O.Adam(p),
    "adam fast": lambda p: O.Adam(p, lr=0.1, betas=(0.8, 0.9), eps=0.05),
    "adam amsgrad": lambda p: O.Adam(p, lr=0.1, betas=(0.8, 0.9), amsgrad=True),
    "adam decay": lambda p: O.Adam(p, lr=0.1, weight_decay=0.1),
    "adam maximize": lambda p: O.Adam(p, lr=0.1, maximize=True),
    "adamw": lambda p: O.AdamW(p),
    "adamw amsgrad": lambda p: O.AdamW(p, lr=0.1, betas=(0.8, 0.9), weight_decay=0.2, amsgrad=True),
    "adamax": lambda p: O.Adamax(p),
    "adamax decay": lambda p: O.Adamax(p, lr=0.1, betas=(0.8, 0.9), eps=0.05, weight_decay=0.1),
}


# --- formulas in NumPy -----------------------------------------------------------------------------------

def by_formula(rule, lr, decay, options, dtype):
    """`decay`: the parameter is first multiplied by 1 - lr decay (Keras' weight_decay)."""
    kind = {"f32": np.float32, "f64": np.float64}[dtype]
    x, y, b = (np.array(v, kind) for v in (X0, Y0, B))
    memory = [{}, {}]
    for step in range(STEPS):
        if step == HALVED:
            lr *= 0.5
        valley = y - x * x
        slopes = [-2 * (1 - x) - 4 * b * x * valley, 2 * b * valley]
        moved = []
        for w, g, m in zip((x, y), slopes, memory):
            if decay:
                w = w - kind(lr * decay) * w
            moved.append((w - rule(g, m, step + 1, lr, **options)).astype(kind))
        x, y = moved
        yield x.tolist() + y.tolist()


def sgd(g, m, t, lr, momentum=0, nesterov=False):
    if not momentum:
        return lr * g
    m["v"] = momentum * m.get("v", 0) - lr * g
    return -(momentum * m["v"] - lr * g) if nesterov else -m["v"]


def adagrad(g, m, t, lr, start=0.1, eps=1e-7):
    m["sum"] = m.get("sum", start) + g * g
    return lr * g / np.sqrt(m["sum"] + eps)


def adadelta(g, m, t, lr, rho=0.95, eps=1e-7):
    m["g2"] = rho * m.get("g2", 0) + (1 - rho) * g * g
    d = g * np.sqrt(m.get("d2", 0) + eps) / np.sqrt(m["g2"] + eps)
    m["d2"] = rho * m.get("d2", 0) + (1 - rho) * d * d
    return lr * d


def rmsprop(g, m, t, lr, rho=0.9, eps=1e-7, momentum=0, centered=False):
    m["g2"] = rho * m.get("g2", 0) + (1 - rho) * g * g
    spread = m["g2"]
    if centered:
        m["g"] = rho * m.get("g", 0) + (1 - rho) * g
        spread = spread - m["g"] ** 2
    d = lr * g / np.sqrt(spread + eps)
    if not momentum:
        return d
    m["v"] = momentum * m.get("v", 0) + d
    return m["v"]


def moments(g, m, beta1, beta2):
    m["m"] = m.get("m", 0) + (1 - beta1) * (g - m.get("m", 0))
    m["v"] = m.get("v", 0) + (1 - beta2) * (g * g - m.get("v", 0))


def adam(g, m, t, lr, beta1=0.9, beta2=0.999, eps=1e-7, amsgrad=False):
    moments(g, m, beta1, beta2)
    v = m["v"]
    if amsgrad:
        v = m["top"] = np.maximum(m.get("top", 0), v)
    rate = lr * math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t)
    return rate * m["m"] / (np.sqrt(v) + eps)


def adamax(g, m, t, lr, beta1=0.9, beta2=0.999, eps=1e-7):
    m["m"] = m.get("m", 0) + (1 - beta1) * (g - m.get("m", 0))
    m["u"] = np.maximum(beta2 * m.get("u", 0), abs(g))
    return lr * m["m"] / ((1 - beta1 ** t) * (m["u"] + eps))


def nadam(g, m, t, lr, beta1=0.9, beta2=0.999, eps=1e-7, momentum_decay=1.0):
    moments(g, m, beta1, beta2)
    now, then = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    m["mu"] = m.get("mu", 1.0) * now
    ahead = then * m["m"] / (1 - m["mu"] * then) + (1 - now) * g / (1 - m["mu"])
    return lr * ahead / (np.sqrt(m["v"] / (1 - beta2 ** t)) + eps)


FORMULAS = {
    "keras sgd": (sgd, 0.01, 0, {}),
    "keras sgd momentum": (sgd, 0.01, 0, {"momentum": 0.8}),
    "keras sgd nesterov decay": (sgd, 0.01, 0.1, {"momentum": 0.8, "nesterov": True}),
    "keras adagrad": (adagrad, 1e-3, 0, {}),
    "keras adagrad decay": (adagrad, 0.2, 0.1, {"start": 0.3, "eps": 0.05}),
    "keras adadelta": (adadelta, 1e-3, 0, {}),
    "keras adadelta decay": (adadelta, 0.5, 0.1, {"rho": 0.8, "eps": 0.01}),
    "keras rmsprop": (rmsprop, 1e-3, 0, {}),
    "keras rmsprop momentum decay": (rmsprop, 0.02, 0.1, {"momentum": 0.7, "eps": 0.05}),
    "keras rmsprop centered": (rmsprop, 0.02, 0, {"centered": True, "eps": 0.05}),
    "keras rmsprop centered momentum": (rmsprop, 0.01, 0, {"centered": True, "momentum": 0.7, "eps": 0.05}),
    "keras adam": (adam, 1e-3, 0, {}),
    "keras adam amsgrad": (adam, 0.1, 0, {"beta1": 0.8, "beta2": 0.9, "eps": 0.05, "amsgrad": True}),
    "keras adamw": (adam, 1e-3, 4e-3, {}),
    "keras adamw fast": (adam, 0.1, 0.2, {"beta1": 0.8, "beta2": 0.9, "eps": 0.05}),
    "keras adamax": (adamax, 1e-3, 0, {}),
    "keras adamax decay": (adamax, 0.1, 0.1, {"beta1": 0.8, "beta2": 0.9, "eps": 0.05}),
    "keras nadam": (nadam, 1e-3, 0, {}),
    "keras nadam decay": (nadam, 0.1, 0.1, {"beta1": 0.8, "beta2": 0.9, "eps": 0.05}),
    "nadam": (nadam, 2e-3, 0, {"eps": 1e-8, "momentum_decay": 4e-3}),
}


def write_traces():
    with open(os.path.join(HERE, "traces.txt"), "w") as out:
        out.write("# name; dtype; step; x0 x1 y0 y1. Made by make_traces.py.\n")
        for name in list(TORCH) + list(FORMULAS):
            for dtype in ("f64", "f32"):
                if name in TORCH:
                    trace = by_torch(TORCH[name], dtype, -1 if "maximize" in name else 1)
                else:
                    trace = by_formula(*FORMULAS[name], dtype)
                for step, values in enumerate(trace):
                    if dtype == "f64" or step in (0, 4, STEPS - 1):
                        digits = ".17g" if dtype == "f64" else ".9g"
                        out.write(f"{name};{dtype};{step};{' '.join(format(v, digits) for v in values)}\n")


# --- schedules -------------------------------------------------------------------------------------------

S = torch.optim.lr_scheduler
SCHEDULES = {
    "constant": lambda o: S.ConstantLR(o, factor=0.25, total_iters=4),
    "linear": lambda o: S.LinearLR(o, start_factor=0.1, end_factor=0.9, total_iters=7),
    "linear default": lambda o: S.LinearLR(o),
    "step": lambda o: S.StepLR(o, step_size=6, gamma=0.3),
    "multistep": lambda o: S.MultiStepLR(o, milestones=[3, 9, 9, 20], gamma=0.4),
    "exponential": lambda o: S.ExponentialLR(o, gamma=0.85),
    "polynomial": lambda o: S.PolynomialLR(o, total_iters=13, power=1.7),
    "polynomial default": lambda o: S.PolynomialLR(o),
    "cosine": lambda o: S.CosineAnnealingLR(o, T_max=9, eta_min=0.02),
    "restarts": lambda o: S.CosineAnnealingWarmRestarts(o, T_0=5, eta_min=0.01),
    "restarts growing": lambda o: S.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2),
    "one cycle": lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=28),
    "one cycle linear": lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=28, pct_start=0.4, div_factor=10.0,
                                               final_div_factor=50.0, anneal_strategy="linear"),
    "one cycle three phases": lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=28, pct_start=0.33,
                                                     three_phase=True),
    "one cycle no rise": lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=28, pct_start=0.0),
    "lambda": lambda o: S.LambdaLR(o, lambda t: 1 / (1 + 0.5 * t)),
    "chained": lambda o: S.ChainedScheduler([S.ConstantLR(o, factor=0.1, total_iters=3),
                                             S.ExponentialLR(o, gamma=0.9)]),
    "chained three": lambda o: S.ChainedScheduler([S.LinearLR(o, start_factor=0.5, total_iters=4),
                                                   S.StepLR(o, step_size=5, gamma=0.5),
                                                   S.MultiStepLR(o, milestones=[7], gamma=0.2)]),
    "sequential": lambda o: S.SequentialLR(o, [S.LinearLR(o, start_factor=0.1, total_iters=5),
                                               S.CosineAnnealingLR(o, T_max=10),
                                               S.ExponentialLR(o, gamma=0.9)], milestones=[5, 12]),
}


def write_schedules():
    warnings.simplefilter("ignore")
    with open(os.path.join(HERE, "schedules.txt"), "w") as out:
        out.write("# name; rates of steps 0 to 27 from the base rate 0.5. Made by make_traces.py.\n")
        for name, make in SCHEDULES.items():
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5, momentum=0.9)
            schedule, rates = make(optimizer), []
            for _ in range(28):
                rates.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                if len(rates) < 28:
                    schedule.step()
            out.write(f"{name};{' '.join(format(r, '.17g') for r in rates)}\n")


# --- the plateau rule ------------------------------------------------------------------------------------

class Plateau:
    """Keras' ReduceLROnPlateau as its documentation and behaviour state it: two counters and the best value."""

    def __init__(self, mode, factor, patience, cooldown, min_delta, min_lr):
        self.mode, self.factor, self.patience = mode, factor, patience
        self.cooldown, self.min_delta, self.min_lr = cooldown, min_delta, min_lr
        self.bad = self.rest = 0
        self.record = math.inf if mode == "min" else -math.inf

    def epoch(self, value, rate):
        resting = self.rest > 1  # after this epoch has used up one of the pause
        if self.rest > 0:
            self.rest, self.bad = self.rest - 1, 0
        gain = self.record - value if self.mode == "min" else value - self.record
        if not math.isnan(value) and gain > self.min_delta and not (math.isinf(value) and value == self.record):
            self.record, self.bad = value, 0
        elif not resting:
            self.bad += 1
            if self.bad >= self.patience and rate > self.min_lr:
                self.rest, self.bad = self.cooldown, 0
                return max(rate * self.factor, self.min_lr)
        return rate


def noisy(count, slope, seed):
    """A loss that falls and levels off, with jitter; multiples of 2^-10 so that text holds them exactly."""
    values = []
    for i in range(count):
        seed = (1103515245 * seed + 12345) % 2 ** 31
        values.append(round((math.exp(-slope * i) + 0.1 * seed / 2 ** 31) * 1024) / 1024)
    return values


NAN, INF = math.nan, math.inf
PLATEAUS = {
    "usual": (("min", 0.1, 2, 0, 1e-4, 0), noisy(24, 0.2, 1)),
    "patience 0": (("min", 0.5, 0, 0, 0, 0), noisy(16, 0.3, 2)),
    "cooldown": (("min", 0.5, 2, 3, 1e-4, 0), [1, 1, 1, 1, 1, 1, 1, 1, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]),
    "cooldown of one": (("min", 0.5, 1, 1, 0, 0), [1] * 9),
    "a gain in the cooldown": (("min", 0.5, 1, 3, 0, 0), [1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.5, 0.5]),
    "floor": (("min", 0.25, 1, 0, 0, 0.01), [1] * 9),
    "gains as small as min_delta": (("min", 0.5, 2, 0, 0.25, 0), [2, 1.75, 1.5, 1.25, 0.99, 0.75, 0.5, 0.25]),
    "max": (("max", 0.1, 2, 0, 1e-4, 0), [1 - v for v in noisy(24, 0.4, 3)]),
    "max with cooldown and floor": (("max", 0.5, 2, 2, 0.01, 0.05), [0.5 - v for v in noisy(30, 0.1, 4)]),
    "nan": (("min", 0.5, 2, 0, 1e-4, 0), [NAN, NAN, NAN, 1, NAN, NAN, 0.5, NAN, 0.5, 0.25, NAN]),
    "infinities": (("min", 0.5, 2, 0, 1e-4, 0), [INF, INF, 3, INF, -INF, -INF, -INF, 1]),
    "factor 0": (("min", 0.0, 2, 1, 1e-4, 1e-3), [1, 1, 1, 1, 1, 1]),
}


def write_plateaus():
    with open(os.path.join(HERE, "plateaus.txt"), "w") as out:
        out.write("# name; mode factor patience cooldown min_delta min_lr; values; the rate after each, from "
                  "0.5. Made by make_traces.py.\n")
        for name, (options, values) in PLATEAUS.items():
            plateau, rate, rates = Plateau(*options), 0.5, []
            for v in values:
                rate = plateau.epoch(v, rate)
                rates.append(rate)
            fields = [name, *(" ".join(str(v) for v in row) for row in (options, values, rates))]
            out.write(";".join(fields) + "\n")


write_traces()
write_schedules()
write_plateaus()
