"""The admin API as a table: what can be asked for, with which right, what is asked and what is answered.

`operation` says what an operation is; the files beside it have those of one subject each; `table` has them all, and
`openapi` writes the document that describes them. Nothing here knows HTTP beyond methods, paths and fields.
"""
