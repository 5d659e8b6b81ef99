import ssl

import pg8000.dbapi

connection = pg8000.dbapi.connect(
    "eryx",
    HOST,
    "postgres",
    PORT,
    "secret",
    timeout=20,
    ssl_context=ssl.create_default_context() if TLS else False,
)
cursor = connection.cursor()
cursor.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
assert cursor.fetchone()[0] is TLS
# The snapshot is taken here.
cursor.execute("create temporary table items (id serial primary key, name text, data bytea)")
cursor.executemany(
    "insert into items (name, data) values (%s, %s)",
    [(f"é{n}", bytes([n]) * 10) for n in range(50)],
)
connection.commit()
cursor.execute("select id, name, data from items order by id")
rows = cursor.fetchall()
assert len(rows) == 50
assert list(rows[3]) == [4, "é3", b"\3" * 10], rows[3]
cursor.execute("insert into items (name) values ('gone')")
connection.rollback()
cursor.execute("select count(*), length(repeat('x', 1000000)) from items")
assert list(cursor.fetchone()) == [50, 1_000_000]
try:
    cursor.execute("select 1/0")
except pg8000.dbapi.DatabaseError as error:
    assert error.args[0]["C"] == "22012", error
else:
    raise AssertionError("divided by zero")
connection.close()
