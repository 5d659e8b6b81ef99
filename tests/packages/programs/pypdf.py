import io

from pypdf import PdfReader, PdfWriter
from pypdf.errors import PdfReadError
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def page_with(writer, text):
    """Add a page with a line of text in Helvetica."""
    page = writer.add_blank_page(300, 200)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(content.flate_encode())
    return page


def read(writer, **options):
    stream = io.BytesIO()
    writer.write(stream)
    return PdfReader(stream, **options)


writer = PdfWriter()
for n in range(5):
    page_with(writer, f"Page {n} of the report")
writer.add_metadata({"/Title": "Report é", "/Author": "Ada"})
writer.add_outline_item(title="Start", page_number=0)
report = read(writer)
assert len(report.pages) == 5
assert report.pages[3].extract_text() == "Page 3 of the report"
assert (report.metadata.title, report.metadata.author) == ("Report é", "Ada")
assert [item.title for item in report.outline] == ["Start"]

# Pages are taken out, turned, and put into another order.
excerpt = PdfWriter()
for n in (4, 0):
    excerpt.add_page(report.pages[n]).rotate(90)
excerpt.append(report, pages=(1, 3))
copy = read(excerpt)
assert [page.extract_text()[5] for page in copy.pages] == ["4", "0", "1", "2"]
assert [page.rotation for page in copy.pages] == [90, 90, 0, 0]

# RC4 is pypdf's own where there is no cryptography package.
excerpt.encrypt("user", "owner", algorithm="RC4-128")
locked = read(excerpt)
assert locked.is_encrypted
assert locked.decrypt("wrong") == 0
assert locked.decrypt("user") == 1
assert locked.pages[0].extract_text() == "Page 4 of the report"
try:
    PdfReader(io.BytesIO(b"no PDF"), strict=True)
except PdfReadError:
    pass
else:
    raise AssertionError("a text was read as a PDF")
