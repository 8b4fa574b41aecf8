"""The atlas: one static page that shows a publication to people."""

from orchestration.atlas.page import write

__all__ = ["write"]
