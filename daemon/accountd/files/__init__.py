"""Files on the disk that anybody may have put there, or may look at: read within bounds, replaced whole."""
