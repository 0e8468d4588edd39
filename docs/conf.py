"""The documentation site: `make docs` builds it from these pages, the zoo and the docstrings."""

import inspect
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

import generated_pages  # noqa: E402

project = "vlae_tf"
copyright = "the authors of vlae_tf"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints", "lossy/**table.md"]
html_theme = "furo"
html_title = "vlae_tf"

# Docstrings write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_inherit_docstrings = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ["Reference"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
suppress_warnings = ["config.cache"]


def skip_inherited(app, what, name, obj, skip, options):
    """Leave out what TensorFlow Probability gives to each distribution."""
    module = getattr(inspect.unwrap(obj) if callable(obj) else obj, "__module__", None)
    wrapped = getattr(obj, "__doc__", None) or ""
    return skip or not (module or "vlae_tf").startswith("vlae_tf") or "kl_divergence" in wrapped


def docstring_as_rst(app, what, name, obj, options, lines):
    """What Sphinx would misread in a docstring: indented equations, and tables of Markdown."""
    inside = False
    changed = []
    for index, line in enumerate(lines):
        section = re.match(r"(Args|Raises|Returns|Example|Attributes|Reference)\b.*:$", line)
        inside = bool(section) or (inside and (not line or line.startswith(" ")))
        starts = line.startswith("    ") and index and not lines[index - 1].strip()
        if starts and not inside and not _in_a_block(changed):
            changed += ["::", ""]
        if line.startswith("|"):
            if not lines[index - 1].startswith("|"):
                changed += [".. list-table::", ""]
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if set(line) - set("|- "):
                changed += [f"   * - {cells[0]}", *(f"     - {text}" for text in cells[1:])]
            if not lines[index + 1].startswith("|"):
                changed.append("")
            continue
        changed.append(line)
    lines[:] = changed


def _in_a_block(lines):
    """Whether the last line that is not empty is indented, or announces a block."""
    full = [line for line in lines if line.strip()]
    return bool(full) and (full[-1].startswith(" ") or full[-1].endswith("::"))


# === Links ===

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#:]+)(#[^)]*)?\)")


def site_links(app, docname, source):
    """Pages link to files of the repository. On the site, a link goes to the page of that file; a
    file without a page is named, not linked."""
    page = Path(app.env.doc2path(docname))
    # A generated page or an included one stands for another file.
    origin = {
        "serving": ROOT / "export/README.md",
        "changelog": ROOT / "CHANGELOG.md",
    }.get(docname, page)
    if origin != page:
        source[0] = origin.read_text(encoding="utf-8")

    def link(match):
        words, target, anchor = match[1], match[2], match[3] or ""
        path = (origin.parent / target).resolve()
        path = _PAGE_OF.get(path, path)
        if path.is_relative_to(ROOT / "zoo") and path.name == "card.md":
            path = HERE / "generated" / path.relative_to(ROOT)
        is_a_page = path.suffix == ".md" and path.is_relative_to(HERE) and path.name != "table.md"
        if is_a_page and path.exists():
            return f"[{words}]({os.path.relpath(path, page.parent)}{anchor})"
        return words if words.startswith("`") else f"`{words}`" if "/" in words else words

    source[0] = _LINK.sub(link, source[0])


_PAGE_OF = {
    ROOT / "README.md": HERE / "index.md",
    ROOT / "export/README.md": HERE / "serving.md",
    ROOT / "CHANGELOG.md": HERE / "changelog.md",
}


def setup(app):
    app.connect("builder-inited", lambda app: generated_pages.write(HERE / "generated"))
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("autodoc-process-docstring", docstring_as_rst, priority=100)
    app.connect("source-read", site_links)
