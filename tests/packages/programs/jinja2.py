import asyncio

import markupsafe
from jinja2 import (
    DictLoader,
    Environment,
    StrictUndefined,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

# MarkupSafe is built without its native code.
assert markupsafe._escape_inner.__module__ == "markupsafe._native"

environment = Environment(
    loader=DictLoader(
        {
            "base.html": (
                "<title>{% block title %}Shop{% endblock %}</title>{% block body %}{% endblock %}"
            ),
            "macros.html": "{% macro price(value) %}{{ '%.2f' | format(value) }} €{% endmacro %}",
            "cart.html": (
                "{% extends 'base.html' %}{% from 'macros.html' import price %}"
                "{% block title %}{{ super() }}: cart{% endblock %}"
                "{% block body %}{% for item in items | sort(attribute='name') %}"
                "{{ loop.index }}. {{ item.name }} {{ price(item.price) }}"
                "{% if not loop.last %}, {% endif %}{% else %}empty{% endfor %}{% endblock %}"
            ),
        }
    ),
    autoescape=True,
    undefined=StrictUndefined,
)
cart = environment.get_template("cart.html")
items = [{"name": "Tea & milk", "price": 3.5}, {"name": "<b>Cake</b>", "price": 4}]
assert cart.render(items=items) == (
    "<title>Shop: cart</title>1. &lt;b&gt;Cake&lt;/b&gt; 4.00 €, 2. Tea &amp; milk 3.50 €"
)
assert cart.render(items=[]).endswith("empty")

environment.filters["shout"] = lambda text: text.upper() + "!"
template = environment.from_string(
    "{{ name | shout }} {{ numbers | sum }} {{ numbers | batch(2) | list }}"
)
assert template.render(name="hi", numbers=[1, 2, 3]) == "HI! 6 [[1, 2], [3]]"

for source, exception in (("{{ missing }}", UndefinedError), ("{% for %}", TemplateSyntaxError)):
    try:
        environment.from_string(source).render()
    except exception:
        pass
    else:
        raise AssertionError(f"{source} was rendered")
try:
    ImmutableSandboxedEnvironment().from_string("{{ ''.__class__.__mro__ }}").render()
except SecurityError:
    pass
else:
    raise AssertionError("a sandboxed template has read __class__")


async def render():
    async def rows():
        for n in range(3):
            await asyncio.sleep(0)
            yield n

    template = Environment(enable_async=True).from_string(
        "{% for n in rows() %}{{ n }}{% endfor %}"
    )
    return await template.render_async(rows=rows)


assert asyncio.run(render()) == "012"
