from sympy import (
    Eq,
    Function,
    Matrix,
    Rational,
    Symbol,
    cos,
    diff,
    dsolve,
    exp,
    factor,
    factorint,
    integrate,
    isprime,
    lambdify,
    latex,
    limit,
    oo,
    pi,
    series,
    simplify,
    sin,
    solve,
    sqrt,
    symbols,
    sympify,
)

x, y = symbols("x y")
assert diff(sin(x) * exp(x), x) == exp(x) * sin(x) + exp(x) * cos(x)
assert integrate(exp(-(x**2)), (x, -oo, oo)) == sqrt(pi)
assert limit(sin(x) / x, x, 0) == 1
assert series(cos(x), x, 0, 6).removeO() == 1 - x**2 / 2 + x**4 / 24
assert factor(x**3 - y**3) == (x - y) * (x**2 + x * y + y**2)
assert simplify(sin(x) ** 2 + cos(x) ** 2) == 1
assert solve([Eq(2 * x + y, 5), Eq(x - y, 1)], [x, y]) == {x: 2, y: 1}
assert set(solve(x**4 - 1, x)) == {1, -1, sympify("I"), -sympify("I")}
f = Function("f")
assert dsolve(f(x).diff(x, 2) + f(x), f(x)).rhs == Symbol("C1") * sin(x) + Symbol("C2") * cos(x)
matrix = Matrix([[2, 1], [1, 2]])
assert matrix.eigenvals() == {3: 1, 1: 1}
assert matrix.inv() == Matrix(
    [[Rational(2, 3), Rational(-1, 3)], [Rational(-1, 3), Rational(2, 3)]]
)
# mpmath has as many digits as one asks for.
assert str(pi.evalf(60)).endswith("939937510582097494")
assert factorint(2**64 + 1) == {274177: 1, 67280421310721: 1}
assert isprime(2**127 - 1)
assert latex(sqrt(x) / 2) == r"\frac{\sqrt{x}}{2}"
assert lambdify(x, x**2 + 1, "math")(3) == 10
