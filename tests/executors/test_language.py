"""The language of the offline planner: other ways to ask the same, and what it must not take on."""

from dataclasses import replace

import pytest

from penstock.executors.offline.goals import understand, understand_clause
from penstock.executors.offline.intents import Ask, Intent, NotUnderstood

WAYS: dict[Ask, list[str]] = {
    Ask.LIST_FILES: [
        "List all markdown files",
        "Please show me the *.md files",
        "Which markdown files are there?",
        "Give me a list of the markdown files.",
        "Could you find all the Markdown documents?",
    ],
    Ask.COUNT_FILES: [
        "How many text files are there?",
        "Count the text files",
        "What is the number of text files?",
        "Tell me how many text files there are",
    ],
    Ask.MEASURE: [
        "Count the words in notes.txt",
        "How many words does notes.txt have?",
        "How many words are there in notes.txt?",
        "What is the number of words in notes.txt?",
        "What's the word count of notes.txt?",
        "Could you please tell me how many words notes.txt contains?",
        "Determine the total number of words in the file notes.txt",
    ],
    Ask.OCCURRENCES: [
        "How often does 'lease' occur in notes.txt?",
        'Count the occurrences of "lease" in notes.txt',
        "How many times is 'lease' mentioned in notes.txt?",
        "How many times does notes.txt mention 'lease'?",
        "What is the number of occurrences of lease in notes.txt?",
        "Count how many times the word lease appears in notes.txt",
    ],
    Ask.MENTIONS: [
        "Which files mention 'lease'?",
        "Find all files that contain lease",
        "In which files does the word lease occur?",
        "List the files mentioning \u201clease\u201d",
        "Where is 'lease' mentioned?",
        "Search for 'lease'",
    ],
    Ask.MENTIONS_MOST: [
        "Which file mentions 'lease' most?",
        "Which file mentions lease the most often?",
        "Find the file with the most occurrences of 'lease'",
        "Where does 'lease' occur most often?",
    ],
    Ask.EXTREME: [
        "Which file is the longest?",
        "What is the longest file?",
        "Find the longest file",
        "Which file has the most lines?",
        "Name the file with the most lines",
    ],
    Ask.COMPARE: [
        "Compare a.txt and b.txt by words",
        "Compare the number of words in a.txt and b.txt",
        "Which of a.txt and b.txt has more words?",
        "Does a.txt have more words than b.txt?",
        "How many more words does a.txt have than b.txt?",
        "What is the difference in words between a.txt and b.txt?",
    ],
    Ask.SHOW_LINES: [
        "Show line 1 of notes.txt",
        "Show the first line of notes.txt",
        "What does line 1 of notes.txt say?",
        "Print the 1st line of notes.txt",
        "Show lines 1 to 1 of notes.txt",
    ],
    Ask.SECTION: [
        "Show the section 'Install' of guide.md",
        "Show me the Install section of guide.md",
        "What does the section Install in guide.md say?",
        'Read the section called "Install" from guide.md',
    ],
    Ask.SUMMARY: [
        "Summarise notes.txt in 2 sentences",
        "Summarize the file notes.txt using two sentences",
        "Give me a two-sentence summary of notes.txt",
        "Write a summary of notes.txt in two sentences",
    ],
    Ask.KEY_WORDS: [
        "What are the key words of notes.txt?",
        "Extract the keywords from notes.txt",
        "Give me the key phrases of notes.txt",
        "List the main topics of notes.txt",
    ],
    Ask.DANGLING: [
        "Find the dangling links in guide.md",
        "Are there any broken links in guide.md?",
        "Check guide.md for dead links",
        "Which links in guide.md lead nowhere?",
    ],
}

