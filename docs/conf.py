"""The Sphinx settings of the documentation: ``make docs`` builds it into ``docs/_build``."""

import os
import shutil
from pathlib import Path

from sphinx.util.nodes import make_refnode

import isgd_optax

project = "isgd_optax"
author = "The isgd_optax authors"
copyright = "2026, the isgd_optax authors"
version = release = isgd_optax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

# Markdown with mathematics; pages whose cells are executed are text notebooks.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# The notebooks lie where those who have no Sphinx find them, and Sphinx reads what is below docs/. Those that
# the tests have run are not run again.
HERE = Path(__file__).parent
executed = os.environ.get("EXECUTED_NOTEBOOKS")
nb_execution_excludepatterns = ["examples/*"] if executed else []
shutil.copytree(
    executed or HERE.parent / "examples",
    HERE / "examples",
    ignore=shutil.ignore_patterns(".ipynb_checkpoints"),
    dirs_exist_ok=True,
)

# Docstrings are in Google style and say in words what types would.
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
add_module_names = False
python_maximum_signature_line_length = 80

nitpick_ignore_regex = [
    ("py:exc", r"(ValueError|TypeError|ImportError|UserWarning)"),  # of Python itself
    ("py:class", r"(jax|numpy|collections|optax|flax|typing)\..*"),  # types of attributes
    ("py:class", r"ArrayTree"),
]
# Where docstrings name a class without its module, or by the shorter of two paths.
MODULES = ("isgd_optax", "isgd_optax.linear_solvers", "isgd_optax.diagnostics", "pinns", "pinns.problems")


def find_public_name(app, env, node, contnode):
    """Resolves a reference to a public name by the name alone."""
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    _, _, name = node["reftarget"].rpartition(".")
    for module in MODULES:
        if f"{module}.{name}" in domain.objects:
            found = domain.objects[f"{module}.{name}"]
            return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode)
    return None


def skip_fields_of_tuples(app, what, name, obj, skip, options):
    """Skips the fields of named tuples, which the docstring of the class describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    """Connects both to Sphinx."""
    app.connect("missing-reference", find_public_name)
    app.connect("autodoc-skip-member", skip_fields_of_tuples)


html_theme = "sphinx_book_theme"
html_title = "isgd_optax"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the sidebar has a search field already
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
}
