"""Just enough of the Redis protocol (RESP2 and RESP3) to tell where a value ends."""

CRLF = b"\r\n"
BLOBS = b"$!="
LISTS = b"*~>"
MAPS = b"%|"
ATTRIBUTE = ord("|")
PUSH = b">"
NULL_SIZE = b"-1"


def value_end(buffer: bytearray, start: int) -> int | None:
    """The offset just behind the value that begins at `start`, or None when it is incomplete."""
    missing, position = 1, start
    while missing:
        line_end = buffer.find(CRLF, position)
        if line_end < 0:
            return None
        kind, line = buffer[position], buffer[position + 1 : line_end]
        position = line_end + len(CRLF)
        missing -= 1
        if kind in BLOBS:
            position += int(line) + len(CRLF) if line != NULL_SIZE else 0
        elif kind in LISTS:
            missing += max(int(line), 0)
        elif kind in MAPS:
            missing += 2 * int(line) + (kind == ATTRIBUTE)
        if position > len(buffer):
            return None
    return position


def take_values(buffer: bytearray) -> list[bytes]:
    """Take the complete values from the head of `buffer`, and leave in it what is incomplete."""
    position = 0
    values = []
    while position < len(buffer) and (end := value_end(buffer, position)) is not None:
        values.append(bytes(buffer[position:end]))
        position = end
    del buffer[:position]
    return values


def arguments_of(request: bytes) -> tuple[bytes, ...]:
    """The words of one request: an array of blobs, or an inline command."""
    if not request.startswith(b"*"):
        return tuple(request.split())
    words = []
    head_end = request.index(CRLF)
    position = head_end + len(CRLF)
    for _ in range(int(request[1:head_end])):
        size_end = request.index(CRLF, position)
        word_start = size_end + len(CRLF)
        word_end = word_start + int(request[position + 1 : size_end])
        words.append(request[word_start:word_end])
        position = word_end + len(CRLF)
    return tuple(words)
