"""Label files as people and other tools write them: each is read rightly, or an error names the line and the cure."""

import unicodedata

import pytest
from PIL import Image

from ocrlib.data.labels import read_labels
from ocrlib.data.own_images import load_folder


@pytest.fixture
def folder(tmp_path):
    """A folder ``im`` with a.png and b.png, and room for a label file beside it."""
    (tmp_path / "im").mkdir()
    for name in ("a.png", "b.png"):
        drawn(tmp_path / "im" / name)
    return tmp_path / "im"


def drawn(path, ink=20):
    """A picture with something in it: a dark bar on a light ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (100, 40), 220)
    image.paste(ink, (20, 5, 25, 35))
    image.save(path)


def read(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(line.file, line.text) for line in read_labels(path, **options)]


AB = [("a.png", "AB"), ("b.png", "CD")]
WRITTEN = {
    "file and text": ("file,text\na.png,AB\nb.png,CD\n", AB),
    "filename and words, as EasyOCR": ("filename,words\na.png,AB\nb.png,CD\n", AB),
    "EasyOCR's commas": ('filename,words\na.png,1,234\nb.png,"5,6"\n', [("a.png", "1,234"), ("b.png", "5,6")]),
    "EasyOCR's quote": ('filename,words\na.png,5" pipe\n', [("a.png", '5" pipe')]),
    "other usual names, capitals and spaces": ('"Image Name",Ground-Truth\na.png,AB\nb.png,CD\n', AB),
    "more columns, as pandas writes them": (",file,width,text\n0,a.png,100,AB\n1,b.png,90,CD\n", AB),
    "label is a number beside text": ("label,text,file\n7,AB,a.png\n8,CD,b.png\n", AB),
    "tab with a header": ("file\ttext\na.png\tAB\nb.png\tCD\n", AB),
    "tab, as PaddleOCR": ("a.png\tAB\nb.png\tCD\n", AB),
    "PaddleOCR's quotes and commas": ('im/a.png\t"A",B\nb.png\t\'"\n', [("im/a.png", '"A",B'), ("b.png", "'\"")]),
    "semicolon": ("file;text\r\na.png;AB\r\nb.png;CD\r\n", AB),
    "semicolon without a header": ("a.png;1,5\nb.png;CD\n", [("a.png", "1,5"), ("b.png", "CD")]),
    "Excel's hint": ("sep=;\nfile;text\na.png;AB\nb.png;CD\n", AB),
    "comma without a header": ("a.png,AB\nb.png,CD\n", AB),
    "ICDAR": ('a.png, "AB"\nb.png, "C,D"\n', [("a.png", "AB"), ("b.png", "C,D")]),
    "a space": ("a.png AB\nb.png C D\n", [("a.png", "AB"), ("b.png", "C D")]),
    "JSON lines": ('{"file_name": "a.png", "text": "AB"}\n{"text": "CD", "file_name": "b.png"}\n', AB),
    "quoted comma and quotes": ('file,text\na.png,"1,234"\nb.png,"5"" pipe"\n', [("a.png", "1,234"), ("b.png", '5" pipe')]),
    "a quote inside": ('file,text\na.png,5" pipe\n', [("a.png", '5" pipe')]),
    "blank lines, lines of separators, lone CR": ("file,text\r\ra.png,AB\r,\rb.png,CD", AB),
    "a mark at the start": ("\ufefffile,text\na.png,AB\nb.png,CD\n", AB),
    "symbols that splitlines takes for an end": ("file,text\na.png,A\u2028B\n", [("a.png", "A\u2028B")]),
    "only a header": ("file,text\n", []),
}


@pytest.mark.parametrize("content, expected", WRITTEN.values(), ids=WRITTEN.keys())
def test_label_files_as_other_tools_write_them(tmp_path, content, expected):
    assert read(tmp_path / "labels.csv", content) == expected


FAULTY = {
    "a comma that nobody quoted": ("file,text\na.png,1,234\nb.png,CD\n", "Line 2 of .*labels.csv has 3 columns, 2 were"),
    "further down": ("file,text\na.png,AB\nb.png,1,2,3\n", "Line 3 of .* has 4 columns.*in quotes"),
    "at the end of the text": ("file,text\na.png,AB,\n", "Line 2 of .* has 3 columns"),
    "without a header": ("a.png,1,234\n", "Line 1 of .* has 3 columns"),
    "with more columns": ("id,file,text\n1,a.png,1,234\n", "Line 2 of .* has 4 columns, 3 were expected"),
    "semicolon": ("file;text\na.png;1;2\n", "Line 2 of .* has 3 columns"),
    "tab": ("a.png\tA\tB\n", "Line 1 of .* has 3 columns"),
    "a column too few": ("file,text\na.png,AB\nb.png;CD\n", "Line 3 of .* has 1 columns"),
    "stray quote": ('file,text\na.png,AB\nb.png,"CD\nc.png,EF\n', 'Line 3 of .* has a stray quote .*b.png,"CD'),
    "stray quote, closed lines later": ('file,text\na.png,"AB\nb.png,CD"\n', "Line 2 of .* has a stray quote"),
    "text after a quote": ('file,text\na.png,"A"B\n', "Line 2 of .* has a stray quote"),
    "all are counted": ("file,text\n" + "a.png,1,2\n" * 9, r"(?s)Line 2 .*Line 3 .*Line 4 .*and 6 more lines"),
    "one list of JSON objects": ('[{"file": "a.png", "text": "5\\" pipe"}]\n', "is no JSON object such as"),
    "PaddleOCR's detection labels": ('a.png\t[{"transcription": "AB"}]\n', "Line 1 of .* lists places in a picture"),
    "no JSON": ('{"file": "a.png", "text": "AB"}\n{"file": "b.png"}\n', "Line 2 of .* is no JSON object such as"),
    "unknown columns": ("a,b\nc,d\n", "has the columns a, b; its first line should be: file,text"),
    "a spreadsheet": (b"PK\x03\x04\x00", 'is a spreadsheet or an archive, .*Save the table as "CSV UTF-8"'),
}


@pytest.mark.parametrize("content, words", FAULTY.values(), ids=FAULTY.keys())
def test_a_comma_that_nobody_quoted_and_other_faulty_lines_are_named(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        read(tmp_path / "labels.csv", content)


def test_a_text_that_is_null_is_an_empty_one(tmp_path, folder):
    (tmp_path / "labels.jsonl").write_text('{"file": "a.png", "text": null}\n{"file": "b.png", "text": "CD"}\n')
    with pytest.raises(ValueError, match="a.png.*its text is empty"):
        load_folder(folder, width=64, labels=tmp_path / "labels.jsonl")


def test_an_unquoted_comma_is_an_error_of_load_folder(tmp_path, folder):
    (tmp_path / "labels.csv").write_text("file,text\na.png,1,234\nb.png,CD\n")
    with pytest.raises(ValueError, match="Line 2 of .*labels.csv has 3 columns"):
        load_folder(folder, width=64, labels=tmp_path / "labels.csv")


# --- encodings -------------------------------------------------------------------------------------------------------------

CYRILLIC = "file,text\na.png,AB\nb.png,\u041612\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_their_mark_are_read(tmp_path, encoding):
    assert read(tmp_path / "labels.csv", CYRILLIC.encode(encoding))[1] == ("b.png", "\u041612")
    big_endian = b"\xfe\xff" + CYRILLIC.encode("utf-16-be")
    assert read(tmp_path / "labels.csv", big_endian)[1] == ("b.png", "\u041612")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_that_are_not_unicode_are_named_with_line_and_cure(tmp_path, folder, end):
    (tmp_path / "labels.csv").write_bytes(CYRILLIC.replace("\n", end).encode("cp1251"))
    words = r"Line 3 of .*labels.csv isn't UTF-8 \(byte 0xC6\)\. Save it as .CSV UTF-8., or name its encoding: .*cp1251"
    with pytest.raises(ValueError, match=words):
        load_folder(folder, width=64, labels=tmp_path / "labels.csv")
    assert load_folder(folder, width=64, labels=tmp_path / "labels.csv", encoding="cp1251").texts == ["AB", "\u041612"]


def test_encodings_that_were_named_wrongly(tmp_path):
    with pytest.raises(ValueError, match="Line 3 of .* isn't ASCII"):
        read(tmp_path / "labels.csv", CYRILLIC, encoding="ascii")
    with pytest.raises(ValueError, match="encoding='cp9999' isn't known"):
        read(tmp_path / "labels.csv", CYRILLIC, encoding="cp9999")
    for encoding in ("utf-16-le", "utf-16-be"):  # without a mark, and the first byte that isn't UTF-8 lies behind a zero
        with pytest.raises(ValueError, match=f'Line 1 of .* zero bytes, .*encoding="{encoding}"'):
            read(tmp_path / "labels.csv", CYRILLIC.encode(encoding))
    ascii_text = "file,text\na.png,AB\n".encode("utf-16-le")
    with pytest.raises(ValueError, match='Line 1 of .* zero bytes, .*encoding="utf-16-le"'):
        read(tmp_path / "labels.csv", ascii_text)
    assert read(tmp_path / "labels.csv", ascii_text, encoding="utf-16-le") == [("a.png", "AB")]


# --- paths -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["a.png", "im/a.png", "im\\a.png", "./im/a.png", "../im/a.png", "a"])
def test_paths_in_a_label_file_are_relative_to_it_or_to_the_folder(tmp_path, folder, written):
    (tmp_path / "labels.csv").write_text(f"file,text\n{written},AB\nb.png,CD\n")
    found = load_folder(folder, width=64, labels=tmp_path / "labels.csv")
    assert (found.names, found.texts) == (["a.png", "b.png"], ["AB", "CD"])


def test_paths_in_a_label_file_that_lies_elsewhere(tmp_path, folder):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "labels.csv").write_text(f"file,text\nim/a.png,AB\n{(folder / 'b.png').as_posix()},CD\n")
    assert load_folder(folder, width=64, labels=other / "labels.csv").texts == ["AB", "CD"]  # beside the folder; absolute


def test_paths_that_lead_nowhere_say_where_was_looked(tmp_path, folder):
    (tmp_path / "labels.csv").write_text("file,text\nimages/a.png,AB\na.png,AB\nb.png,CD\n")
    with pytest.raises(ValueError) as raised:
        load_folder(folder, width=64, labels=tmp_path / "labels.csv")
    said = str(raised.value)
    assert "images/a.png stands in line 2 of" in said and f"there is no such file in {folder} or {tmp_path}." in said
    (tmp_path / "labels.csv").write_text("file,text\nimages/a.png,AB\nimages/b.png,CD\n")
    with pytest.raises(ValueError, match=f"no such file in {folder} or {tmp_path}\\."):  # also where no line leads to a file
        load_folder(folder, width=64, labels=tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("file,text\na.png,AB\nb.png,CD\n../labels.csv,AB\n")
    with pytest.raises(ValueError, match="labels.csv stands in line 4 .* but it is no image file"):
        load_folder(folder, width=64, labels=tmp_path / "labels.csv")


def test_one_image_named_in_two_ways_with_two_texts(tmp_path, folder):
    (tmp_path / "labels.csv").write_text("file,text\na.png,AB\nb.png,CD\nim/a.png,EF\n")
    with pytest.raises(ValueError, match="Line 4 of .* says 'EF' for im/a.png, line 2 before it 'AB'"):
        load_folder(folder, width=64, labels=tmp_path / "labels.csv")


def test_sub_folders_of_a_label_file(tmp_path, recwarn):
    for name in ("x/1.png", "y/1.png", "y/z/2.png", "y/left.png"):
        drawn(tmp_path / name)
    (tmp_path / "gt.txt").write_text("x/1.png\tAB\ny/1.png\tCD\ny/z/2.png\tEF\ny/left.png\tGH\n")
    found = load_folder(tmp_path, width=64, labels=tmp_path / "gt.txt")
    assert found.names == ["x/1.png", "y/1.png", "y/left.png", "y/z/2.png"] and found.texts == ["AB", "CD", "GH", "EF"]
    assert not recwarn.list
    (tmp_path / "gt.txt").write_text("x/1.png\tAB\ny/1.png\tCD\ny/z/2.png\tEF\n")
    with pytest.raises(ValueError, match="y/left.png has no line in"):
        load_folder(tmp_path, width=64, labels=tmp_path / "gt.txt")


# --- two spellings of one letter -------------------------------------------------------------------------------------------

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("on_disk, written", [(NFC, NFD), (NFD, NFC), (NFD, NFD)], ids=["NFC, NFD", "NFD, NFC", "NFD, NFD"])
def test_two_spellings_of_one_letter_in_names(tmp_path, on_disk, written):
    drawn(tmp_path / on_disk / f"{on_disk}.png")
    (tmp_path / "labels.csv").write_text(f"file,text\n{written}/{written}.png,{NFD}\n", encoding="utf-8")
    found = load_folder(tmp_path / on_disk, width=64, labels=tmp_path / "labels.csv")
    assert (found.names, found.texts) == ([f"{NFC}.png"], [NFC])
    assert load_folder(tmp_path / on_disk, width=64).texts == [NFC]
    assert all(unicodedata.is_normalized("NFC", text) for text in [*found.names, *found.texts])


def test_two_spellings_of_one_letter_are_two_files(tmp_path):
    for name in (NFC, NFD):
        drawn(tmp_path / f"{name}.png")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system takes both spellings for one name")
    with pytest.raises(ValueError, match="is the name of two files, in two spellings"):
        load_folder(tmp_path, width=64)
