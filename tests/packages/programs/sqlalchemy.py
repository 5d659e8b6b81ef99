import datetime

from sqlalchemy import ForeignKey, String, create_engine, event, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    books: Mapped[list["Book"]] = relationship(
        back_populates="author", cascade="all, delete-orphan", order_by="Book.published"
    )


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    published: Mapped[datetime.date]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


# A database in a file of the sandbox, so that a second engine sees what the first commits.
engine = create_engine("sqlite:////tmp/library.db")


@event.listens_for(engine, "connect")
def check_foreign_keys(connection, _record):
    connection.execute("PRAGMA foreign_keys = ON")


Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all(
        Author(
            name=name,
            books=[
                Book(title=f"{name} {n}", published=datetime.date(year, 1, n + 1))
                for n in range(count)
            ],
        )
        for name, year, count in (("Ada", 1843, 3), ("Grace", 1952, 2), ("Émilie", 1740, 0))
    )
    session.commit()

with Session(create_engine("sqlite:////tmp/library.db")) as session:
    counts = session.execute(
        select(Author.name, func.count(Book.id))
        .outerjoin(Book)
        .group_by(Author.name)
        .order_by(func.count(Book.id).desc())
    ).all()
    assert counts == [("Ada", 3), ("Grace", 2), ("Émilie", 0)]
    ada = session.scalars(
        select(Author).options(selectinload(Author.books)).where(Author.name.like("A%"))
    ).one()
    assert [book.published.day for book in ada.books] == [1, 2, 3]
    ada.books.pop()
    session.commit()
    assert session.scalar(select(func.count()).select_from(Book)) == 4

with Session(engine) as session:
    session.add(Author(name="Ada"))
    try:
        session.commit()
    except IntegrityError as error:
        assert "UNIQUE constraint failed: author.name" in str(error)
    else:
        raise AssertionError("two authors have a unique name")
    session.rollback()
    try:
        with session.begin_nested():
            session.execute(text("UPDATE book SET title = 'lost'"))
            raise KeyError
    except KeyError:
        pass
    assert not session.scalars(select(Book).where(Book.title == "lost")).all()

with engine.connect() as connection:
    version = connection.scalar(text("SELECT sqlite_version()"))
    assert tuple(map(int, version.split("."))) >= (3, 35)
    # INSERT … RETURNING, and many rows at a time.
    rows = [
        {"title": f"b{n}", "published": datetime.date(2000, 1, 1), "author_id": 1}
        for n in range(2000)
    ]
    inserted = connection.execute(Book.__table__.insert().returning(Book.id), rows).all()
    assert len({row.id for row in inserted}) == 2000