REFUSED = [
    "Which files do not mention valve?",
    "Which files mention 'valve' or 'turbine'?",
    "Which file mentions 'valve' but not 'turbine'?",
    "How many distinct words are in a.txt?",
    "Find the second longest file",
    "Count the words in every file except a.txt",
    "How many lines of a.log do not contain ERROR?",
    "Which files contain the fewest words?",
    "List files modified today",
    "How many words does a.txt have on line 3?",
    "How many words are in the first 5 lines of a.txt?",
    "What is the longest word in a.txt?",
    "How many words in a.txt start with a?",
    "How many words per sentence does a.txt have?",
    "Which files mention valve at least 3 times?",
    "Find files with more than 10 lines",
    "Translate a.txt to German and write it to out.txt",
    "Delete the longest file",
    "Replace 'valve' by 'gate' in a.txt",
    "Write a poem about valves to poem.txt",
    "Write the words of a.txt to out.txt",
    "Count the words of a.txt twice",
    "Summarise a.txt as a table",
    "Compare a.txt and b.txt by topic",
    "What is the average number of words per file?",
    "What is 2+2?",
    "Write it to out.txt",
    "Summarise it",
    "Count",
    "...",
]


def only(goal: str) -> Intent:
    ((_, intent),) = understand(goal)
    return intent


@pytest.mark.parametrize("ask", WAYS)
def test_the_same_is_understood_however_it_is_said(ask: Ask) -> None:
    understood = {goal: only(goal) for goal in WAYS[ask]}
    first = next(iter(understood.values()))
    assert first.ask is ask
    for goal, intent in understood.items():
        # "*.md" and "markdown" differ in their patterns, and nothing else may.
        files = replace(intent.files, patterns=first.files.patterns)
        term = intent.term and replace(intent.term, text=intent.term.text.lower())
        expected = replace(first, term=first.term and replace(first.term, text=first.term.text.lower()))
        assert replace(intent, files=files, term=term) == expected, goal


@pytest.mark.parametrize("goal", REFUSED)
def test_what_is_not_understood_is_refused_whole(goal: str) -> None:
    with pytest.raises(NotUnderstood):
        understand(goal)


@pytest.mark.parametrize("goal", [goal for goals in WAYS.values() for goal in goals])
def test_an_instruction_is_read_as_the_goal_was(goal: str) -> None:
    for clause, intent in understand(f"{goal} Then write it to 'my out.txt'."):
        assert understand_clause(clause.said) == intent


@pytest.mark.parametrize(
    ("goal", "asks"),
    [
        ("Count the words in a.txt and write it to out.txt", [Ask.MEASURE, Ask.WRITE]),
        ("Count the words in a.txt and the lines in b.txt", [Ask.MEASURE, Ask.MEASURE]),
        ("Find the longest file, then summarise it and save the summary to s.md",
         [Ask.EXTREME, Ask.SUMMARY, Ask.WRITE]),
        ("List the text files; count them. Finally, store everything in r.txt",
         [Ask.LIST_FILES, Ask.COUNT_FILES, Ask.WRITE]),
        ("Write the key words of a.md to k.txt", [Ask.KEY_WORDS, Ask.WRITE]),
        ("Create a file k.txt containing the key words of a.md", [Ask.KEY_WORDS, Ask.WRITE]),
        ("Find the shortest text file and show its first line", [Ask.EXTREME, Ask.SHOW_LINES]),
        ("Compare a.txt to b.txt", [Ask.COMPARE]),
        ("Count the words in the file a.txt", [Ask.MEASURE]),
        ("Find 'valve' in the file a.txt", [Ask.MENTIONS]),
        ("Find 'valve' in a.txt into out.txt", [Ask.MENTIONS, Ask.WRITE]),
        ("Search for 'count the words and write it to x.txt'", [Ask.MENTIONS]),
    ],
)  # fmt: skip
def test_goals_are_split_where_requests_end(goal: str, asks: list[Ask]) -> None:
    assert [intent.ask for _, intent in understand(goal)] == asks


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "filler",
    ["a" * 4000, "and " * 1000, "'" * 4000, "count the words in " * 200, "./" * 2000, "the file " * 400],
)
def test_long_nonsense_is_refused_soon(filler: str) -> None:
    with pytest.raises(NotUnderstood):
        understand(filler)
