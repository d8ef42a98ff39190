#!/usr/bin/env python3
"""Makes tests/golden/golden.txt: values, gradients and second derivatives of every operator with a torch twin.

    python3 tools/make_golden.py tests/golden/golden.txt

Needs torch (1.13 was used) and numpy; the tests that read the file need neither. Everything is f64 from a fixed seed,
away from kinks and from the points where our documented conventions differ. A case is

    case OP VARIANT
    in f64 [2,3] ...      one line per input; i64 inputs have no gradient
    seed f64 [2,3] ...    the gradient of the output
    out f64 [2,3] ...
    grad f64 [2,3] ...    one line per f64 input: d<seed, out>/d input
    along f64 [2,3] ...   one line per f64 input: a direction
    second f64 [2,3] ...  one line per f64 input: d<along, grad>/d input
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

CASES = []


def case(op, variant, f, *inputs):
    CASES.append((op, variant, f, inputs))


def fresh(seed):
    return np.random.RandomState(seed)


def normal(*shape, seed=1):
    return fresh(seed).standard_normal(shape)


def away(*shape, from_=(0.0,), low=-3.0, high=3.0, seed=2):
    """Uniform, at least 0.05 from each of the points given."""
    x = fresh(seed).uniform(low, high, shape)
    for k in from_:
        x = np.where(np.abs(x - k) < 0.05, x + 0.11, x)
    return x


def positive(*shape, low=0.2, high=3.0, seed=3):
    return fresh(seed).uniform(low, high, shape)


def ints(*shape, high, seed=4):
    return fresh(seed).randint(0, high, shape).astype(np.int64)


def pointwise():
    x = away(3, 5)
    for name, f in [("neg", torch.neg), ("abs", torch.abs), ("square", torch.square), ("exp", torch.exp), ("expm1", torch.expm1),
                    ("sin", torch.sin), ("cos", torch.cos), ("tanh", torch.tanh), ("erf", torch.erf), ("erfc", torch.erfc),
                    ("sigmoid", torch.sigmoid), ("log_sigmoid", F.logsigmoid), ("relu", F.relu), ("selu", F.selu), ("gelu", F.gelu),
                    ("silu", F.silu), ("softplus", F.softplus), ("reciprocal", torch.reciprocal), ("sign", torch.sign)]:
        case(name, "plain", f, x)
    for name, f in [("gelu", F.gelu), ("silu", F.silu), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid), ("erfc", torch.erfc),
                    ("log_sigmoid", F.logsigmoid), ("expm1", torch.expm1)]:
        case(name, "tails", f, np.array([-9.5, -7.25, -5.5, -1e-3, 1e-3, 5.5, 7.25, 9.5]))
    case("gelu_tanh", "plain", lambda t: F.gelu(t, approximate="tanh"), x)
    case("leaky_relu", "plain", lambda t: F.leaky_relu(t, 0.01), x)
    case("leaky_relu", "slope", lambda t: F.leaky_relu(t, 0.3), x)
    case("elu", "plain", F.elu, x)
    case("elu", "alpha", lambda t: F.elu(t, 0.5), x)
    edges = away(3, 5, from_=(-1.0, 1.0))
    case("hardtanh", "plain", F.hardtanh, edges)
    case("clamp", "both", lambda t: torch.clamp(t, -0.75, 1.25), away(3, 5, from_=(-0.75, 1.25)))
    p = positive(3, 5)
    for name, f in [("log", torch.log), ("log1p", torch.log1p), ("sqrt", torch.sqrt), ("rsqrt", torch.rsqrt)]:
        case(name, "plain", f, p)
    a, b, row, column = normal(3, 5), away(3, 5, seed=5), away(5, seed=6), away(3, 1, seed=7)
    for name, f in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div), ("atan2", torch.atan2)]:
        case(name, "plain", f, a, b)
        case(name, "row", f, a, row)
        case(name, "column row", f, column, row)
        case(name, "0-d", f, np.array(0.7), b)
    case("pow", "plain", torch.pow, p, b)
    case("pow", "row", torch.pow, p, row)
    for name, f in [("maximum", torch.maximum), ("minimum", torch.minimum)]:
        case(name, "plain", f, a, b)
        case(name, "row", f, a, row)
    case("where", "broadcast", lambda c, u, v: torch.where(c != 0, u, v), ints(3, 5, high=2), a, row)


def reductions():
    x, cube = normal(3, 4), normal(2, 3, 4)
    for name, f in [("sum", torch.sum), ("mean", torch.mean)]:
        case(name, "all", f, x)
        case(name, "dims", lambda t, f=f: f(t, dim=(0, 2)), cube)
        case(name, "keepdim", lambda t, f=f: f(t, dim=1, keepdim=True), cube)
    case("prod", "all", torch.prod, x)
    case("prod", "dim", lambda t: torch.prod(t, dim=0), cube)
    zeros = np.array([[2.0, 0.0, 3.0], [0.5, 1.5, -2.0]])
    case("prod", "zero", lambda t: torch.prod(t, dim=1), zeros)
    case("max", "all", torch.amax, x)
    case("max", "dims", lambda t: torch.amax(t, dim=(0, 2)), cube)
    case("min", "dims", lambda t: torch.amin(t, dim=(1,), keepdim=True), cube)
    case("max_with_index", "dim", lambda t: torch.max(t, dim=1)[0], cube)
    case("min_with_index", "dim", lambda t: torch.min(t, dim=2, keepdim=True)[0], cube)
    case("var", "all", lambda t: torch.var(t, unbiased=True), x)
    case("var", "population", lambda t: torch.var(t, dim=(0, 2), unbiased=False), cube)
    case("stddev", "dim", lambda t: torch.std(t, dim=(1,), unbiased=True, keepdim=True), cube)
    case("norm", "2", lambda t: torch.linalg.vector_norm(t), x)
    case("norm", "3 of rows", lambda t: torch.linalg.vector_norm(t, 3, dim=1), cube)
    case("norm", "1", lambda t: torch.linalg.vector_norm(t, 1, dim=(0, 2)), cube)
    case("norm", "infinity", lambda t: torch.linalg.vector_norm(t, float("inf"), dim=1), x)
    case("cumsum", "dim", lambda t: torch.cumsum(t, 1), cube)
    case("cumsum", "reverse", lambda t: torch.cumsum(t.flip(0), 0).flip(0), x)
    case("cumprod", "dim", lambda t: torch.cumprod(t, 1), cube)
    case("cumprod", "reverse", lambda t: torch.cumprod(t.flip(1), 1).flip(1), x)
    case("cumprod", "zero", lambda t: torch.cumprod(t, 1), zeros)

    def recurrence(a, b):
        y = [b[:, 0]]
        for i in range(1, a.shape[1]):
            y.append(b[:, i] + a[:, i] * y[-1])
        return torch.stack(y, 1)
    case("recurrence", "dim", recurrence, normal(2, 5, seed=8), normal(2, 5, seed=9))


def products():
    for variant, a, b in [("matrices", (3, 4), (4, 2)), ("vectors", (4,), (4,)), ("vector matrix", (4,), (4, 3)), ("matrix vector", (3, 4), (4,)),
                          ("batch", (2, 3, 4), (2, 4, 2)), ("broadcast batch", (2, 1, 3, 4), (3, 4, 2)), ("one matrix", (2, 3, 4), (4, 3)),
                          ("square", (3, 3), (3, 3))]:
        case("matmul", variant, torch.matmul, normal(*a, seed=10), normal(*b, seed=11))
    x, w, b = normal(4, 3, seed=12), normal(5, 3, seed=13), normal(5, seed=14)
    case("linear", "bias", F.linear, x, w, b)
    case("linear", "no bias", F.linear, normal(2, 4, 3, seed=15), w)
    case("linear_relu", "bias", lambda *t: F.relu(F.linear(*t)), x, w, b)
    case("linear_sigmoid", "bias", lambda *t: torch.sigmoid(F.linear(*t)), x, w, b)
    case("linear_tanh", "bias", lambda *t: torch.tanh(F.linear(*t)), x, w, b)


def shapes():
    x, cube = normal(3, 4, seed=16), normal(2, 3, 4, seed=17)
    case("reshape", "plain", lambda t: t.reshape(4, 6), cube)
    case("view", "plain", lambda t: t.view(6, 4), cube)
    case("flatten", "middle", lambda t: torch.flatten(t, 1), cube)
    case("transpose", "plain", lambda t: t.transpose(0, 2), cube)
    case("permute", "plain", lambda t: t.permute(2, 0, 1), cube)
    case("expand", "plain", lambda t: t.expand(2, 3, 4), normal(3, 1, seed=18))
    case("squeeze", "plain", lambda t: t.squeeze(1), normal(3, 1, 2, seed=19))
    case("unsqueeze", "plain", lambda t: t.unsqueeze(1), x)
    case("slice", "step", lambda t: t[:, 1:4:2], x)
    case("select", "plain", lambda t: t.select(1, 2), cube)
    case("flip", "plain", lambda t: t.flip(0, 2), cube)
    case("pad", "plain", lambda t: F.pad(t, (2, 0, 1, 3), value=0.5), x)
    case("clone", "plain", torch.clone, x)
    case("cat", "dim 1", lambda *t: torch.cat(t, 1), x, normal(3, 2, seed=20))
    case("stack", "dim 1", lambda *t: torch.stack(t, 1), x, normal(3, 4, seed=21))


def indices():
    x = normal(4, 3, seed=22)
    case("gather", "dim 0", lambda t, i: torch.gather(t, 0, i), x, ints(5, 3, high=4))
    case("gather", "dim 1", lambda t, i: torch.gather(t, 1, i), x, ints(4, 2, high=3))
    case("scatter_add", "dim 0", lambda t, i, s: t.scatter_add(0, i, s), x, ints(5, 3, high=4), normal(5, 3, seed=23))
    case("index_select", "dim 1", lambda t, i: t.index_select(1, i), x, ints(5, high=3))
    case("embedding", "plain", lambda t, i: F.embedding(i, t), x, ints(2, 3, high=4))
    case("embedding", "padding", lambda t, i: F.embedding(i, t, padding_idx=2), x, np.array([2, 0, 3, 2], dtype=np.int64))
    case("index_add", "dim 0", lambda t, i, s: t.index_add(0, i, s), x, ints(5, high=4), normal(5, 3, seed=24))


def softmaxes():
    x, cube = 2 * normal(3, 4, seed=25), normal(2, 3, 4, seed=26)
    for name, f in [("softmax", torch.softmax), ("log_softmax", torch.log_softmax), ("logsumexp", torch.logsumexp)]:
        case(name, "last", lambda t, f=f: f(t, -1), x)
        case(name, "middle", lambda t, f=f: f(t, 1), cube)
    case("softmax", "far", lambda t: torch.softmax(t, -1), 700 + x)
    y = torch.softmax(torch.tensor(x), -1).numpy()
    case("softmax_backward", "last", lambda g, t: torch.ops.aten._softmax_backward_data(g, t, -1, torch.float64), normal(3, 4, seed=27), y)
    case("log_softmax_backward", "last", lambda g, t: torch.ops.aten._log_softmax_backward_data(g, t, -1, torch.float64), normal(3, 4, seed=27),
         np.log(y))


def losses():
    x, target = normal(5, 4, seed=28), ints(5, high=4)
    ignored = target.copy()
    ignored[2] = -100
    for r in ("mean", "sum", "none"):
        case("cross_entropy", r, lambda t, c, r=r: F.cross_entropy(t, c, reduction=r), x, target)
    case("cross_entropy", "smoothing", lambda t, c: F.cross_entropy(t, c, label_smoothing=0.2), x, target)
    case("cross_entropy", "ignored", lambda t, c: F.cross_entropy(t, c), x, ignored)
    case("cross_entropy", "image", lambda t, c: F.cross_entropy(t, c), normal(2, 3, 4, seed=29), ints(2, 4, high=3))
    q = torch.softmax(torch.tensor(normal(5, 4, seed=30)), 1).numpy()
    case("cross_entropy_soft", "mean", lambda t, p: F.cross_entropy(t, p), x, q)
    case("cross_entropy_soft", "smoothing sum", lambda t, p: F.cross_entropy(t, p, label_smoothing=0.1, reduction="sum"), x, q)
    case("nll_loss", "mean", lambda t, c: F.nll_loss(t, c), x, ignored)
    case("nll_loss", "none", lambda t, c: F.nll_loss(t, c, reduction="none"), x, target)
    a, b = normal(3, 5, seed=31), away(3, 5, seed=32)
    case("squared_difference", "mse mean", F.mse_loss, a, b)
    case("squared_difference", "mse sum", lambda u, v: F.mse_loss(u, v, reduction="sum"), a, b)
    case("absolute_difference", "l1 mean", F.l1_loss, a, b)
    case("kl_term", "kl sum", lambda u, v: F.kl_div(u, v, reduction="sum"), np.log(positive(3, 4, seed=33)), positive(3, 4, seed=34))
    case("bce_with_logits", "mean", F.binary_cross_entropy_with_logits, a, positive(3, 5, low=0.05, high=0.95, seed=35))
    case("kl_term", "kl batchmean", lambda u, v: F.kl_div(u, v, reduction="batchmean"), np.log(positive(3, 4, seed=33)), positive(3, 4, seed=34))
    share = positive(3, 5, low=0.3, high=0.7, seed=60)  # torch adds 1e-12 here and there
    case("bce_probability_term", "mean", F.binary_cross_entropy, share, positive(3, 5, low=0.05, high=0.95, seed=35))
    case("huber_term", "huber mean", lambda u, v: F.huber_loss(u, v, delta=0.7), a, b)
    case("huber_term", "smooth l1 sum", lambda u, v: F.smooth_l1_loss(u, v, reduction="sum", beta=1.5), a, b)
    w = torch.tensor(np.round(positive(4, seed=61), 6))
    for name, weighted, c in [("cross_entropy", F.cross_entropy, ignored), ("nll_loss", F.nll_loss, ignored)]:
        for r in ("mean", "sum", "none"):
            case(name, f"weighted {r}", lambda t, c, f=weighted, r=r: f(t, c, weight=w, reduction=r), x, c)
    case("cross_entropy", "weighted smoothing", lambda t, c: F.cross_entropy(t, c, weight=w, label_smoothing=0.2), x, ignored)
    case("cross_entropy_soft_weighted", "smoothing", lambda t, p: F.cross_entropy(t, p, weight=w, label_smoothing=0.1), x, q)


def pools():
    x = np.round(fresh(40).permutation(84).reshape(1, 2, 6, 7) * 0.1 - 4, 6)
    for variant, options in [("2x2", dict(kernel_size=2)), ("3x3", dict(kernel_size=3, stride=2, padding=1)),
                             ("dilated", dict(kernel_size=(2, 3), stride=1, padding=(1, 0), dilation=(2, 1))),
                             ("ceil", dict(kernel_size=3, stride=2, ceil_mode=True))]:
        case("max_pool2d", variant, lambda t, o=options: F.max_pool2d(t, **o), x)
    for variant, options in [("2x2", dict(kernel_size=2)), ("3x3", dict(kernel_size=3, stride=2, padding=1)),
                             ("no padding", dict(kernel_size=3, stride=2, padding=1, count_include_pad=False)),
                             ("ceil", dict(kernel_size=(3, 2), stride=2, padding=(1, 1), ceil_mode=True))]:
        case("avg_pool2d", variant, lambda t, o=options: F.avg_pool2d(t, **o), normal(1, 2, 6, 7, seed=41))


def norms():
    for variant, shape in [("matrix", (5, 3)), ("maps", (2, 3, 2, 3))]:
        x, w, b = normal(*shape, seed=42), positive(3, seed=43), normal(3, seed=44)
        mean, variance = np.array([0.25, -0.5, 1.5]), np.array([0.5, 1.25, 2.0])
        case("batch_norm", variant, lambda t, u, v: F.batch_norm(t, None, None, u, v, True, eps=1e-3), x, w, b)
        case("batch_norm_inference", variant, lambda t, u, v, m=mean, s=variance: F.batch_norm(
            t, torch.tensor(m), torch.tensor(s), u, v, False, eps=1e-3), x, w, b)
    x, w, b = normal(2, 3, 4, seed=62), positive(3, 4, seed=63), normal(3, 4, seed=64)
    case("layer_norm", "two dims", lambda t, u, v: F.layer_norm(t, (3, 4), u, v, 1e-3), x, w, b)
    case("layer_norm", "plain", lambda t: F.layer_norm(t, (4,)), x)
    for variant, shape in [("matrix", (3, 6)), ("maps", (2, 6, 3, 2)), ("runs", (2, 6, 17))]:
        case("group_norm", variant, lambda t, u, v: F.group_norm(t, 3, u, v, 1e-3), normal(*shape, seed=65), positive(6, seed=66), normal(6, seed=67))
    case("batch_norm", "plain", lambda t: F.batch_norm(t, None, None, None, None, True), normal(4, 2, 3, seed=47))


def convolutions():
    for variant, x, w, options in CONVOLUTIONS:
        b = normal(w[0], seed=52)
        case("conv2d", variant, lambda t, u, v, o=options: F.conv2d(t, u, v, **o), normal(*x, seed=50), normal(*w, seed=51), b)
        signs = np.where(np.arange(w[0]) % 2 == 0, 1.0, -1.0)  # so that no output is near the kink
        case("conv2d_relu", variant, lambda t, u, v, o=options: F.relu(F.conv2d(t, u, v, **o)), positive(*x, low=0.5, high=1.5, seed=53),
             positive(*w, low=0.3, high=1.0, seed=54) * signs.reshape(-1, 1, 1, 1), 0.1 * signs)
        y = F.conv2d(torch.zeros(x), torch.zeros(w), **options).shape
        stride, padding, dilation = (options.get(k, d) for k, d in (("stride", (1, 1)), ("padding", (0, 0)), ("dilation", (1, 1))))
        left = [x[2 + i] - ((y[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (w[2 + i] - 1) + 1) for i in (0, 1)]
        case("conv2d_input_gradient", variant, lambda g, u, s=stride, p=padding, d=dilation, o=left, n=options.get("groups", 1):
             F.conv_transpose2d(g, u, None, s, p, o, n, d), normal(*y, seed=55), normal(*w, seed=56))
        if "groups" not in options:
            case("conv2d_weight_gradient", variant, lambda g, t, k=w, s=stride, p=padding, d=dilation: torch.einsum(
                "nol,nkl->ok", g.flatten(2), F.unfold(t, k[2:], d, p, s)).reshape(k), normal(*y, seed=57), normal(*x, seed=58))


CONVOLUTIONS = [("plain", (2, 2, 4, 5), (3, 2, 3, 2), {}),
                ("options", (1, 2, 7, 6), (2, 2, 3, 2), dict(stride=(3, 2), padding=(2, 1), dilation=(1, 3))),
                ("groups", (2, 4, 3, 3), (6, 2, 2, 2), dict(stride=(1, 2), padding=(1, 0), groups=2)),
                ("depthwise", (1, 3, 4, 5), (3, 1, 3, 3), dict(padding=(1, 1), groups=3))]


def line(key, value):
    t = value.detach() if isinstance(value, torch.Tensor) else torch.tensor(value)
    shape = ",".join(str(d) for d in t.shape)
    if t._is_zerotensor():  # torch's zeros without memory
        t = torch.zeros(t.shape, dtype=t.dtype)
    numbers = (repr(v) for v in t.reshape(-1).tolist())
    return f"{key} {'i64' if t.dtype == torch.int64 else 'f64'} [{shape}] {' '.join(numbers)}".rstrip() + "\n"


def noise(shape, seed):
    """+-[0.5, 1.5) with few digits, so that every term of a sum counts."""
    u = fresh(seed).uniform(-1, 1, tuple(shape))
    return torch.tensor(np.round(np.where(u < 0, u - 0.5, u + 0.5), 3))


def record(op, variant, f, inputs):
    # Few digits in, so that the file is small; all digits out.
    x = [torch.tensor(v if v.dtype == np.int64 else np.round(v, 6)) for v in inputs]
    leaves = [t.requires_grad_() for t in x if t.dtype == torch.float64]
    y = f(*x)
    seed = noise(y.shape, 101)
    grads = torch.autograd.grad(y, leaves, seed, create_graph=True)
    along = [noise(t.shape, 102 + i) for i, t in enumerate(leaves)]
    inner = sum((g * v).sum() for g, v in zip(grads, along))
    second = [None] * len(leaves)
    if inner.requires_grad:
        second = torch.autograd.grad(inner, leaves, allow_unused=True)
    text = f"case {op} {variant}\n" + "".join(line("in", t) for t in x) + line("seed", seed) + line("out", y)
    text += "".join(line("grad", g) for g in grads) + "".join(line("along", v) for v in along)
    return text + "".join(line("second", torch.zeros_like(t) if s is None else s) for s, t in zip(second, leaves))


def main():
    for family in (pointwise, reductions, products, shapes, indices, softmaxes, losses, pools, norms, convolutions):
        family()
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write(f"# tools/make_golden.py, torch {torch.__version__}\n")
        for c in CASES:
            out.write(record(*c))
    print(f"{len(CASES)} cases of {len({c[0] for c in CASES})} operators")


if __name__ == "__main__":
    main()
