"""How Sphinx builds these pages. It needs no network, and every warning is an error."""

from importlib.metadata import version as installed_version

project = "abonent"
author = "The abonent maintainers"
project_copyright = author
version = release = installed_version("abonent")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "**/_*.md"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"abonent {release}"

# The parts of a value are worth a line each, described or not.
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpicky = True
# Names of other projects cannot be looked up without the network; those of abonent must resolve.
# A type variable is nothing to look up either.
nitpick_ignore_regex = [("py:.*", r"(?!abonent\.).*"), ("py:.*", r"abonent\..*\.[A-Z]")]
