import ssl

import pymysql

connection = pymysql.connect(
    host=HOST,
    port=PORT,
    user="eryx",
    password="secret",
    ssl=ssl.create_default_context() if TLS else None,
    ssl_disabled=not TLS,
    read_timeout=20,
)
with connection, connection.cursor() as cursor:
    cursor.execute("select 1")
    assert cursor.fetchone()[0] == 1
    # The snapshot is taken here.
    cursor.execute("drop table if exists items")
    cursor.execute("create table items (id integer, name text)")
    cursor.executemany("insert into items values (%s, %s)", [(n, f"é{n}") for n in range(50)])
    cursor.execute("select id, name from items where id >= %s order by id", (48,))
    assert [tuple(row) for row in cursor.fetchall()] == [(48, "é48"), (49, "é49")]
    cursor.execute("select name from items where id = 1 union all select %s", ("x" * 200_000,))
    assert [len(row[0]) for row in cursor.fetchall()] == [2, 200_000]
    try:
        cursor.execute("select id from nowhere")
    except pymysql.MySQLError as error:
        assert "nowhere" in str(error), error
    else:
        raise AssertionError("selected from nowhere")
