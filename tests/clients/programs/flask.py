from flask import Flask, jsonify, render_template_string, request, session
from markupsafe import _speedups

assert _speedups.__file__.endswith(".so")
app = Flask(__name__)
app.secret_key = "a key for signatures"


@app.post("/login")
def login():
    session["user"] = request.form["name"]
    return render_template_string("<p>{{ name }}</p>", name=session["user"])


@app.get("/items/<int:number>")
def item(number):
    return jsonify(number=number, user=session.get("user"))


client = app.test_client()
assert client.get("/items/7").json == {"number": 7, "user": None}
assert client.post("/login", data={"name": "<ada>"}).text == "<p>&lt;ada&gt;</p>"
assert client.get("/items/7").json == {"number": 7, "user": "<ada>"}
assert client.get("/items/seven").status_code == 404
