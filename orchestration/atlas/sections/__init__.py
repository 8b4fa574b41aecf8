"""The sections of the atlas, one file each: `ORDER`, `TITLE` and `blocks(publication)`."""
