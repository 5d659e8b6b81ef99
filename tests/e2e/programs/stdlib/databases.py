"""SQLite databases on files: the connections of one program lock each other out as on Linux."""

import os
import sqlite3

os.chdir("/tmp")


def error_of(connection, statement):
    """Returns the text of the error that a statement fails with."""
    try:
        connection.execute(statement)
    except sqlite3.OperationalError as error:
        return str(error)
    return "no error"


first = sqlite3.connect("a.db", timeout=0)
second = sqlite3.connect("a.db", timeout=0)
first.execute("create table numbers (value integer)")
first.execute("insert into numbers values (1)")
first.commit()

# A writer leaves readers their view until it commits, and locks out other writers.
first.execute("insert into numbers values (2)")
assert second.execute("select * from numbers").fetchall() == [(1,)]
assert error_of(second, "insert into numbers values (3)") == "database is locked"
first.commit()
assert second.execute("select * from numbers").fetchall() == [(1,), (2,)]
second.execute("insert into numbers values (3)")
second.commit()
assert first.execute("select count(*) from numbers").fetchone() == (3,)

# A reader keeps a writer from its commit.
rows = second.execute("select * from numbers")
assert rows.fetchone() == (1,)
first.execute("insert into numbers values (4)")
try:
    first.commit()
except sqlite3.OperationalError as error:
    assert str(error) == "database is locked"
else:
    raise AssertionError
rows.close()
first.commit()

# A transaction that was not ended is rolled back by the next connection.
first.execute("pragma cache_size = 1")
first.execute("create table texts (value text)")
first.commit()
first.execute("update numbers set value = -1")
first.executemany("insert into texts values (?)", [("x" * 5000,)] * 50)
for name in ("a.db", "a.db-journal"):
    with open(name, "rb") as source, open("copy" + name[1:], "wb") as target:
        target.write(source.read())
assert os.stat("copy.db-journal").st_size > 0
recovered = sqlite3.connect("copy.db")
assert recovered.execute("select value from numbers").fetchall() == [(1,), (2,), (3,), (4,)]
assert recovered.execute("pragma integrity_check").fetchone() == ("ok",)
assert not os.path.exists("copy.db-journal")
first.rollback()
assert sorted(name for name in os.listdir(".") if name.startswith("a.db")) == ["a.db"]

# Databases in memory, and temporary ones.
for name in ("", ":memory:", "file:shared?mode=memory"):
    with sqlite3.connect(name, uri=True) as connection:
        connection.execute("create table a (b)")

print("ok")
