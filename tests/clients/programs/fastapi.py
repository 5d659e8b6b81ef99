from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float


def user(token: str = "") -> str:
    if not token:
        raise HTTPException(401, "no token")
    return token


@app.post("/items")
async def create(item: Item, owner: Annotated[str, Depends(user)]) -> dict[str, str]:
    return {"owner": owner, "label": f"{item.name}: {item.price:.2f}"}


@app.get("/square/{number}")
def square(number: int) -> int:
    return number * number


with TestClient(app) as client:
    answer = client.post("/items?token=me", json={"name": "tea", "price": "4.5"})
    assert answer.json() == {"owner": "me", "label": "tea: 4.50"}, answer.text
    assert client.post("/items", json={"name": "tea", "price": 1}).status_code == 401
    assert client.post("/items?token=me", json={"name": "tea"}).status_code == 422
    assert client.get("/square/12").json() == 144
    assert "/square/{number}" in client.get("/openapi.json").json()["paths"]
