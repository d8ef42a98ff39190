#!/usr/bin/env python3
"""Prints the rows of test_keras_rules.cpp: what Keras' EarlyStopping and ReduceLROnPlateau do on random
sequences of val_loss. The rules are written down here a second time, in Python."""
import math
import random
import textwrap

def early(values, patience, min_delta, start, baseline, mode):
    better = (lambda a, b: a + min_delta < b) if mode == "min" else (lambda a, b: a - min_delta > b)
    best, best_epoch, wait, stop, first = (math.inf if mode == "min" else -math.inf), 0, 0, -1, None
    for epoch, v in enumerate(values):
        if epoch < start:
            continue
        if first is None:
            first = best_epoch = epoch
        wait += 1
        if better(v, best):
            best, best_epoch = v, epoch
            if baseline is None or better(v, baseline):
                wait = 0
        elif wait >= patience and epoch > 0:
            stop = epoch
            break
    return stop, best_epoch

def plateau(values, lr, factor, patience, min_delta, cooldown, min_lr, mode):
    better = (lambda a, b: a < b - min_delta) if mode == "min" else (lambda a, b: a > b + min_delta)
    best, wait, left, rates = (math.inf if mode == "min" else -math.inf), 0, 0, []
    for v in values:
        if left > 0:
            left, wait = left - 1, 0
        if better(v, best):
            best, wait = v, 0
        elif left == 0:
            wait += 1
            if wait >= patience and lr > min_lr:
                lr, left, wait = max(lr * factor, min_lr), cooldown, 0
        rates.append(lr)
    return rates

def sequence(rng, n):
    """Falls, then wanders in steps about as large as min_delta; ties and an occasional NaN or infinity."""
    v, out = 2.0, []
    for i in range(n):
        v = round(v + rng.choice([-0.4, -0.1, 0.0, 0.1, 0.2] if i < n // 2 else [-0.1, 0.0, 0.05, 0.1]), 3)
        out.append(rng.choice([math.nan, math.inf]) if rng.random() < 0.06 else v)
    return out

def text(v):
    return {"nan": "NaN", "inf": "inf", "-inf": "-inf"}.get(repr(v), repr(v))

def main():
    rng = random.Random(20)
    braces = lambda vs: "\n".join(textwrap.wrap("{" + ", ".join(text(v) for v in vs) + "}", 105))
    print("// early stopping: values, patience, min_delta, start_from_epoch, baseline, mode; stop, best")
    nan = math.nan
    rows = [([nan, nan, 1.0], (0, 0, 0, None), "min"), ([nan] * 6, (2, 0, 2, None), "min")]
    for i in range(24):
        mode = "max" if i % 4 == 3 else "min"
        values = sequence(rng, 14)
        if mode == "max":
            values = [-v for v in values]
        options = (rng.choice([0, 1, 2, 3, 4]), rng.choice([0, 0, 0.05, 0.1]), rng.choice([0, 0, 2, 5]),
                   rng.choice([None, None, 1.2, 1.7]))
        if options[3] is not None and mode == "max":
            options = options[:3] + (-options[3],)
        rows.append((values, options, mode))
    for values, options, mode in rows:
        stop, best = early(values, *options, mode)
        base = "none" if options[3] is None else text(options[3])
        print("{%s,\n %d, %s, %d, %s, Mode::%s, %d, %d}," %
              (braces(values), options[0], text(options[1]), options[2], base, mode, stop, best))
    print("// plateau: values, factor, patience, min_delta, cooldown, min_lr, mode; rates from 0.1")
    for i in range(20):
        mode = "max" if i % 4 == 3 else "min"
        values = sequence(rng, 14)
        if mode == "max":
            values = [-v for v in values]
        options = (rng.choice([0.1, 0.5]), rng.choice([1, 2, 3]), rng.choice([0, 1e-4, 0.1]),
                   rng.choice([0, 0, 1, 3]), rng.choice([0, 0.03]))
        rates = plateau(values, 0.1, *options, mode)
        print("{%s,\n %s, %d, %s, %d, %s, Mode::%s,\n %s}," % (braces(values), text(options[0]), options[1],
              text(options[2]), options[3], text(options[4]), mode, braces(rates)))

if __name__ == "__main__":
    main()
