"""Reads a table, and writes a report, a database, an archive and a link."""

import csv
import os
import sqlite3
import tempfile
import zipfile

with open("/data/in.csv", newline="") as file:
    people = list(csv.DictReader(file))
ages = [int(person["age"]) for person in people]
with open("report.txt", "w") as file:
    file.write(f"mean: {sum(ages) / len(ages)}\n")
database = sqlite3.connect("people.db")
database.execute("create table people (name text, age integer)")
database.executemany("insert into people values (:name, :age)", people)
database.commit()
(total,) = database.execute("select sum(age) from people").fetchone()
database.close()
with tempfile.NamedTemporaryFile(suffix=".zip") as temporary:
    with zipfile.ZipFile(temporary, "w") as archive:
        archive.write("report.txt")
    temporary.seek(0)
    with open("out.zip", "wb") as file:
        file.write(temporary.read())
with open("/data/in.csv", "a") as file:
    file.write("Linus,55\n")
os.symlink("/etc/passwd", "/work/link")
print(total, len(people))
