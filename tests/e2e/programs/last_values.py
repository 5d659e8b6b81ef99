"""Programs whose value is their last expression: it is the same, with the same errors and places,
whether the expression is compiled apart or with the rest."""

from eryx_guest import last_value

PROGRAMS = [
    'if 0: a = """\n"""; 7',
    "if (1): x = [\n1\n]; 5",
    "for i in [1, 2, 3]: x = [\n]; i",
    "x = []\nif 0: a = [\n]; x[0]",
    'def f(): y = """\n"""; y',
    "; 5",
    "x = 1;; x",
    "x = 1; ; x",
    "x = 1; *5, 3",
    "x = 1\ny = 2; x + y",
    "import builtins\nbuiltins.eval\n5",
    "x",
    "x;",
    "1",
    "print(1); 1",
    "x=5; x",
    "x=5\nx",
    "if 1: x; 2",
    "x; ) + (",
    "x; a) + (b",
    "x=1 # a; 3",
    "'a; b'",
    "x=2; x; ",
    "def f():\n  return 3\nf()",
    "x=[\n1,\n2]",
    "f'''\n1\n'''\n",
    "s='''\n5\n'''",
    "x=1\\\n\n2",
    "a = 1 + \\\n2",
    "1; a:=2",
    "1; (a:=2)",
    "1; *[1,2],",
    "*[1,2],",
    "1,2",
    "1; 1,2",
    "x for x in [1]",
    "1; x for x in [1]",
    "(1).y",
    "x=1\n\nx.missing()",
    "x=1; x.missing()",
    "  x",
    "if 1:\n  5\n6",
    "if 1:\n  5\nelse: 6",
    "@f\nx",
    "class A: pass\nA",
    "1\n# c",
    "1 # c",
    "\n\n7\n\n",
    "'doc'",
    "'doc'\n__doc__",
    "x: int = 3\nx",
    "import os; os.sep",
    "lambda: 1",
    "1; lambda: 1",
    "{'a':1}['a']",
    "1;{'a':1}",
    "x=1;y=2",
    "try:\n  1/0\nexcept ZeroDivisionError: 8\n9",
    "try:\n 1\n9",
    "for i in range(3): i\ni",
    "print('é'); 'é'",
    "é=1\né.q",
    "x = 4;\tx",
    "yield 1",
    "return",
    "1; return",
    "0x",
    "1; 0or 1",
    "a=1;b=2;a+b",
    "x=1; x ; ",
    "(1\n)",
    "f(1)\n)",
    "1;\\\n2",
    "match 1:\n case 1: pass\n5",
    "global q; 3",
    "type X = int\nX",
    "nonlocal x",
    "1\f",
    "x\r\ny",
    "1; not 1",
    "1; ()",
    "1; []",
    "1;'a)'",
    "1;'(a'",
]


def positions(error):
    found = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == "program":
            found.append(list(code.co_positions())[trace.tb_lasti // 2])
        trace = trace.tb_next
    return found


def outcome(compile_program, program):
    namespace = {"__name__": "program"}
    try:
        code, last = compile_program(program.encode(), "program")
        exec(code, namespace)
        if last is not None:
            namespace[".value"] = eval(last, namespace)
    except BaseException as error:
        return repr(error), positions(error), getattr(error, "offset", None)
    value = repr(namespace.get(".value", "no value")).split(" at ")[0]
    return value, namespace.get("__doc__")


def compile_together(source, name):
    return last_value._compile_together(source, name), None


count = 0
for program in PROGRAMS:
    apart = outcome(last_value.compile_program, program)
    together = outcome(compile_together, program)
    assert apart == together, (program, apart, together)
    count += last_value._compile_apart(program.encode(), "program") is not None
print(count, "of", len(PROGRAMS))
