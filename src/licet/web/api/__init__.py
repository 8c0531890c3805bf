"""``/v1``, for programs: one file per noun, each with what is asked, what is told, and the way between."""
