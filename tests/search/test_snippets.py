"""Snippets: short, plain, marked where the question is answered."""

from proofdesk.search import snippets


def test_matches_are_marked_as_they_are_written():
    cut = snippets.make_snippet("Die Größe passt nicht", {"größe": (1, 2.0)}, {})
    assert cut.marked == "Die [[Größe]] passt nicht"
    assert cut.plain == "Die Größe passt nicht"


def test_a_long_text_is_cut_around_its_matches():
    text = "filler word " * 60 + "the broken lamp is here " + "more text " * 60
    cut = snippets.make_snippet(text, {"broken": (1, 2.0), "lamp": (2, 3.0)}, {})
    assert "[[broken]] [[lamp]]" in cut.marked
    assert len(cut.plain) <= snippets.SNIPPET_LENGTH + 2
    assert (cut.plain[0], cut.plain[-1]) == ("…", "…")


def test_words_that_say_little_are_not_marked_beside_those_that_do():
    cut = snippets.make_snippet("is the lamp broken", {"the": (1, 0.1), "lamp": (2, 3.0)}, {})
    assert cut.marked == "is the [[lamp]] broken"


def test_only_whole_words_are_marked():
    cut = snippets.make_snippet("Lamps, lamp_lamp; a_clamp. LAMP", {"lamp": (1, 2.0)}, {})
    assert cut.marked == "Lamps, [[lamp]]_[[lamp]]; a_clamp. [[LAMP]]"


def test_an_exact_token_is_marked_whole():
    cut = snippets.make_snippet("See INV-2026-0417!", {"inv": (1, 1.0)}, {"inv-2026-0417": (2, 5.0)})
    assert cut.marked == "See [[INV-2026-0417]]!"


def test_brackets_of_the_text_are_not_taken_for_marks():
    assert snippets.make_snippet("if [[ -f x ]]; then", {}, {}).marked == "if [ [ -f x ] ]; then"


def test_a_text_without_matches_shows_its_beginning():
    cut = snippets.make_snippet("word " * 200, {}, {})
    assert cut.marked.startswith("word word")
    assert "[[" not in cut.marked


def test_pairs_of_characters_that_touch_are_one_mark():
    cut = snippets.make_snippet("返金したい", {"返金": (1, 2.0), "した": (2, 2.0)}, {})
    assert cut.marked == "[[返金した]]い"
