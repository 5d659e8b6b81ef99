from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    computed_field,
    field_validator,
)


class Line(BaseModel):
    product: str = Field(min_length=1)
    count: Annotated[int, Field(gt=0)]
    price: Decimal

    @computed_field
    @property
    def total(self) -> Decimal:
        return self.count * self.price


class Order(BaseModel):
    id: UUID
    state: Literal["open", "paid"] = "open"
    ordered: datetime
    lines: list[Line]
    tags: set[str] = set()

    @field_validator("tags")
    @classmethod
    def lower(cls, tags: set[str]) -> set[str]:
        return {tag.lower() for tag in tags}


TEXT = """{"id": "0d4b5c1e-7a3f-4a51-9f11-0123456789ab", "ordered": "2026-12-01T08:00:00Z",
"lines": [{"product": "tea", "count": "3", "price": "4.50"}], "tags": ["A", "b"]}"""
order = Order.model_validate_json(TEXT)
assert order.lines[0].total == Decimal("13.50") and order.tags == {"a", "b"}
assert Order.model_validate(order.model_dump()) == order
assert '"total":"13.50"' in order.model_dump_json()
schema = Order.model_json_schema()
assert schema["properties"]["lines"]["items"] == {"$ref": "#/$defs/Line"}
try:
    Order.model_validate({"id": "x", "ordered": 1, "lines": [{"product": "", "count": 0}]})
except ValidationError as error:
    found = {(entry["loc"], entry["type"]) for entry in error.errors()}
    assert (("lines", 0, "count"), "greater_than") in found, found
    assert (("lines", 0, "price"), "missing") in found, found
    assert error.error_count() == 4
else:
    raise AssertionError("it is valid")
assert TypeAdapter(dict[int, list[float]]).validate_python({"1": ["2.5"]}) == {1: [2.5]}


class Tree(BaseModel):
    children: list["Tree"] = []


nested: dict[str, object] = {}
for _ in range(5000):
    nested = {"children": [nested]}
try:
    Tree.model_validate(nested)
except (ValidationError, RecursionError):
    pass
else:
    raise AssertionError("it has no limit")
