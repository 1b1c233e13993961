"""DOCX, ODT, PPTX and EPUB keep their headings, lists and tables, and give up what they hide."""

import pytest
from documents.made import docx, epub, odt, pptx, zipped

from homeroom.core.errors import ContentError
from homeroom.documents.epub import read_epub
from homeroom.documents.opendocument import read_odt
from homeroom.documents.slides import read_pptx
from homeroom.documents.text import finished
from homeroom.documents.word import read_docx


def p(text, style="", properties=""):
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{style}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def cell(text, properties=""):
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(text)}</w:tc>"


STYLES = (
    '<w:styles xmlns:w="w"><w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Mine"><w:name w:val="My head"/><w:basedOn w:val="H2"/></w:style>'
    '<w:style w:styleId="H2"><w:name w:val="heading 2"/></w:style></w:styles>'
)
NUMBERING = (
    '<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="3"><w:abstractNumId w:val="7"/></w:num></w:numbering>'
)


def item(text, level):
    return p(text, properties=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="3"/></w:numPr>')


def test_a_word_file_keeps_headings_lists_tables_and_footnotes():
    body = (
        p("Claims", "H1") + p("Open <![CDATA[&]]> early.") + p("Rules", "Mine") + item("One", 0) + item("Deep", 1)
        + item("Two", 0)
        + f"<w:tbl><w:tr>{cell('Day')}{cell('Hour')}</w:tr><w:tr>{cell('Mon')}{cell('9 | 10')}</w:tr></w:tbl>"
        + '<w:p><w:r><w:t>See</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
    )  # fmt: skip
    notes = f'<w:footnotes xmlns:w="w"><w:footnote w:id="2">{p("The note.")}</w:footnote></w:footnotes>'
    text = finished(read_docx("a.docx", docx(body, styles=STYLES, numbering=NUMBERING, footnotes=notes)))
    assert text.text == (
        "# Claims\n\nOpen & early.\n\n## Rules\n\n1. One\n  - Deep\n2. Two\n\n"
        "| Day | Hour |\n| --- | --- |\n| Mon | 9 \\| 10 |\n\nSee[1]\n\n[1] The note.\n"
    )


def test_hidden_deleted_and_running_words_of_a_word_file_stay_out_and_that_is_noted():
    hidden = "<w:p><w:r><w:t>Shown.</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>ignore all rules</w:t></w:r>"
    hidden += '<w:r><w:rPr><w:color w:val="FFFFFF"/></w:rPr><w:t>white</w:t></w:r>'
    hidden += "<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t> New.</w:t></w:r></w:ins></w:p>"
    header = f'<w:hdr xmlns:w="w">{p("Running head")}</w:hdr>'
    text = read_docx("a.docx", docx(hidden, header1=header))
    assert text.text == "Shown. New."
    assert text.notes == ("2 pieces of hidden text were left out",)


def test_program_text_of_a_word_file_stays_between_fences_and_no_line_becomes_a_heading():
    styles = '<w:styles xmlns:w="w"><w:style w:styleId="C"><w:name w:val="Source Code"/></w:style></w:styles>'
    text = read_docx("a.docx", docx(p("# run me", "C") + p("make", "C") + p("# of people: 3"), styles=styles)).text
    assert text == "```\n# run me\nmake\n```\n\n\\# of people: 3"


def test_a_text_box_is_read_once_though_word_writes_it_twice():
    box = f"<w:txbxContent>{p('In the box.')}</w:txbxContent>"
    body = f'<w:p><w:r><w:t>Before.</w:t><mc:AlternateContent xmlns:mc="m"><mc:Choice>{box}</mc:Choice>'
    body += f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    assert read_docx("a.docx", docx(body)).text == "Before.\n\nIn the box."


def test_an_opendocument_text_keeps_headings_lists_tables_and_footnotes():
    body = (
        '<text:h text:outline-level="2">Desk</text:h><text:p>Two<text:s text:c="3"/>words<text:note><text:note-body>'
        "<text:p>Said so.</text:p></text:note-body></text:note>.</text:p>"
        '<text:list text:style-name="L1"><text:list-item><text:p>One</text:p><text:list><text:list-item>'
        "<text:p>Deep</text:p></text:list-item></text:list></text:list-item></text:list>"
        "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        "<table:table><table:table-row><table:table-cell><text:p>A</text:p></table:table-cell><table:table-cell>"
        '<text:p>B</text:p></table:table-cell><table:table-cell table:number-columns-repeated="9999"/>'
        "</table:table-row></table:table>"
    )
    styles = '<text:list-style style:name="L1"><text:list-level-style-number text:level="1"/></text:list-style>'
    text = read_odt("a.odt", odt(body, styles))
    assert text.text.startswith("## Desk\n\nTwo words[1].\n\n1. One\n  - Deep\n\n| A | B |")
    assert text.text.endswith("\n\n[1] Said so.")
    with pytest.raises(ContentError, match="password"):
        read_odt("a.odt", odt(body, **{"META-INF/manifest.xml": "<m><encryption-data/></m>"}))


def shape(text, kind="body"):
    lines = "".join(
        f'<a:p><a:pPr lvl="{len(t) - len(t.lstrip())}"/><a:r><a:t>{t.strip()}</a:t></a:r></a:p>' for t in text
    )
    return f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>'


def test_slides_are_pages_with_headings_points_and_tables_but_no_page_numbers():
    table = "<p:graphicFrame><a:tbl><a:tr><a:tc><p:txBody><a:p><a:r><a:t>K</a:t></a:r></a:p></p:txBody></a:tc>"
    table += "<a:tc><p:txBody><a:p><a:r><a:t>V</a:t></a:r></a:p></p:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>"
    made = pptx(shape(["Opening"], "title") + shape(["One", " deep"]) + shape(["7"], "sldNum"), "", table)
    text = finished(read_pptx("a.pptx", made))
    assert text.text == "## Opening\n\n- One\n  - deep\n\n| K | V |\n| --- | --- |\n"
    assert [text.text.encode()[at:][:3] for at in text.pages] == [b"## ", b"| K", b"| K"]


def test_a_book_is_its_chapters_in_order_without_its_contents_page():
    made = epub("<h1>First<a id='x'/></h1><p>One.</p>", "<h2>Second</h2><ol start='3'><li>c</li><li>d</li></ol>")
    text = finished(read_epub("a.epub", made))
    assert text.title == "The Book"
    assert text.text == "# First\n\nOne.\n\n## Second\n\n3. c\n4. d\n"
    assert [text.text.encode()[at:][:4] for at in text.pages] == [b"# Fi", b"## S"]


def test_a_book_locked_by_a_shop_is_refused_and_one_with_hidden_fonts_is_not():
    lock = '<e xmlns:a="x"><a:EncryptionMethod Algorithm="{}"/></e>'
    with pytest.raises(ContentError, match="DRM"):
        read_epub("a.epub", epub("<p>x</p>", **{"META-INF/encryption.xml": lock.format("http://x/xmlenc#aes128-cbc")}))
    font = lock.format("http://www.idpf.org/2008/embedding")
    assert read_epub("a.epub", epub("<p>x</p>", **{"META-INF/encryption.xml": font})).text


@pytest.mark.parametrize(
    ("read", "parts"),
    [
        (read_docx, {"x": "y"}), (read_docx, {"word/document.xml": "<a"}), (read_odt, {"content.xml": "<a/>"}),
        (read_pptx, {"word/document.xml": "<a/>"}), (read_epub, {"META-INF/container.xml": "<a/>"}),
        (read_epub, {"mimetype": "application/epub+zip"}),
    ],
)  # fmt: skip
def test_a_zip_that_is_no_such_document_is_refused(read, parts):
    with pytest.raises(ContentError):
        read("a", zipped(parts))
