"""Sphinx settings of the documentation: `make docs`."""

from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

from bailiwick.openapi.document import written

lexers["mermaid"] = TextLexer()  # shown as text; code hosts draw it

project = "Bailiwick"
author = "the Bailiwick contributors"
copyright = "2026, the Bailiwick contributors"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_generated", "changes", "env.py"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Bailiwick"
html_copy_source = False
html_show_sourcelink = False
pygments_style = "default"

generated = Path(__file__).with_name("_generated")
generated.mkdir(exist_ok=True)
(generated / "openapi.json").write_bytes(written())
