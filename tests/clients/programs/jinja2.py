import jinja2
from markupsafe import _speedups, escape

assert escape("<a>") == "&lt;a&gt;" and _speedups.__file__.endswith(".so")
template = jinja2.Environment(autoescape=True).from_string("{% for x in xs %}{{ x }};{% endfor %}")
assert template.render(xs=["<", 2]) == "&lt;;2;"
