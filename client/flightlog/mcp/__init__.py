"""`flightlog mcp`: what was recorded, for agents, over the Model Context Protocol; nothing here can write.

- `server`: the official SDK on stdio; the only module that needs it
- `tool`: what a tool is: typed arguments, a typed answer, their JSON Schemas
- `call`: one call: questions to query.sock, its token budget, its cursor
- `cursors`: where the next page begins, as an opaque text
- `untrusted`: other people's text made harmless, and cut to a size
- `guide`: what the server tells an agent of itself
- `tools`: the tools, one module for each subject
"""
