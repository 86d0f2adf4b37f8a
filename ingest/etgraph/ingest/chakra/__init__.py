"""Chakra execution traces, protobuf and JSON, into drafts.

`sniff` tells the files from others, `files` reads them; `wire`, `text` and `columns` decode messages, `assemble` and
`relate` make the draft, and `normalise` what only all ranks together can tell.
"""
