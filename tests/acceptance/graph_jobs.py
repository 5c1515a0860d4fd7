"""Handlers of the great graph."""

from penstock import JobContext


async def node(ctx: JobContext) -> int:
    """Ends as its payload says."""
    if ctx.payload["ends"] == "failed":
        raise ValueError("this one fails")
    return int(ctx.payload["number"])


handlers = {"node": node}
