"""Files of other gateways made into ours, with a report of what became of each setting.

May import `config` and `errors`, and nothing else of Headworks. Reads the one file that it is given, writes nothing.
"""
