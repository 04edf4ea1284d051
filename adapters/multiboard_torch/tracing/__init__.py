"""How `graph` records what a model does.

- `recording`, `example`, `kept`: one call, or an example.
- `observer`, `listening`, `modes`, `compiler`: hear what runs.
- `calls`, `modules`, `scopes`, `backward`: know where.
- `operations`, `producers`, `weights`, `flops`, `native`, `trees`: make the nodes.
"""
