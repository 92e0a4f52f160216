"""How Sphinx builds these pages: Markdown by MyST, and every warning is an error (`make docs`)."""

project = "newsieve"
project_copyright = "the newsieve authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "README.md"]
nitpicky = True
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {
    "description": "Scores a stream of news articles, exactly once.",
    "page_width": "72rem",
    "body_max_width": "none",
    "fixed_sidebar": True,
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
