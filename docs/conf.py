"""Sphinx settings of the documentation: `make docs`."""

import shutil
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.highlighting import lexers

from bailiwick.channels import registry
from bailiwick.openapi.document import written
from bailiwick_lab.channel_suite import table

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

# Each channel's page is in its folder; its links into this one lead there from here too.
channels = Path(__file__).with_name("_channels")
shutil.rmtree(channels, ignore_errors=True)
channels.mkdir()
for page in registry.HERE.glob("*/page.md"):
    text = page.read_text(encoding="utf-8").replace("](../../../../docs/", "](../")
    (channels / f"{page.parent.name}.md").write_text(text, encoding="utf-8")

(channels / "index.md").write_text(table.markdown(list(table.rows())), encoding="utf-8")

generated = Path(__file__).with_name("_generated")
generated.mkdir(exist_ok=True)
(generated / "openapi.json").write_bytes(written())
