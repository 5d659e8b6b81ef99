import io

from flask import (
    Blueprint,
    Flask,
    abort,
    flash,
    jsonify,
    redirect,
    render_template_string,
    request,
    session,
    stream_with_context,
    url_for,
)
from flask.sessions import SecureCookieSessionInterface
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__)
app.secret_key = "a key for signatures"
users = {"ada": generate_password_hash("lovelace")}
api = Blueprint("api", __name__, url_prefix="/api")


@app.get("/")
def home():
    return render_template_string("<p>{{ session.get('user', 'guest') }}</p>")


@app.post("/login")
def login():
    name = request.form["name"]
    if not check_password_hash(users.get(name, ""), request.form["password"]):
        abort(403)
    session["user"] = name
    flash("welcome")
    return redirect(url_for("home"))


@api.route("/items/<int:number>", methods=["GET", "PUT"])
def item(number):
    if request.method == "PUT":
        return jsonify(stored=request.get_json()["value"], number=number), 201
    return {"number": number, "query": request.args.getlist("tag")}


@app.post("/upload")
def upload():
    file = request.files["file"]
    return {"name": file.filename, "size": len(file.read())}


@app.get("/rows")
def rows():
    return app.response_class(stream_with_context(f"{n}\n" for n in range(1000)))


@app.errorhandler(404)
def missing(_error):
    return {"error": request.path}, 404


@app.cli.command()
def count():
    print(len(users))


app.register_blueprint(api)

client = app.test_client()
assert client.get("/").text == "<p>guest</p>"
assert client.post("/login", data={"name": "ada", "password": "byron"}).status_code == 403
answer = client.post("/login", data={"name": "ada", "password": "lovelace"}, follow_redirects=True)
assert (answer.text, answer.request.path) == ("<p>ada</p>", "/")
with client.session_transaction() as cookie:
    assert cookie["_flashes"] == [("message", "welcome")]
assert client.get("/api/items/7?tag=a&tag=b").json == {"number": 7, "query": ["a", "b"]}
answer = client.put("/api/items/7", json={"value": "é"})
assert (answer.status_code, answer.json) == (201, {"stored": "é", "number": 7})
assert client.get("/api/items/seven").json == {"error": "/api/items/seven"}
assert client.post("/api/items/7").status_code == 405
answer = client.post("/upload", data={"file": (io.BytesIO(b"x" * 100_000), "x.bin")})
assert answer.json == {"name": "x.bin", "size": 100_000}
assert client.get("/rows").text.count("\n") == 1000
signer = SecureCookieSessionInterface().get_signing_serializer(app)
assert signer.loads(client.get_cookie("session").value)["user"] == "ada"
# A forged cookie is no session.
client.set_cookie("session", signer.dumps({"user": "eve"})[:-2] + "xx")
assert client.get("/").text == "<p>guest</p>"
assert app.test_cli_runner().invoke(args=["count"]).output == "1\n"
