"""Small documents made by hand, so that a test sees what is in them: PDF, and zipped XML."""

from __future__ import annotations

import io
import zipfile

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
)
P = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """Make a zip of parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


def docx(body: str, **parts: str) -> bytes:
    """Make a Word file of a body, with further parts by name ("styles" is word/styles.xml)."""
    more = {f"word/{name}.xml": content for name, content in parts.items()}
    return zipped({"word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>", **more})


def odt(body: str, styles: str = "", **parts: str) -> bytes:
    """Make an OpenDocument text."""
    content = f"<office:document-content {ODF}><office:automatic-styles>{styles}</office:automatic-styles>"
    content += f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    return zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, **parts})


def pptx(*slides: str) -> bytes:
    """Make a presentation of slides, each the shapes in it."""
    relations = "".join(f'<Relationship Id="r{n}" Target="slides/s{n}.xml"/>' for n in range(len(slides)))
    order = "".join(f'<p:sldId id="{n + 256}" r:id="r{n}"/>' for n in range(len(slides)))
    parts = {
        "ppt/presentation.xml": f"<p:presentation {P}><p:sldIdLst>{order}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": f"<Relationships>{relations}</Relationships>",
    }
    for n, shapes in enumerate(slides):
        parts[f"ppt/slides/s{n}.xml"] = f"<p:sld {P}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
    return zipped(parts)


def epub(*chapters: str, **parts: str) -> bytes:
    """Make a book of chapters, each the body of a page."""
    items = "".join(
        f'<item id="c{n}" href="c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The Book</dc:title></metadata>'
        f'<manifest>{items}<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        f'</manifest><spine><itemref idref="nav"/>{spine}</spine></package>'
    )
    container = '<container><rootfiles><rootfile full-path="OPS/p.opf"/></rootfiles></container>'
    pages = {
        f"OPS/c {n}.xhtml": f"<!DOCTYPE html><html><head><title>x</title></head><body>{body}</body></html>"
        for n, body in enumerate(chapters)
    }
    contents = {"META-INF/container.xml": container, "OPS/p.opf": package, "OPS/nav.xhtml": "<p>Contents</p>"}
    return zipped({**contents, **pages, **parts})


def pdf(*pages: list[str | tuple[float, float, float, str]], outline: list[tuple[str, int]] | None = None) -> bytes:
    """Make a PDF: a page is lines below one another, or (x, y, size, text) placed by hand."""
    outline = outline or []
    objects = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        placed = [x if isinstance(x, tuple) else (72, 720 - 14 * n, 12, x) for n, x in enumerate(lines)]
        draw = " ".join(f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET" for x, y, size, text in placed)
        kids.append(len(objects) + 1)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects) + 2} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(f"<< /Length {len(draw)} >>\nstream\n{draw}\nendstream".encode())
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{k} 0 R' for k in kids)}] >>".encode()
    objects[0] = f"<< /Type /Catalog /Pages 2 0 R /Outlines {len(objects) + 1} 0 R >>".encode()
    first = len(objects) + 2
    objects.append(f"<< /First {first} 0 R /Last {first + len(outline) - 1} 0 R /Count {len(outline)} >>".encode())
    for n, (title, page) in enumerate(outline):
        following = f"/Next {first + n + 1} 0 R" if n + 1 < len(outline) else ""
        objects.append(
            f"<< /Title ({title}) /Parent {first - 1} 0 R {following} /Dest [{kids[page]} 0 R /Fit] >>".encode()
        )
    return of_objects(objects)


def of_objects(objects: list[bytes]) -> bytes:
    """Make a PDF of its objects, the first its root."""
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size {len(places) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}".encode() + trailer.encode()


def scan(pages: int = 3) -> bytes:
    """Make a PDF of pages that show a picture and hold no text."""
    kids = [4 + 2 * n for n in range(pages)]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{k} 0 R' for k in kids)}] >>".encode(),
        b"<< /Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Length 4 >>\nstream\n\x00\xff\xff\x00\nendstream",
    ]
    for kid in kids:
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {kid + 1} 0 R "
            "/Resources << /XObject << /I 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length 28 >>\nstream\nq 600 0 0 700 5 5 cm /I Do Q\nendstream")
    return of_objects(objects)
