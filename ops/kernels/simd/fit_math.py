#!/usr/bin/env python3
"""Prints the polynomial coefficients used in math.inl (needs mpmath). Each is a Chebyshev fit of the remainder of a
function after its leading terms, on the range the argument reduction leaves; the error shown is that of the remainder."""
import mpmath as mp

mp.mp.dps = 120


def fit(name, f, lo, hi, terms, as_float):
    coefficients, error = mp.chebyfit(f, [mp.mpf(lo), mp.mpf(hi)], terms, error=True)
    digits = 9 if as_float else 17
    print(f"// {name}: {terms} terms, error {mp.nstr(error, 3)}")
    print(", ".join(mp.nstr(c, digits) for c in reversed(coefficients)))  # lowest power first


HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.001")
Z_LOG = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2 * mp.mpf("1.001")
Z_TANH = mp.mpf("0.391")
Z_TRIG = (mp.pi / 4) ** 2 * mp.mpf("1.001")
Z_ATAN = mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.001")


def series(g):
    """g(z) near 0 is taken a little off, where the closed form still has 30 good digits."""
    return lambda z: g(z if abs(z) > mp.mpf("1e-40") else mp.mpf("1e-40"))


def root(z):
    return mp.sqrt(z)


EXP = series(lambda r: (mp.expm1(r) - r) / r**2)
LOG = series(lambda z: ((mp.log(1 + root(z)) - mp.log(1 - root(z))) - 2 * root(z)) / (root(z) * z))
TANH = series(lambda z: (mp.tanh(root(z)) - root(z)) / (root(z) * z))
ERF = series(lambda z: mp.erf(root(z)) / root(z) - 1)
SIN = series(lambda z: (mp.sin(root(z)) - root(z)) / (root(z) * z))
COS = series(lambda z: (mp.cos(root(z)) - 1 + z / 2) / z**2)
ATAN = series(lambda z: (mp.atan(root(z)) - root(z)) / (root(z) * z))
LOG5 = series(lambda z: ((mp.log(1 + root(z)) - mp.log(1 - root(z))) - 2 * root(z) - 2 * root(z) * z / 3) / (root(z) * z**2))


def erfcx(middle):
    """exp(x^2) erfc(x) / t with t = m / (m + x), as a function of q = (x - m) / (x + m) = 1 - 2 t; m is 2 or 3."""
    def of(q):
        t = (1 - q) / 2
        x = middle / t - middle
        return mp.exp(x * x) * mp.erfc(x) / t
    return of


for as_float, terms in ((True, dict(exp=6, log=4, tanh=6, erf=7, erfc=10)),
                        (False, dict(exp=11, log=8, tanh=12, erf=12, erfc=24))):
    print("// ---- float" if as_float else "// ---- double")
    fit("exp", EXP, -HALF_LN2, HALF_LN2, terms["exp"], as_float)
    fit("log", LOG, 0, Z_LOG, terms["log"], as_float)
    fit("tanh", TANH, 0, Z_TANH, terms["tanh"], as_float)
    fit("erf", ERF, 0, 1, terms["erf"], as_float)
    top, middle = (mp.mpf("10.2"), 3) if as_float else (mp.mpf("27.4"), 2)
    fit("erfc", erfcx(middle), -1 if as_float else -mp.mpf("0.601"), (top - middle) / (top + middle), terms["erfc"], as_float)
fit("sin", SIN, 0, Z_TRIG, 6, False)
fit("cos", COS, 0, Z_TRIG, 6, False)
fit("atan", ATAN, 0, Z_ATAN, 12, False)
fit("log5", LOG5, 0, Z_LOG, 8, False)
