import datetime
import io

from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

book = Workbook()
sheet = book.active
sheet.title = "Sales"
sheet.append(["month", "units", "price", "total"])
for month in range(1, 13):
    row = month + 1
    sheet.append([datetime.date(2026, month, 1), month * 10, 2.5, f"=B{row}*C{row}"])
for cell in sheet[1]:
    cell.font = Font(bold=True)
sheet.freeze_panes = "A2"
sheet.merge_cells("F1:G2")
sheet["F1"] = "überblick"
chart = BarChart()
chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=13), titles_from_data=True)
sheet.add_chart(chart, "F4")
big = book.create_sheet("Big")
for n in range(1000):
    big.append([n, n * n, str(n)])
stream = io.BytesIO()
book.save(stream)

stream.seek(0)
copy = load_workbook(stream)
assert copy.sheetnames == ["Sales", "Big"]
sheet = copy["Sales"]
assert sheet.max_row == 13
assert sheet["A13"].value == datetime.datetime(2026, 12, 1)
assert sheet["D3"].value == "=B3*C3"
assert sheet["A1"].font.bold
assert not sheet["A2"].font.bold
assert (sheet["F1"].value, str(sheet.merged_cells)) == ("überblick", "F1:G2")
assert sum(cell.value for cell in sheet["B"][1:]) == 780
assert get_column_letter(703) == "AAA"
assert len(sheet._charts) == 1

stream.seek(0)
rows = load_workbook(stream, read_only=True)["Big"].iter_rows(values_only=True)
assert list(rows)[-1] == (999, 998001, "999")

# A file on the disk of the sandbox, written row by row.
book = Workbook(write_only=True)
sheet = book.create_sheet()
for n in range(500):
    sheet.append([n])
book.save("/tmp/rows.xlsx")
assert load_workbook("/tmp/rows.xlsx").active["A500"].value == 499
