"""Snippets are short, and mark what matches the query."""

from proofdesk.search import snippets


def test_matches_are_marked_as_written_in_the_text():
    cut = snippets.make_snippet("Die Größe passt nicht", {"größe": (1, 2.0)}, {})
    assert cut.marked == "Die [[Größe]] passt nicht"
    assert cut.plain == "Die Größe passt nicht"


def test_long_text_is_cut_around_its_matches():
    text = "filler word " * 60 + "the broken lamp is here " + "more text " * 60
    cut = snippets.make_snippet(text, {"broken": (1, 2.0), "lamp": (2, 3.0)}, {})
    assert "[[broken]] [[lamp]]" in cut.marked
    assert len(cut.plain) <= snippets.SNIPPET_LENGTH + 2
    assert (cut.plain[0], cut.plain[-1]) == ("…", "…")


def test_uninformative_words_are_not_marked():
    cut = snippets.make_snippet("is the lamp broken", {"the": (1, 0.1), "lamp": (2, 3.0)}, {})
    assert cut.marked == "is the [[lamp]] broken"


def test_only_whole_words_are_marked():
    cut = snippets.make_snippet("Lamps, lamp_lamp; a_clamp. LAMP", {"lamp": (1, 2.0)}, {})
    assert cut.marked == "Lamps, [[lamp]]_[[lamp]]; a_clamp. [[LAMP]]"


def test_exact_token_is_marked_as_a_whole():
    cut = snippets.make_snippet("See INV-2026-0417!", {"inv": (1, 1.0)}, {"inv-2026-0417": (2, 5.0)})
    assert cut.marked == "See [[INV-2026-0417]]!"


def test_brackets_in_the_text_are_no_marks():
    assert snippets.make_snippet("if [[ -f x ]]; then", {}, {}).marked == "if [ [ -f x ] ]; then"


def test_text_without_matches_shows_its_beginning():
    cut = snippets.make_snippet("word " * 200, {}, {})
    assert cut.marked.startswith("word word")
    assert "[[" not in cut.marked


def test_adjacent_character_pairs_share_a_mark():
    cut = snippets.make_snippet("返金したい", {"返金": (1, 2.0), "した": (2, 2.0)}, {})
    assert cut.marked == "[[返金した]]い"
