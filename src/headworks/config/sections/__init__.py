"""The sections of `headworks.yaml`: one file for each, or for a few that belong together; one struct a mapping, every
field with its meaning, bounds and default.

The descriptions are the reference documentation and the JSON Schema. A field's `extra` names what the reader of
configuration must know beyond the type: `form` is a check of the text (`headworks.config.forms`), `expected` the
words for an error message.

`shape.Config` puts them together. Two sections are elsewhere: `secrets` in `config.managers`, and `screening` in
`config.privacy`, for contracts have the same. May import `calls`, `exchange`, and of `config` only `managers` and
`quirks`, which are types and data like these.
"""
