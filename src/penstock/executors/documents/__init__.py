"""Pure analysis of text documents: sentences, a summary, key words and dangling links.

Nothing here opens a file, a socket or an event loop: callers bring the bytes and get data back, so
the same functions serve a job's steps, an agent's tools and a test. Every function is
deterministic: the same text gives the same answer on every machine and in every process.

```python
text = decode_text(data)                 # None when the bytes are not text
document = Document(text, guess_format("guide.md"))
summarise(document, sentence_count=3)    # the sentences that say most, in reading order
key_words(document, limit=8)             # phrases with a score and a count
check_links(document, exists)            # links that lead nowhere; `exists` looks at the disk
```

The stop words and abbreviations are English; text in other languages is handled, only less well.
"""

from penstock.executors.documents.formats import TextFormat, decode_text, guess_format, seems_binary
from penstock.executors.documents.keywords import KeyWord, key_words
from penstock.executors.documents.links import DanglingLink, LinkReport, check_links
from penstock.executors.documents.prose import Block, Document, prose_blocks
from penstock.executors.documents.sentences import split_sentences
from penstock.executors.documents.summary import Summary, SummarySentence, summarise

__all__ = [
    "Block",
    "DanglingLink",
    "Document",
    "KeyWord",
    "LinkReport",
    "Summary",
    "SummarySentence",
    "TextFormat",
    "check_links",
    "decode_text",
    "guess_format",
    "key_words",
    "prose_blocks",
    "seems_binary",
    "split_sentences",
    "summarise",
]
