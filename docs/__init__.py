"""The documentation: pages in Markdown, and the script that generates the reference from code."""
