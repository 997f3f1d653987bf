"""The audit log: who did what, when, from where, with what outcome; in an archive in which every change is found.

`Ledger` is the log's own state (data keys, holds, what is still to be sealed), `Archive` the segments that entries are
sealed into, `verify` finds whatever was changed, removed, reordered or cut off. An entry's content is encrypted under a
key of its person and workload: destroying the key erases it, and the chain still holds. `AuditReader` opens entries,
`exporting` writes them for others, `anchors` has checkpoints kept outside.

May import `calls`, `errors`, `config` and `database`. What is drained from the journals comes as values: `auditing`
makes entries of it.
"""
